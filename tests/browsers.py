"""A Chromium for tests of pages, and what every page promises of itself in one."""

import json
import os
import shutil
from typing import Any
from urllib.parse import urlsplit

import pytest

PHONE, DESK = (360, 740), (1280, 900)


def open_browser() -> Any:
    """A driver of a new Chromium; skips without one, unless the environment says that there must be one."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    try:
        from selenium import webdriver
    except ImportError:
        programs.append(None)
    if None in programs:
        lacking = "no browser to test the page in: needs chromium, chromedriver and selenium"
        if os.environ.get("GOOGLENET_JAX_BROWSER") == "required":
            pytest.fail(lacking)
        pytest.skip(lacking)
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))


def resize(driver: Any, width: int, height: int) -> None:
    """Gives the page a window of this size, in its own pixels."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def widths(driver: Any) -> tuple[int, int]:
    """How wide the page is, and how wide it may be without being scrolled sideways."""
    return tuple(
        driver.execute_script("const root = document.documentElement; return [root.scrollWidth, root.clientWidth]")
    )


def requested(driver: Any) -> list[str]:
    """Addresses that the page asked for since this was called last; not those that hold their answer themselves."""
    lines = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [line["params"]["request"]["url"] for line in lines if line["method"] == "Network.requestWillBeSent"]
    return [url for url in asked if urlsplit(url).scheme not in ("data", "blob")]


def complaints(driver: Any) -> list[str]:
    """Errors in the page's console since this was called last."""
    return [line["message"] for line in driver.get_log("browser") if line["level"] == "SEVERE"]
