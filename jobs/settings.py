"""Base classes of all settings: impossible values are refused, and nothing can be changed.

A number is never true or false, and always finite; a name can be seen. Every number that a user
gives has bounds in the annotation of its field.
"""

import typing
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

LONGEST_NAME = 1_000
"""Maximum number of characters of a name."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""Seed of a random generator."""
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
"""Number of utterances, epochs or failures; the largest means all, or never."""


def _visible(name: str) -> str:
    """Refuse a name that cannot be told apart from others in a table, or cannot be written."""
    if not any(unicodedata.category(char)[0] in "LNPS" for char in name):
        raise ValueError(f"expected a name that can be seen, found {name!r}")
    if "\0" in name or any(unicodedata.category(char) == "Cs" for char in name):
        raise ValueError(f"expected a name without NUL and half characters, found {name!r}")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"expected a name of at most {LONGEST_NAME} characters, found {len(name)}")
    return name


Name = Annotated[str, AfterValidator(_visible)]
"""A name in tables, plots and files."""


class Settings(BaseModel):
    """Settings of one job.

    Every field except ``name``, which is only a label, changes the numbers and is hashed into ids.
    """

    # Validators are built when a class is first used: a verb needs few of the classes.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    EXAMPLES: ClassVar[tuple[str, ...]] = ()
    """Examples in YAML for ``specs/README.md``; together they contain every key."""

    def identity(self) -> dict[str, object]:
        """Return the settings that change the numbers, as plain JSON values."""
        return self.model_dump(mode="json", exclude={"name"})

    @model_validator(mode="before")
    @classmethod
    def _mark_truth(cls, given: Any) -> Any:
        """Mark true and false where a number is expected, so that they are refused there."""
        if not isinstance(given, dict):
            return given
        return {k: _marked(v) if k in _numeric_fields(cls) else v for k, v in given.items()}

    @field_validator("name", mode="after", check_fields=False)
    @classmethod
    def _name_is_visible(cls, name: str | None) -> str | None:
        return name if name is None else _visible(name)


class Truth:
    """True or false in the place of a number; pydantic would take it for 1 or 0."""

    def __init__(self, value: bool) -> None:
        self._value = value

    def __repr__(self) -> str:
        """As YAML has it."""
        return str(self._value).lower()


def _marked(value: object) -> object:
    """Wrap every true and false in lists and mappings."""
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(item) for item in value]
    return Truth(value) if isinstance(value, bool) else value


@lru_cache(maxsize=1024)
def _numeric_fields(settings: type[BaseModel]) -> frozenset[str]:
    """Return the fields that hold numbers, alone or in lists, and neither truth values nor
    settings."""
    found = set()
    for name, field in settings.model_fields.items():
        types = set(_named_types(Annotated[field.annotation, *field.metadata, None]))
        others = any(issubclass(one, BaseModel) for one in types) or bool in types
        if not others and not types.isdisjoint((int, float)):
            found.add(name)
    return frozenset(found)


def _named_types(annotation: Any) -> Iterator[type]:
    if typing.get_origin(annotation) is Annotated:
        annotation, *metadata = typing.get_args(annotation)
        if any(isinstance(one, ByKind) for one in metadata):
            yield BaseModel
            return
    arguments = typing.get_args(annotation)
    if isinstance(annotation, type) and not arguments:
        yield annotation
    for argument in arguments:
        yield from _named_types(argument)


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
