"""The base of everything a user may set: unknown keys are refused, values are immutable."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Settings of one job.

    Every field changes the numbers and is hashed into ids, but for ``name``, which is for people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    EXAMPLES: ClassVar[tuple[str, ...]] = ()
    """Examples in YAML for ``specs/README.md``; together they contain every key."""

    def identity(self) -> dict[str, object]:
        """The settings that change the numbers, as plain JSON values."""
        return self.model_dump(mode="json", exclude={"name"})
