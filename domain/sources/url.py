"""Which URLs a source may have. `domain.sources.template` fills their placeholders."""

import ipaddress
import re
from urllib.parse import urlsplit

_URL_TEXT = re.compile(r"[!-\[\]-~]+")  # no backslash: URL parsers differ in its meaning


def is_loopback(host: str) -> bool:
    """Whether the host is this machine: 127.0.0.0/8, ::1 or localhost."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_faults(url: str, *, allow_http: bool) -> list[str]:
    """The faults that make a URL unfit for a request, in texts that do not repeat it."""
    try:
        parts = urlsplit(url)
        fit = parts.hostname and parts.port != 0 and _URL_TEXT.fullmatch(url)
    except ValueError:  # a port that is no number, half an IPv6 address
        fit = None
    if not fit or parts.scheme not in {"http", "https"}:
        return ["must be an http or https URL, in ASCII and without spaces"]
    faults = []
    if "@" in parts.netloc:
        faults.append("must not hold a user name or password; they go into auth")
    if parts.fragment:
        faults.append("must not have a fragment")
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname or ""):
        faults.append("must be https, or the source must say allow_http = true")
    return faults
