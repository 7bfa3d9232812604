"""The server's page: what holds it to this server, and in a browser what a visitor does with it."""

import base64
import hashlib
import io
import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from browsers import DESK, PHONE, complaints, requested, resize, widths
from PIL import Image

from googlenet_jax.serve.page import page

MOST_BYTES = 60_000
# What a canvas shows: how many pixels are not clear, and a sum that tells two drawings apart.
DRAWN = """
const { width, height } = arguments[0];
const pixels = arguments[0].getContext("2d").getImageData(0, 0, width, height).data;
let [shown, sum] = [0, 0];
pixels.forEach((value, k) => { sum += value * (1 + (k % 8191)); if (k % 4 === 3 && value) shown++; });
return [shown, sum];
"""
# A drop and a paste as a browser reports them: files come in with the event, not by a path.
BRING = """
const [how, name, type, bytes] = arguments;
const carried = new DataTransfer();
carried.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, { type }));
const options = { dataTransfer: carried, clipboardData: carried, bubbles: true, cancelable: true };
if (how === "paste") document.body.dispatchEvent(new ClipboardEvent("paste", options));
else for (const kind of ["dragover", "drop"]) document.body.dispatchEvent(new DragEvent(kind, options));
"""
# Between the page and the server: refuses what `refuses(options)` gives an answer to, an Error or [status, headers].
BETWEEN = """
const through = window.fetch;
const refuses = %s;
window.fetch = async (url, options) => {
  const refused = url.startsWith("api?") ? refuses(options) : null;
  if (refused instanceof Error) throw refused;
  return refused ? Response.json({ error: "refused" }, { status: refused[0], headers: refused[1] ?? {} })
    : through(url, options);
};
"""


def picture(seed: int, width: int = 96, height: int = 64) -> bytes:
    """A PNG with a few large blots, other ones for every seed."""
    blots = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(blots).resize((width, height), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def ask(url: str, name: str, data: bytes) -> dict[str, Any]:
    """What the server itself answers about a file."""
    head = f'--b\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'.encode()
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    request = urllib.request.Request(f"{url}/api?format=json&maps=1", head + data + b"\r\n--b--\r\n", kind)
    with urllib.request.urlopen(request) as response:
        return json.load(response)["predictions"][0]


def name_in(label: str) -> str:
    """What a card shows large of a label such as "n02123045 tabby, tabby cat", or of one of another kind."""
    return label[10:].split(", ")[0] if re.match(r"n\d{8} ", label) else label


# Without a browser ----------------------------------------------------------------------------------------------------


def test_one_small_file_with_one_script():
    html = page().html
    assert len(page().html.encode()) < MOST_BYTES
    assert len(re.findall(r"<script\b", html)) == 1
    assert "{{" not in html
    assert not re.search(r"https?://(?!www\.w3\.org/)", html), "the page asks nobody else"
    assert not re.search(r"<[^>]*\son\w+=|\beval\(|innerHTML|insertAdjacentHTML|document\.write", html)


def test_the_policy_lets_this_script_alone_run():
    script = re.search(r"<script>(.*)</script>", page().html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in page().policy
    assert page().policy.startswith("default-src 'none';")


def test_the_script_parts_are_short():
    parts = [part for part in resources.files("googlenet_jax.serve").joinpath("page").iterdir() if ".js" in part.name]
    assert parts
    assert max(len(part.read_text().splitlines()) for part in parts) < 300


# In a browser ---------------------------------------------------------------------------------------------------------


class Visit:
    """The page as loaded anew for one test."""

    def __init__(self, driver: Any, url: str, folder: Path):
        self.driver, self.url, self.folder = driver, url, folder
        resize(driver, *DESK)
        driver.get(url)
        self.until(lambda: self.all("#state[data-state=ready]"))

    def all(self, selector: str, inside: Any = None) -> list[Any]:
        return (inside or self.driver).find_elements("css selector", selector)

    def one(self, selector: str, inside: Any = None) -> Any:
        return (inside or self.driver).find_element("css selector", selector)

    def texts(self, selector: str, inside: Any = None) -> list[str]:
        return [found.text for found in self.all(selector, inside)]

    def until(self, condition: Callable[[], Any]) -> Any:
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.driver, 30, poll_frequency=0.05).until(lambda _: condition())

    def choose(self, **files: bytes) -> None:
        """Gives files to the file dialog's input; a name's underscore stands for its dot."""
        for name, data in files.items():
            (self.folder / name.replace("_", ".")).write_bytes(data)
        paths = [str(self.folder / name.replace("_", ".")) for name in files]
        self.one("#files").send_keys("\n".join(paths))

    def result(self) -> Any:
        """The one card, once it has its classes."""
        return self.until(lambda: self.all(".card:has(.classes)"))[0]

    def opacity(self) -> float:
        return float(self.one("canvas").value_of_css_property("opacity"))


@pytest.fixture
def visit(browser: Any, served: Any, tmp_path: Path) -> Iterator[Visit]:
    """A visit that may leave no error in the console, but for the browser's own line on a refused picture."""
    complaints(browser), requested(browser)
    yield Visit(browser, served.url, tmp_path)
    assert [line for line in complaints(browser) if not re.search(r"/api\?\S* - Failed to load", line)] == []


def assert_shows(visit: Visit, card: Any, expected: dict[str, Any]) -> None:
    """The card's classes and bars are the server's, in its order."""
    assert visit.texts(".name", card) == [name_in(label) for label in expected["labels"]]
    bars = visit.all("[role=meter]", card)
    values = [float(bar.get_attribute("aria-valuenow")) for bar in bars]
    assert values == pytest.approx([100 * share for share in expected["probabilities"]], abs=0.06)
    widths = [visit.one(".fill", bar).get_attribute("style") for bar in bars]
    drawn = [float(re.search(r"width: ([\d.e-]+)%", style)[1]) for style in widths]
    assert drawn == pytest.approx([100 * share for share in expected["probabilities"]], abs=0.01)


def test_a_chosen_picture_gets_the_servers_answer(visit):
    visit.choose(blots_png=picture(0))
    card = visit.result()
    assert_shows(visit, card, ask(visit.url, "blots.png", picture(0)))
    assert visit.texts("h3", card) == ["blots.png"]
    assert visit.all("#said p")[-1].get_attribute("textContent").startswith(f"blots.png: {visit.texts('.name')[0]}, ")
    visit.one(".top button", card).click()
    assert not visit.all(".card")
    assert visit.driver.switch_to.active_element == visit.one("#choose")


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_picture_dropped_or_pasted_gets_the_servers_answer(visit, how):
    visit.driver.execute_script(BRING, how, "<b>drop</b>.png", "image/png", base64.b64encode(picture(1)).decode())
    card = visit.result()
    assert_shows(visit, card, ask(visit.url, "drop.png", picture(1)))
    assert visit.texts("h3") == ["<b>drop</b>.png"], "a name is text alone"
    assert not visit.one("#veil").is_displayed()


def test_the_header_tells_of_the_server(visit):
    with urllib.request.urlopen(f"{visit.url}/status") as response:
        model = json.load(response)["models"][0]
    assert visit.one("#name").text == model["name"]
    assert visit.one("#size").text == f"{model['image_size']} px"
    assert visit.one("#classes").text == str(model["classes"])
    assert visit.one("#curl").text == f"curl -F image=@cat.jpg {visit.url}/api"


def test_a_file_that_is_no_image_says_so(visit):
    visit.choose(notes_txt=b"These are words.")
    error = visit.until(lambda: visit.all(".error"))[0]
    assert error.text.startswith("Not a picture the server can read\n")
    assert "The server says: " in error.text
    assert not visit.all("button", error) or not visit.one("button", error).is_displayed(), "again would not help"


def test_the_map_of_a_chosen_class(visit):
    visit.choose(blots_png=picture(2))
    card = visit.result()
    expected = ask(visit.url, "blots.png", picture(2))
    seen = visit.one(".seen", card).get_attribute("style")
    left, top, right, bottom = expected["box"]
    place = [float(number) for number in re.findall(r"([\d.e-]+)%", seen)]
    assert place == pytest.approx([100 * share for share in (left, top, right - left, bottom - top)], abs=0.01)
    drawings = []
    for k, button in enumerate(visit.all(".class", card)):
        button.click()
        assert [b.get_attribute("aria-pressed") == "true" for b in visit.all(".class", card)].index(True) == k
        shown, total = visit.driver.execute_script(DRAWN, visit.one("canvas", card))
        assert (shown > 0) == (np.max(expected["maps"][k]) > 0), "only what speaks for a class is coloured"
        drawings.append((shown, total))
    assert any(shown for shown, _ in drawings)
    assert len(set(drawings)) > 1
    assert visit.opacity() == pytest.approx(0.6)
    slider = visit.one("input[type=range]", card)
    slider.send_keys("\ue013")  # the arrow up, as someone without a mouse does
    assert visit.opacity() == pytest.approx(0.65)
    assert visit.one("output", card).text == "65 %"


def test_several_files_at_once_and_requests_to_this_server_alone(visit):
    files = {f"n{k}_png": picture(k) for k in range(4)}
    visit.choose(**files, bad_png=b"\x89PNG\r\n\x1a\n")
    visit.until(lambda: len(visit.all(".classes")) == 4 and visit.all(".error"))
    assert visit.texts("h3") == [*(f"n{k}.png" for k in range(4)), "bad.png"]
    for k, card in enumerate(visit.all(".card")[:4]):
        assert_shows(visit, card, ask(visit.url, f"n{k}.png", picture(k)))
    asked = requested(visit.driver)
    assert sum("/api?" in url for url in asked) == 5
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(visit.url).netloc}
    visit.one("#clear").click()
    assert not visit.all(".card")


def test_a_narrow_phone_scrolls_downwards_alone(visit):
    resize(visit.driver, *PHONE)
    visit.choose(**{f"{'long' * 30}_png": picture(3)}, tall_png=picture(4, 40, 160), notes_txt=b"words")
    visit.until(lambda: len(visit.all(".classes")) == 2 and visit.all(".error"))
    wide, room = widths(visit.driver)
    assert wide <= room <= PHONE[0]


def test_copies_say_what_the_server_said(visit):
    visit.choose(blots_png=picture(5))
    card = visit.result()
    visit.driver.execute_script("navigator.clipboard.writeText = async (text) => { window.copied = text; };")
    text, whole = visit.all(".actions button:not([hidden])", card)
    expected = ask(visit.url, "blots.png", picture(5))
    whole.click()
    copied = json.loads(visit.driver.execute_script("return copied"))
    assert {key: copied[key] for key in expected if key != "maps"} == {
        key: value for key, value in expected.items() if key != "maps"
    }
    text.click()
    lines = visit.driver.execute_script("return copied").splitlines()
    assert lines[0] == "blots.png"
    assert [line.split("%  ")[1] for line in lines[1:]] == expected["labels"]


def test_a_busy_server_is_asked_again(visit):
    visit.driver.execute_script(
        BETWEEN % '() => (window.asked = (window.asked ?? 0) + 1) < 2 && [429, {"Retry-After": 1}]'
    )
    visit.choose(blots_png=picture(6))
    visit.until(lambda: visit.texts(".progress") == ["The server is busy, trying again in 1 s"])
    visit.result()


def test_a_server_out_of_reach_is_asked_again_on_demand(visit):
    visit.driver.execute_script(BETWEEN % '() => (window.asked = (window.asked ?? 0) + 1) < 2 && new TypeError("lost")')
    visit.choose(blots_png=picture(7))
    error = visit.until(lambda: visit.all(".error"))[0]
    assert error.text.startswith("Cannot reach the server\n")
    visit.one("button", error).click()
    visit.result()


def test_a_token_is_asked_for_and_kept_for_the_tab(visit):
    wanted = '(options) => options.headers.Authorization !== "Bearer right" && [401]'
    visit.driver.execute_script(BETWEEN % wanted)
    assert not visit.one("#access").is_displayed()
    visit.choose(one_png=picture(8), two_png=picture(9))
    visit.until(lambda: visit.one("#access").is_displayed())
    assert visit.one("#access-why").text.startswith("This server asks for an access token.")
    visit.one("#token").send_keys("wrong\n")
    visit.until(lambda: visit.one("#access-why").text.startswith("The server does not take this token."))
    visit.one("#token").send_keys("right\n")
    visit.until(lambda: len(visit.all(".classes")) == 2)
    assert not visit.one("#access").is_displayed()
    assert visit.driver.execute_script("return [...Object.values(sessionStorage)]") == ["right"]
    visit.driver.execute_script("sessionStorage.clear()")
