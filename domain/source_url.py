"""What a URL in a source's configuration may be.

A request never leaves the host that the file names: placeholders stand in path and query only.
"""

import ipaddress
import re
from urllib.parse import urlsplit

_JOB_ID = re.compile(r"\{job_id\}")
_MEMBER = re.compile(r"\{job(\.[A-Za-z_][A-Za-z0-9_]*)+\}")
_URL_TEXT = re.compile(r"[!-\[\]-~]+")  # no backslash: URL parsers differ in what it means


def is_loopback(host: str) -> bool:
    """Whether the host is this machine: 127.0.0.0/8, ::1 or localhost."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_faults(url: str, *, allow_http: bool) -> list[str]:
    """What makes a URL unfit for a request, in texts that do not repeat it."""
    try:
        parts = urlsplit(url)
        fit = parts.hostname and parts.port != 0 and _URL_TEXT.fullmatch(url)
    except ValueError:  # a port that is no number, half an IPv6 address
        fit = None
    if not fit or parts.scheme not in {"http", "https"}:
        return ["must be an http or https URL, in ASCII and without spaces"]
    faults = []
    if "@" in parts.netloc:
        faults.append("must not hold a user name or password; that is what auth is for")
    if parts.fragment:
        faults.append("must not have a fragment")
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname or ""):
        faults.append("must be https, or the source must say allow_http = true")
    return faults


def template_faults(url: str, *, of_one_job: bool, named: bool = False) -> list[str]:
    """What is wrong with the placeholders of a URL.

    Args:
        url: The URL with its placeholders.
        of_one_job: Whether it is about a job that is there; else it starts one.
        named: Whether the body of the request says which job it is about.
    """
    placeholder, known = (_JOB_ID, "{job_id}") if of_one_job else (_MEMBER, "{job.NAME}")
    path_and_query = re.sub("^[A-Za-z]+://[^/?#]*", "", url)
    faults = []
    if not of_one_job and "{job_id}" in url:
        faults.append("must not hold {job_id}: there is no job yet")
    elif re.search("[{}]", placeholder.sub("", url)):
        faults.append(f"has a placeholder other than {known}")
    in_all, in_place = (len(placeholder.findall(text)) for text in (url, path_and_query))
    if in_place < in_all or (of_one_job and not in_all and not named):
        faults.append(f"must hold {known}, in its path or query and nowhere else")
    return faults
