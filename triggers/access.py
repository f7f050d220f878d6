"""Who may call a route, and who did.

With `AUTH=keys` the host asks for a key before it calls a function. With `AUTH=entra` the routes
are anonymous to the host, and each handler asks for a role:

1. The authentication of the platform must be on, says `WEBSITE_AUTH_ENABLED`. Only then it has
   checked the caller, and has taken the headers `X-MS-CLIENT-PRINCIPAL*` of the caller away.
2. `X-MS-CLIENT-PRINCIPAL` must be there: the claims of a token that the platform has checked.
3. One of the claims must be the role that the route needs.
4. A request that changes something must bring its token in a header. If it does not, a browser may
   have added a cookie to what another site asks for. Then only the page of this app is let in: its
   requests have a header that no other site may add, JSON as their type, and this origin.

A request with such a header that the platform cannot have set is refused, whatever `AUTH` says.
Sources: https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities and
https://learn.microsoft.com/entra/identity-platform/howto-add-app-roles-in-apps.
"""

import base64
import binascii
import functools
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Concatenate, NamedTuple, ParamSpec, cast
from urllib.parse import urlsplit

import azure.functions as func

from adapters.settings import read_access
from domain.errors import ConfigurationFault, Forbidden, Unauthenticated

P = ParamSpec("P")
Handler = Callable[Concatenate[func.HttpRequest, P], Awaitable[func.HttpResponse]]

BY_KEY = "key"
"""The caller, where the host has asked for a key: nobody knows whose."""

_HEADERS = "x-ms-client-principal"
_PROVIDER = "aad"
_ROLE_CLAIMS = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
# The first that a token has. Applications have no name of a person, but an id.
_NAME_CLAIMS = ("preferred_username", "upn", "name", "azp", "appid")
_NAME_LENGTH = 128
_READING = ("GET", "HEAD")


class Role(StrEnum):
    """The app roles of Microsoft Entra ID that the routes ask for; none includes another."""

    READ = "read"
    START = "start"
    STOP = "stop"


class Principal(NamedTuple):
    """A caller whom the platform has checked."""

    name: str
    roles: frozenset[str]


def route_level() -> func.AuthLevel:
    """The level of routes that name none. A setting that is not understood opens nothing."""
    return func.AuthLevel.ANONYMOUS if uses_roles() else func.AuthLevel.FUNCTION


def uses_roles() -> bool:
    """Whether roles decide, and not keys."""
    try:
        return read_access().entra
    except ConfigurationFault:
        return False


def requires(role: Role) -> Callable[[Handler[P]], Handler[P]]:
    """Have a handler refuse callers without the role, before it does anything else.

    The handler raises `Unauthenticated` for a caller whom the platform has not checked, and
    `Forbidden` for one without the role, and for a change that another site may have asked for.
    """

    def decorate(handler: Handler[P]) -> Handler[P]:
        @functools.wraps(handler)
        async def checked(
            req: func.HttpRequest, *args: P.args, **kwargs: P.kwargs
        ) -> func.HttpResponse:
            principal = _principal(req)
            if read_access().entra:
                if principal is None:
                    raise Unauthenticated("Nobody is signed in.")
                if role not in principal.roles:
                    raise Forbidden(f"The role {role} is needed here.")
                if faults := list(_foreign(req)):
                    what = "A change needs its token in the header Authorization, or all of: "
                    raise Forbidden(what + ", ".join(faults) + ".")
            return await handler(req, *args, **kwargs)

        vars(checked)["role"] = role  # for the description of the API
        return cast("Handler[P]", checked)  # it has the signature of the handler

    return decorate


def caller(req: func.HttpRequest) -> str:
    """Who asks, for the log: the name of the principal, else `key`."""
    principal = _principal(req)
    return principal.name if principal else BY_KEY


def roles_of(req: func.HttpRequest) -> set[Role]:
    """The roles of a caller; all of them where a key opens every route."""
    principal = _principal(req)
    if not read_access().entra:
        return set(Role)
    return {role for role in Role if principal and role in principal.roles}


def _foreign(req: func.HttpRequest) -> Iterator[str]:
    """What a change lacks that a cookie, and not a token in a header, may have signed in."""
    headers = req.headers
    token = headers.get("authorization", "").lower().startswith("bearer ")
    if req.method in _READING or token or "x-zumo-auth" in headers:
        return
    if not headers.get("x-requested-with"):
        yield "the header X-Requested-With"
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        yield "the Content-Type application/json"
    # A proxy may ask the app under another name, and then tells the name that its caller used.
    own = {urlsplit(req.url).netloc, headers.get("x-forwarded-host", "")} - {""}
    if headers.get("origin", "").partition("://")[2] not in own:
        yield "this app's own Origin"


def _principal(req: func.HttpRequest) -> Principal | None:
    """The caller whom the platform has checked, None if there is none.

    Raises:
        Unauthenticated: The request claims what the platform has not set.
    """
    headers = {name.lower(): value for name, value in req.headers.items()}
    claimed = [name for name in headers if name.startswith(_HEADERS)]
    access = read_access()
    if not access.platform:
        if claimed:
            raise Unauthenticated(f"{claimed[0]} was not set by the platform.")
        if access.entra:
            raise Unauthenticated("The authentication of the platform is off.")
        return None
    if _HEADERS not in headers:
        return None
    try:
        told = json.loads(base64.b64decode(headers[_HEADERS], validate=True))
    except (binascii.Error, ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or told.get("auth_typ") not in (None, "", _PROVIDER):
        raise Unauthenticated(f"{_HEADERS} is not that of Microsoft Entra ID.")
    return _read_principal(told, headers)


def _read_principal(told: Mapping[str, Any], headers: Mapping[str, str]) -> Principal:
    claims = [claim for claim in _list(told.get("claims")) if isinstance(claim, dict)]
    pairs = [(claim.get("typ"), claim.get("val")) for claim in claims]
    texts = [(typ, val) for typ, val in pairs if isinstance(typ, str) and isinstance(val, str)]
    roles = {val for typ, val in texts if typ in (*_ROLE_CLAIMS, told.get("role_typ"))}
    named = dict(reversed(texts))
    names = [named.get(typ, "") for typ in (*_NAME_CLAIMS, str(told.get("name_typ")))]
    names += [headers.get(f"{_HEADERS}-{what}", "") for what in ("name", "id")]
    shown = ("".join(filter(str.isprintable, name)).strip() for name in names)
    return Principal(next(filter(None, shown), "unknown")[:_NAME_LENGTH], frozenset(roles))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
