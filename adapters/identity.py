"""The identity of the app towards Azure: towards its storage, and towards the sources.

1. A client id names a user-assigned identity: a source's `client_id`, or the `__clientId` of a
   connection.
2. Without a client id, in Azure: the identity that the setting AZURE_CLIENT_ID names, else the
   system-assigned one.
3. Without a client id, elsewhere: the account that is signed in (`az login`), a workload identity,
   or another that `DefaultAzureCredential` finds.
"""

from collections.abc import Callable, Mapping
from typing import Any

from azure.core.credentials import TokenCredential
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

from domain.outcome import Outcome

# By default, a request for a token waits for five minutes and is repeated. A poll must not wait so
# long, and the next poll asks again anyway.
PATIENCE: dict[str, Any] = {"connection_timeout": 5, "read_timeout": 5, "retry_total": 0}

Identity = Callable[[str | None], TokenCredential]
"""Makes a credential for a client id; for None, one for the app's own identity."""


class NoToken(Exception):
    """No token could be had; the text is safe to show.

    Attributes:
        outcome: The outcome of a poll that lacks it.
    """

    def __init__(self, text: str, outcome: Outcome) -> None:
        super().__init__(text)
        self.outcome = outcome


def app_identity(settings: Mapping[str, str]) -> Identity:
    """The identity that these app settings describe."""
    # Functions, Container Apps and App Service set this to the address that gives tokens.
    in_azure = "IDENTITY_ENDPOINT" in settings
    default = settings.get("AZURE_CLIENT_ID") if in_azure else None

    def credential(client_id: str | None) -> TokenCredential:
        if client_id or in_azure:
            return ManagedIdentityCredential(client_id=client_id or default, **PATIENCE)
        return DefaultAzureCredential(**PATIENCE)

    return credential
