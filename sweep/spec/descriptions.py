"""Descriptions of the keys of a spec: the docstrings below the fields of the settings classes.

Pydantic could collect them when it makes the classes. But it parses the source of every class for
them, and only the reference and the JSON schema show them.
"""

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import ModelSchema

from jobs.settings import Settings


def descriptions(settings: type[Settings]) -> dict[str, str]:
    """Return the description of each field of a class, inherited ones included."""
    found: dict[str, str] = {}
    for cls in reversed(settings.__mro__):
        if issubclass(cls, Settings):
            found |= _docstrings(cls)
    return {name: found[name] for name in settings.model_fields if name in found}


def _docstrings(cls: type[Any]) -> dict[str, str]:
    """Return the docstring below each field in the source of a class."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }  # fmt: skip


class DescribedJsonSchema(GenerateJsonSchema):
    """Generates the JSON schema of settings with the description of every key."""

    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        """Return the JSON schema of a settings class."""
        made = super().model_schema(schema)
        for name, description in descriptions(schema["cls"]).items():
            made["properties"][name]["description"] = description
        return made
