"""The server's web page: one file that asks this server alone, and the policy that holds it to that."""

import functools

from googlenet_jax.system.pages import Page, build_page

_SCRIPTS = ("page.js", "page_server.js", "page_map.js", "page_card.js", "page_queue.js")
_ALLOWED = ("img-src 'self' data: blob:", "connect-src 'self'", "frame-ancestors 'none'")


@functools.cache
def page() -> Page:
    """What `GET /` answers: the page, and its header Content-Security-Policy.

    Returns:
      A `Page`, the same for every request: the page asks the server for all that depends on it.
    """
    return build_page("googlenet_jax.serve", "page", _SCRIPTS, _ALLOWED)
