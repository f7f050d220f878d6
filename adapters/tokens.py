"""Access tokens for sources that are asked under the app's own identity, or with an OAuth2 client.

A token is kept until shortly before it expires. One that a source refused is replaced by asking
with a new credential, since a credential keeps tokens, too. Threads that need the same token wait
for one of them to get it.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from threading import Lock

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from pydantic import SecretStr

from adapters.clock import utc_now
from adapters.identity import Identity, NoToken, app_identity
from adapters.oauth2 import fetch_token
from domain.outcome import Outcome
from domain.sources.answer import clean
from domain.sources.auth import BearerAuth, ManagedIdentityAuth, OAuth2Auth
from domain.sources.source import Source

_SPARE_SECONDS = 300  # clocks differ, and a token must outlast the request that it goes with
_REASON_SHOWN = 200
_Key = tuple[str, str]
_TokenAuth = ManagedIdentityAuth | OAuth2Auth


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
        self._locks: dict[_Key, Lock] = defaultdict(Lock)

    def with_credentials(self, source: Source, refused: Source | None = None) -> Source:
        """The source as it is to be asked: with a token if it takes one, else unchanged.

        Args:
            source: A source as configured.
            refused: What this gave before, if the source did not accept that token.

        Raises:
            NoToken: There is none to be had.
        """
        auth = source.auth
        if not isinstance(auth, _TokenAuth):
            return source
        key = _key(auth)
        with self._locks[key]:
            old = self._tokens.get(key)
            if old and refused and refused.auth == _bearer(old):
                self._credentials.pop(key, None)
                old = None
            if old is None or old.expires_on - _SPARE_SECONDS <= self._now().timestamp():
                self._tokens.pop(key, None)
                old = self._tokens[key] = self._new(source, auth, key)
        return source.model_copy(update={"auth": _bearer(old)})

    def _new(self, source: Source, auth: _TokenAuth, key: _Key) -> AccessToken:
        scope = auth.scope
        try:
            if isinstance(auth, OAuth2Auth):
                token = fetch_token(source, auth, self._now())
            else:
                if key not in self._credentials:
                    self._credentials[key] = self._make(auth.client_id)
                token = self._credentials[key].get_token(scope)
            _bearer(token)  # it raises for a token that can't be sent
        except (AzureError, ValueError) as error:
            # Wrong or missing rights are for people to put right; the rest may pass.
            wrong = isinstance(error, ClientAuthenticationError | ValueError)
            reason = clean(source, str(error).partition("\n")[0], _REASON_SHOWN)
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
