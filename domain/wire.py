"""The base of everything that travels as JSON: camelCase outside, snake_case inside."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class WireModel(BaseModel):
    """An immutable JSON object that refuses fields it does not know."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )

    def to_wire(self) -> dict[str, object]:
        """The object as plain JSON values, with camelCase names."""
        return self.model_dump(mode="json", by_alias=True)


class InternalModel(WireModel):
    """What the app passes to itself through histories and rows.

    A later release may have written it: while machines are updated one by one, or before its
    update was taken back. What that release added is left out, rather than the watch ended.
    """

    model_config = ConfigDict(extra="ignore")
