"""Web pages of one file: a template with style, script and data in their places, and a policy that holds them there."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple


class Page(NamedTuple):
    """A page, and the Content-Security-Policy under which it works: its own script may run, and no other."""

    html: str
    policy: str


def build_page(
    package: str, name: str, scripts: Sequence[str], allowed: Sequence[str] = (), data: dict[str, Any] | None = None
) -> Page:
    """Puts a page together from the files in `page/` of a package, and of this one what all pages share.

    Args:
      package: whose `page/` has NAME.html, with places such as {{style}}, and NAME.css.
      name: of the page.
      scripts: names of the files that make up its script, in their order; they go on from `elements.js`.
      allowed: directives of the policy beyond the page's own style and script, such as "img-src data:".
      data: for the place {{data}}, as JSON that cannot end the element that holds it.

    Returns:
      A `Page`, whose policy is at {{policy}} too if the template has that place.
    """
    shared, files = (resources.files(each).joinpath("page") for each in (__package__, package))
    sources = [shared.joinpath("elements.js"), *map(files.joinpath, scripts)]
    script = "".join(part.read_text(encoding="utf-8") for part in sources)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    own = ("default-src 'none'", f"script-src 'sha256-{digest}'", "style-src 'unsafe-inline'")
    parts = {
        "policy": "; ".join([*own, *allowed, "base-uri 'none'", "form-action 'none'"]),
        "style": files.joinpath(f"{name}.css").read_text(encoding="utf-8"),
        "script": script,
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    }
    template = files.joinpath(f"{name}.html").read_text(encoding="utf-8")
    html = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)  # once: what is put in is not read again
    return Page(html, parts["policy"])
