"""Where a request comes from, judged by its headers."""

import re

from starlette.datastructures import Headers

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}  # they change nothing
_LOCAL_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")


def without_port(host: str) -> str:
    """Return what a Host header names, without its port."""
    return re.sub(r":\d*$", "", host)


def other_site(method: str, headers: Headers, *, has_session: bool) -> str:
    """Return why a request may have been made by another site's page; empty when it was not.

    A browser says by ``Sec-Fetch-Site`` who made a request; over plain http to another machine it
    does not, but then sends ``Origin``. Without both it is no browser and no page can have made
    it; but whoever brings a browser's session is to say where from.

    References
    ----------
    .. [1] OWASP, Cross-Site Request Forgery Prevention: Fetch Metadata headers.
    .. [2] Go, net/http: CrossOriginProtection.
    """
    if method in SAFE_METHODS:
        return ""
    fetch_site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if fetch_site is not None:
        return (
            "" if fetch_site in ("same-origin", "none") else "another site's page sent the request"
        )
    if origin is not None:
        same = origin.partition("://")[2] == headers.get("host", "") != ""
        return "" if same else f"the request came from a page of {origin[:100]}"
    if has_session:
        return "the request does not say from which page it comes (a script sends Origin)"
    return ""


def local_path(target: str) -> str:
    """Return a path on this site to go on to; the first page, if another site is meant."""
    return target if _LOCAL_PATH.fullmatch(target) else "/"
