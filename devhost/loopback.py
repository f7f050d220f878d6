"""Which requests a server on 127.0.0.1 without keys refuses: those of foreign web pages.

A browser sends a page's requests to any address, and says whose they are: in `Origin`, in
`Sec-Fetch-Site`, or in `Host` when a name of the page's own leads to 127.0.0.1. What sends none of
them, such as curl, is a program of this machine, and is let through.
"""

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web


def foreign(request: web.Request) -> str:
    """Why a request does not come from this machine's own; empty if it does."""
    try:
        # That of an absolute target, and that of the Host header.
        hosts = {request.url.host or "", _host_of(f"//{request.host}")}
    except ValueError:
        hosts = {request.headers.get("Host", "")}
    if foreign := [host for host in hosts if not _is_loopback(host)]:
        return f"The host {foreign[0]!r} is not this machine's own: use 127.0.0.1 or localhost."
    origin = request.headers.get("Origin")
    if origin is not None and not _is_loopback(_host_of(origin)):
        return f"A page of the origin {origin!r} may not call this host."
    if request.headers.get("Sec-Fetch-Site", "").lower() in ("cross-site", "same-site"):
        page = origin or request.headers.get("Referer", "")
        if not _is_loopback(_host_of(page)):
            return "A page of another site may not call this host."
    return ""


def _host_of(url: str | None) -> str:
    try:
        return urlsplit(url or "").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
