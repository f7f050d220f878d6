"""Tokens of an OAuth2 server, for the app's own credentials (RFC 6749, section 4.4).

The request goes out like those of the source: with its certificates, within its time and size.
"""

import re
import time
from datetime import datetime
from urllib.parse import quote

from azure.core.credentials import AccessToken
from pydantic import SecretStr

from adapters.exchange import NoAnswer, exchange
from adapters.identity import NoToken
from domain.outcome import Outcome
from domain.sources.answer import Answer
from domain.sources.auth import BasicAuth, NoAuth, OAuth2Auth
from domain.sources.peer import Peer
from domain.sources.request import Request

_LIFETIME = 600  # seconds, where the server does not say it
_SERVER_ERROR = 500
_OK, _BUSY = 200, 429
_CODE = re.compile(r"[a-z_]{1,64}")  # section 5.2: invalid_client, invalid_scope


def fetch_token(peer: Peer, auth: OAuth2Auth, now: datetime) -> AccessToken:
    """A new token.

    Args:
        peer: Whose requests it is for.
        auth: Its auth.
        now: The time, with an offset; the token's lifetime begins then.

    Raises:
        NoToken: The server gave none.
    """
    fields = {"grant_type": "client_credentials", "scope": auth.scope, **auth.parameters}
    secret = auth.client_secret.get_secret_value()
    asking = peer.model_copy(update={"auth": NoAuth()})
    if auth.credentials_in == "body":
        fields |= {"client_id": auth.client_id, "client_secret": secret}
    else:  # each encoded as in a form, says section 2.3.1
        pair = (quote(each, safe="") for each in (auth.client_id, secret))
        username, password = pair
        basic = BasicAuth(kind="basic", username=username, password=SecretStr(password))
        asking = peer.model_copy(update={"auth": basic})
    request = Request(
        method="POST",
        url=auth.token_url,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body={name: value for name, value in fields.items() if value},
    )
    where = f"no token from {auth.token_url}"
    try:
        answer = exchange(asking, request, time.monotonic() + peer.http.timeout_seconds)
    except NoAnswer as trouble:
        raise NoToken(f"{where}: {trouble}", Outcome.UNREACHABLE) from None
    if answer.http_status != _OK:
        passing = answer.http_status >= _SERVER_ERROR or answer.http_status == _BUSY
        outcome = Outcome.UNREACHABLE if passing else Outcome.UNAUTHORIZED
        raise NoToken(f"{where}: {_refusal(answer)}", outcome)
    body = answer.content.value
    token = body.get("access_token") if isinstance(body, dict) else None
    if not isinstance(token, str) or not token:
        # The answer is not quoted: it may hold a token under another name.
        raise NoToken(f"{where}: its answer holds no access_token", Outcome.UNREACHABLE)
    try:
        lifetime = int(body.get("expires_in") or _LIFETIME)
    except (TypeError, ValueError):
        lifetime = _LIFETIME
    return AccessToken(token, int(now.timestamp()) + lifetime)


def _refusal(answer: Answer) -> str:
    """The HTTP status and the error code of a refusal.

    Its other words may repeat the credentials, and this goes into the row.
    """
    body = answer.content.value
    code = body.get("error") if isinstance(body, dict) else None
    known = isinstance(code, str) and _CODE.fullmatch(code)
    return f"{answer.http_word} {code}" if known else answer.http_word
