"""Check templates and print, as JSON, what is wrong with them and what they deploy.

    .venv-infra/bin/python -m tests.infra.check FOLDER...

A folder holds `infra`, azure.yaml and host.json. Parameters are those of main.parameters.json,
its `${NAME}` replaced as azd replaces them, by each of the environments below in turn.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped,unused-ignore]

from tests.infra import models
from tests.infra.bicep import evaluate
from tests.infra.syntax import Fault

_AZD = {"AZURE_ENV_NAME": "some-name", "AZURE_LOCATION": "westeurope"}
_NETWORK = {"USE_VIRTUAL_NETWORK": "true"}
_SCHEDULER = {"DURABLE_BACKEND": "azureManaged"}
_PEOPLE = {"AZURE_PRINCIPAL_ID": "11111111-0000", "ALERT_EMAIL": "people@example.com"}
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "default": _AZD,
    "network": _AZD | _NETWORK,
    "scheduler": _AZD | _SCHEDULER,
    "all": _AZD | _NETWORK | _SCHEDULER | _PEOPLE,
}
# More than main.parameters.json says, to see that it comes through.
_MORE: dict[str, Any] = {
    "appSettings": {"RETENTION_DAYS": "90", "SALES_URL": "https://sales.example.com"},
    "secretSettings": {"SALES_TOKEN": "sales-token"},
    "vaultAllowlist": ["192.0.2.1"],
}


def parameters(file: Path, environment: dict[str, str]) -> dict[str, Any]:
    """The values in a parameters file."""

    def expand(found: re.Match[str]) -> str:
        name, default = found.groups()
        value = environment.get(name, default)
        if value is None:
            raise Fault(f"{file.name}: nothing gives {name}")
        return value

    def expanded(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = re.sub(r"\$\{(\w+)(?:=([^}]*))?\}", expand, value)
        # azd turns text into what the parameter takes.
        is_typed = text != value and re.fullmatch(r"true|false|\d+", text)
        return json.loads(text) if is_typed else text

    given = json.loads(file.read_text(encoding="utf-8"))["parameters"]
    return {name: expanded(value["value"]) for name, value in given.items()}


def check(folder: Path) -> dict[str, Any]:
    """All faults, and for each environment the resources and outputs."""
    infra = folder / "infra"
    faults: list[str] = []
    services = yaml.safe_load((folder / "azure.yaml").read_text(encoding="utf-8"))["services"]
    found: dict[str, Any] = {"faults": faults, "services": services, "deployed": {}}
    try:
        for name, environment in ENVIRONMENTS.items():
            more = _MORE if name == "all" else {}
            values = parameters(infra / "main.parameters.json", environment)
            made = evaluate(infra / "main.bicep", values | more)
            found["parameters"] = made.parameters
            found["deployed"][name] = {
                "outputs": made.outputs,
                "resources": [
                    {"id": each.id, "type": each.type, "symbol": each.symbol} | each.body
                    for each in made.resources
                    if not each.existing
                ],
            }
            for each in made.resources:
                faults += [fault for fault in models.faults(each) if fault not in faults]
    except Fault as fault:
        faults.append(str(fault))
    return found


def main(folders: list[str]) -> None:
    """Print what was found: about the models, and in each folder."""
    checked = [check(Path(folder)) for folder in folders]
    json.dump({"models": list(models.unspoken()), "checked": checked}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
