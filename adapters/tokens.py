"""Access tokens for peers that are asked under the app's own identity, or with an OAuth2 client.

A token is kept until shortly before it expires. One that a peer refused is replaced by asking
with a new credential, since a credential keeps tokens, too. A thread of its own asks for a token,
and all that need the token wait for that, each as long as its request has time. If no token could
be had, nobody asks again for some seconds.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from threading import Lock
from typing import NamedTuple, TypeVar

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from pydantic import SecretStr

from adapters.clock import utc_now
from adapters.identity import Identity, NoToken, app_identity
from adapters.oauth2 import fetch_token
from domain.outcome import Outcome
from domain.sources.answer import clean
from domain.sources.auth import BearerAuth, ManagedIdentityAuth, OAuth2Auth
from domain.sources.peer import Peer

_SPARE_SECONDS = 300  # clocks differ, and a token must outlast the request that it goes with
_REASON_SHOWN = 200
_FAILURE_KEPT_SECONDS = 10
_AT_ONCE = 4
_Key = tuple[str, str]
P = TypeVar("P", bound=Peer)
_TokenAuth = ManagedIdentityAuth | OAuth2Auth


class _Failure(NamedTuple):
    """Why there was no token, and when, in seconds since 1970."""

    at: float
    text: str
    outcome: Outcome

    def error(self) -> NoToken:
        return NoToken(self.text, self.outcome)


class Tokens:
    """The tokens of this process; safe to use from several threads."""

    def __init__(
        self,
        credential: Identity | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._make = credential or app_identity({})
        self._now = now
        self._credentials: dict[_Key, TokenCredential] = {}
        self._tokens: dict[_Key, AccessToken] = {}
        self._failures: dict[_Key, _Failure] = {}
        self._asked: dict[_Key, Future[AccessToken]] = {}
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(_AT_ONCE, "token")

    def with_credentials(
        self, peer: P, refused: P | None = None, deadline: float | None = None
    ) -> P:
        """The peer as it is to be asked: with a token if it takes one, else unchanged.

        Args:
            peer: A source or a receiver as configured.
            refused: What this gave before, if the peer did not accept that token.
            deadline: When to give up, on the clock of `time.monotonic`; None for never.

        Raises:
            NoToken: There is none to be had.
        """
        auth = peer.auth
        if not isinstance(auth, _TokenAuth):
            return peer
        key = _key(auth)
        with self._lock:
            old = self._tokens.get(key)
            if old and refused and refused.auth == _bearer(old):
                self._tokens.pop(key)
                self._credentials.pop(key, None)
                old = None
            now = self._now().timestamp()
            if old and old.expires_on - _SPARE_SECONDS > now:
                return peer.model_copy(update={"auth": _bearer(old)})
            failure = self._failures.get(key)
            if failure and 0 <= now - failure.at < _FAILURE_KEPT_SECONDS:
                raise failure.error()
            asked = self._asked.get(key)
            if asked is None:
                asked = self._asked[key] = self._threads.submit(self._ask, peer, auth, key)
        left = None if deadline is None else max(deadline - time.monotonic(), 0)
        try:
            return peer.model_copy(update={"auth": _bearer(asked.result(left))})
        except TimeoutError:
            what = f"no token within {peer.http.timeout_seconds:g} s, for {auth.scope}"
            raise NoToken(what, Outcome.UNREACHABLE) from None

    def _ask(self, peer: Peer, auth: _TokenAuth, key: _Key) -> AccessToken:
        """Ask for a token, and keep it or the failure for the next."""
        try:
            token = self._new(peer, auth, key)
        except NoToken as error:
            with self._lock:
                at = self._now().timestamp()
                self._failures[key] = _Failure(at, str(error), error.outcome)
            raise
        else:
            with self._lock:
                self._tokens[key] = token
                self._failures.pop(key, None)
            return token
        finally:
            with self._lock:
                del self._asked[key]

    def _new(self, peer: Peer, auth: _TokenAuth, key: _Key) -> AccessToken:
        scope = auth.scope
        try:
            if isinstance(auth, OAuth2Auth):
                token = fetch_token(peer, auth, self._now())
            else:
                if key not in self._credentials:
                    self._credentials[key] = self._make(auth.client_id)
                token = self._credentials[key].get_token(scope)
            _bearer(token)  # it raises for a token that can't be sent
        except (AzureError, ValueError) as error:
            # Wrong or missing rights are for people to put right; the rest may pass.
            wrong = isinstance(error, ClientAuthenticationError | ValueError)
            reason = clean(peer, str(error).partition("\n")[0], _REASON_SHOWN)
            raise NoToken(
                f"the app's identity got no token for {scope}: {reason}",
                Outcome.UNAUTHORIZED if wrong else Outcome.UNREACHABLE,
            ) from None
        return token


def _key(auth: _TokenAuth) -> _Key:
    """All that a token depends on."""
    return auth.model_dump_json(exclude={"client_secret"}), _secret(auth)


def _secret(auth: _TokenAuth) -> str:
    return auth.client_secret.get_secret_value() if isinstance(auth, OAuth2Auth) else ""


def _bearer(token: AccessToken) -> BearerAuth:
    return BearerAuth(kind="bearer", token=SecretStr(token.token))
