"""The faults of configuration files, each at its place."""

from collections.abc import Iterable

from pydantic import ValidationError

from domain.errors import Fault
from domain.faults import fault_text
from domain.sources.tree import Path

_KINDS = "none, bearer, header, basic, oauth2 or managed_identity"
_PAGES = ("list", "pages")
_WORDS = {  # pydantic's own words where they would puzzle, or repeat a value
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "dict_type": "must be a table",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "union_tag_invalid": f"must be {_KINDS}",
    "union_tag_not_found": f"is missing; it is {_KINDS}",
}


class FaultList:
    """Faults by their places; of several in one place the first is the telling one."""

    def __init__(self) -> None:
        self._by_place: dict[str, str] = {}

    def add(self, file: str, path: Path, what: str) -> None:
        """Note a fault of the value at the path in a file."""
        last = max((i for i, part in enumerate(path) if isinstance(part, str)), default=0)
        table = ".".join(str(part) for part in path[:last])
        key = "".join(map(str, path[last : last + 1]))
        key += "".join(f"[{number}]" for number in path[last + 1 :])
        place = f"{file} [{table}] {key}" if table else f"{file} {key}"
        self._by_place.setdefault(place.strip(), what)

    def extend(self, faults: Iterable[Fault]) -> None:
        """Note faults whose places are told already."""
        for fault in faults:
            self._by_place.setdefault(*fault)

    def all(self) -> list[Fault]:
        """The faults in the order in which they were found."""
        return [Fault(*each) for each in self._by_place.items()]


def faults_in(error: ValidationError) -> list[tuple[Path, str]]:
    """The path and text of each fault that a validation found; no text repeats a value."""
    faults: list[tuple[Path, str]] = []
    for each in error.errors(include_url=False, include_input=False):
        kind, path = each["type"], each["loc"]
        if path[:1] == ("auth",):  # pydantic adds the kind to the path
            path = ("auth", "kind") if kind.startswith("union_tag") else ("auth", *path[2:])
        if path[:2] == _PAGES:
            path = (*_PAGES, "kind") if kind.startswith("union_tag") else (*_PAGES, *path[3:])
            if kind.startswith("union_tag"):
                faults.append((path, "must be token, link or offset"))
                continue
        if path[-1:] == ("[key]",):
            path = path[:-1]
        faults.append((path, fault_text(each, _WORDS)))
    return faults
