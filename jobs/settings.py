"""Base classes of all settings: unknown keys are refused, values are immutable."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class Settings(BaseModel):
    """Settings of one job.

    Every field except ``name``, which is only a label, changes the numbers and is hashed into ids.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    EXAMPLES: ClassVar[tuple[str, ...]] = ()
    """Examples in YAML for ``specs/README.md``; together they contain every key."""

    def identity(self) -> dict[str, object]:
        """Return the settings that change the numbers, as plain JSON values."""
        return self.model_dump(mode="json", exclude={"name"})


class HasSettings(Protocol):
    """A row of a registry, with the settings class of its kind."""

    @property
    def settings(self) -> type[Settings]:
        """A class whose field ``kind`` is the literal name of the kind."""


@dataclass(frozen=True, eq=False)
class ByKind:
    """Validate settings as the class that a registry has for their ``kind``.

    Annotates the base class of the settings: ``Annotated[ModelSettings, ByKind(FAMILIES)]``. It is
    pydantic's discriminated union over the rows of the registry, looked up at every validation, so
    that a row added later is accepted as well.
    """

    registry: Mapping[str, HasSettings]

    @property
    def classes(self) -> tuple[type[Settings], ...]:
        """The settings classes of all kinds."""
        return tuple(row.settings for row in self.registry.values())

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return a validator that defers to the union."""
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the JSON schema of the union."""
        return handler(_union(self.classes).core_schema)

    def _validate(self, value: object) -> Settings:
        settings: Settings = _union(self.classes).validate_python(value)
        return settings


@lru_cache(maxsize=64)
def _union(classes: tuple[type[Settings], ...]) -> TypeAdapter[Any]:
    union: Any = reduce(or_, classes)
    return TypeAdapter(Annotated[union, Field(discriminator="kind")])
