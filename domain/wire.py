"""The base of everything that travels as JSON: camelCase outside, snake_case inside."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class WireModel(BaseModel):
    """An immutable JSON object that refuses fields it does not know."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )

    def to_wire(self) -> dict[str, object]:
        """The object as plain JSON values, with camelCase names."""
        return self.model_dump(mode="json", by_alias=True)


def left_out() -> Any:
    """The default of a member that the JSON object lacks as long as it is None."""
    return Field(default=None, exclude_if=lambda value: value is None)


class InternalModel(WireModel):
    """Data that the app passes to itself through histories and rows.

    A later release may have written the data: during a rolling update, or before a roll-back. The
    model leaves out the fields that this release does not know, rather than end the watch.
    """

    model_config = ConfigDict(extra="ignore")
