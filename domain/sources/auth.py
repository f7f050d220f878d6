"""The credentials that go with the requests to a source."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo

from domain.sources.url import url_faults

_HEADER_TEXT = re.compile(r"[!-~]([ -~]*[!-~])?")


class Table(BaseModel):
    """A table of the sources' file: nothing in it may be unknown."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False
    )


def header_text(text: str) -> str:
    """The text, if it can be sent as the value of a header; else ValueError."""
    if not _HEADER_TEXT.fullmatch(text):
        raise ValueError("must be ASCII text, without line breaks or spaces around it")
    return text


def _header_secret(secret: SecretStr) -> SecretStr:
    header_text(secret.get_secret_value())
    return secret


HeaderSecret = Annotated[SecretStr, AfterValidator(_header_secret)]


def _token_url(url: str, info: ValidationInfo) -> str:
    faults = url_faults(url, allow_http=(info.context or {}).get("allow_http") is True)
    if faults:
        raise ValueError("; ".join(faults))
    return url


class NoAuth(Table):
    """The source asks for no credentials."""

    kind: Literal["none"] = "none"


class BearerAuth(Table):
    """A token in the Authorization header."""

    kind: Literal["bearer"]
    token: HeaderSecret


class HeaderAuth(Table):
    """A secret in a header of the source's own."""

    kind: Literal["header"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    value: HeaderSecret


class BasicAuth(Table):
    """User name and password (RFC 7617), sent as UTF-8."""

    kind: Literal["basic"]
    username: Annotated[str, Field(pattern=r"^[^:]*$")]
    password: SecretStr


class ManagedIdentityAuth(Table):
    """A token of Microsoft Entra ID for the identity that the app runs under.

    Getting it is I/O: an adapter does that, and goes on with `BearerAuth`.

    Attributes:
        scope: What the token is for, like https://management.azure.com/.default.
        client_id: The user-assigned identity to use; without it, the app's own.
    """

    kind: Literal["managed_identity"]
    scope: Annotated[str, Field(pattern=r"^[!-~]+$")]
    client_id: Annotated[str, Field(pattern=r"^[!-~]+$")] | None = None


class OAuth2Auth(Table):
    """A token that a server gives for the app's own credentials (RFC 6749, client credentials).

    Getting it is I/O: an adapter does that, and goes on with `BearerAuth`.

    Attributes:
        token_url: The server's token endpoint.
        scope: The scopes that are asked for, with spaces between them.
        credentials_in: Where the request carries id and secret: in the Authorization header, which
            every server must take, or in the body.
        parameters: Other fields of the request, like the `audience` of some servers.
    """

    kind: Literal["oauth2"]
    token_url: Annotated[str, AfterValidator(_token_url)]
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: SecretStr
    scope: str = ""
    credentials_in: Literal["header", "body"] = "header"
    parameters: dict[str, str] = Field(default={}, repr=False)


Auth = NoAuth | BearerAuth | HeaderAuth | BasicAuth | OAuth2Auth | ManagedIdentityAuth
