"""The connection to the server: its URL, and the proof of the caller. Sync and async alike.

A key travels in a header and never in a URL, since URLs are logged. Neither a key nor a token goes
over plain HTTP to another machine, and redirects are not followed: the header would go along.
"""

import ipaddress
import time
from collections.abc import AsyncGenerator, Awaitable, Generator
from importlib.metadata import PackageNotFoundError, version
from inspect import isawaitable
from typing import Any, Protocol

import anyio.to_thread
import httpx

from job_monitor.core.answer import Answer
from job_monitor.core.calls import Call
from job_monitor.core.errors import NotConfigured, SignInFailed
from job_monitor.core.steps import Failed
from job_monitor.settings import read_settings

REQUEST_TIMEOUT = 100.0
"""Seconds that one request may take: a start waits for the source, whose limit is its own."""

_CONNECT_TIMEOUT = 10.0
_RENEW_BEFORE = 300.0  # seconds before a token expires
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def _version() -> str:
    try:
        return version("job-monitor-client")
    except PackageNotFoundError:  # run from its source, without an installation
        return "0"


VERSION = _version()


class AccessToken(Protocol):
    """A token, as azure-core has it. `expires_on` is in seconds since 1970."""

    @property
    def token(self) -> str:
        """The token."""
        ...

    @property
    def expires_on(self) -> int:
        """When it expires."""
        ...


class Credential(Protocol):
    """A credential of azure-identity, sync or async."""

    def get_token(self, *scopes: str) -> AccessToken | Awaitable[AccessToken]:
        """A token for the scopes."""
        ...


class EntraId(httpx.Auth):
    """Sign in with Entra ID. A token is kept until shortly before its end."""

    def __init__(self, scope: str, credential: Credential | None) -> None:
        self._scope = scope
        self._credential = credential or _default_credential()
        self._token = ""
        self._expires_on = 0.0

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Add a token."""
        if not self._fresh:
            try:
                token = self._credential.get_token(self._scope)
            except Exception as error:  # a credential may raise anything
                raise self._failed(error) from error
            if isawaitable(token):
                raise NotConfigured("The sync client needs a sync credential.")
            self._keep(token)
        yield self._signed(request)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add a token; a sync credential is asked in a thread."""
        if not self._fresh:
            try:
                token = await anyio.to_thread.run_sync(self._credential.get_token, self._scope)
                self._keep(await token if isawaitable(token) else token)
            except Exception as error:
                raise self._failed(error) from error
        yield self._signed(request)

    @property
    def _fresh(self) -> bool:
        return time.time() < self._expires_on - _RENEW_BEFORE

    def _failed(self, error: Exception) -> SignInFailed:
        return SignInFailed(f"Entra ID gave no token for {self._scope}: {error}")

    def _keep(self, token: AccessToken) -> None:
        self._token, self._expires_on = token.token, float(token.expires_on)

    def _signed(self, request: httpx.Request) -> httpx.Request:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _default_credential() -> Credential:
    try:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - an extra
    except ImportError:
        what = "Entra ID needs azure-identity: pip install 'job-monitor-client[azure]'"
        raise NotConfigured(what) from None
    credential: Credential = DefaultAzureCredential()
    return credential


class Connection:
    """The arguments for httpx, made from the settings.

    Raises:
        NotConfigured: A setting can't be used.
    """

    def __init__(
        self,
        url: str | None,
        key: str | None,
        scope: str | None,
        credential: Credential | None,
        timeout: float,
    ) -> None:
        settings = read_settings()
        if key is None and scope is None:
            key, scope = settings.key, settings.scope
        if key and scope:
            raise NotConfigured("Give a key or a scope (JOBMON_KEY, JOBMON_SCOPE), not both.")
        if credential and not scope:
            raise NotConfigured("A credential needs a scope (JOBMON_SCOPE).")
        self.url = checked_url(url or settings.url, secret=bool(key or scope))
        if key and not (key.isascii() and key.isprintable()):
            raise NotConfigured("The key (JOBMON_KEY) must be of printable ASCII characters.")
        headers = {"Accept": "application/json", "User-Agent": f"job-monitor-client/{VERSION}"}
        if key:
            headers["x-functions-key"] = key
        self.options: dict[str, Any] = {
            "base_url": self.url,
            "headers": headers,
            "auth": EntraId(scope, credential) if scope else None,
            "timeout": httpx.Timeout(timeout, connect=min(timeout, _CONNECT_TIMEOUT)),
            # A proxy of the environment does not lead to this machine.
            "trust_env": not _is_here(httpx.URL(self.url).host),
        }

    @staticmethod
    def arguments(call: Call[Any]) -> dict[str, Any]:
        """A call, for `request` of httpx."""
        headers = dict(call.headers)
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        return {
            "method": call.method,
            "url": call.path,
            "params": call.query or None,
            "content": call.body,
            "headers": headers,
        }

    @staticmethod
    def answer(response: httpx.Response, began: float) -> Answer:
        """An answer of httpx; `began` is on the monotonic clock."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        seconds = time.monotonic() - began
        return Answer(response.status_code, headers, response.content, seconds)

    def failed(self, error: httpx.HTTPError, began: float) -> Failed:
        """An error of httpx."""
        why = str(error) or type(error).__name__
        return Failed(
            f"No answer from {self.url}: {why}.",
            reached=not isinstance(error, _NEVER_SENT),
            seconds=time.monotonic() - began,
        )


def checked_url(url: str, *, secret: bool = False) -> str:
    """The URL of the server, without a slash at its end."""
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise NotConfigured(f"The URL of the server (JOBMON_URL) is not valid: {error}.") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise NotConfigured("The URL of the server (JOBMON_URL) must begin with https://.")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise NotConfigured("The URL (JOBMON_URL) must hold no key: that goes to JOBMON_KEY.")
    if secret and parsed.scheme == "http" and not _is_here(parsed.host):
        raise NotConfigured("A key or token goes over https only, or to this machine (JOBMON_URL).")
    return str(parsed).rstrip("/").removesuffix("/api")


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
