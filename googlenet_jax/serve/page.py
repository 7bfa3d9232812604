"""The server's web page: one file that asks this server alone, and the policy that holds it to that."""

import base64
import functools
import hashlib
import re
from importlib import resources
from typing import NamedTuple

_SCRIPTS = ("page.js", "page_server.js", "page_map.js", "page_card.js", "page_queue.js")


class Page(NamedTuple):
    """What `GET /` answers: the page, and its header Content-Security-Policy."""

    html: bytes
    policy: str


@functools.cache
def page() -> Page:
    """The template with style and script in their places, and a policy that lets this script alone run.

    Returns:
      A `Page`, the same for every request: the page asks the server for all that depends on it.
    """
    files = resources.files(__package__).joinpath("page")
    script = "".join(files.joinpath(name).read_text(encoding="utf-8") for name in _SCRIPTS)
    parts = {"style": files.joinpath("page.css").read_text(encoding="utf-8"), "script": script}
    template = files.joinpath("page.html").read_text(encoding="utf-8")
    html = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)  # once: what is put in is not read again
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(html.encode(), policy)
