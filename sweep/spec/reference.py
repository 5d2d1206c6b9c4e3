"""The reference of a spec's keys, ``specs/README.md``, written from the settings classes.

``python -m sweep.spec.reference`` updates the file. Descriptions are the docstrings of the fields;
examples come from ``EXAMPLES`` of each class.
"""

import inspect
import json
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jobs.settings import ByKind, Settings
from jobs.targets.registry import TARGETS
from sweep.spec.descriptions import descriptions
from sweep.spec.schema import Spec

REFERENCE = Path(__file__).parents[2] / "specs" / "README.md"
COMMAND = "python -m sweep.spec.reference"
_BOUNDS = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}
_NO_BOUND = 1e9
"""Larger bounds only refuse numbers that nobody means."""
_PLAIN = {
    bool: "true or false", int: "integer", float: "number", str: "text", Path: "path",
    type(None): "null",
}  # fmt: skip
_INTRODUCTION = f"""\
# Keys of a spec

A spec is a YAML file that describes a sweep: models × layers × targets × probes × seeds on one
corpus. `sweep validate SPEC` reports every mistake with its line and column, `sweep plan SPEC`
shows what would run and what it costs, and `--set KEY=VALUE` overrides a key, as in
`--set protocol.folds=3` or `--set models.0.seed=1`.

Required keys are `name`, `corpus`, `models` and `probes`. Relative paths start from the folder in
which `sweep` is called. `null` is YAML's word for no value. A key that is not listed here is an
error.

<!-- Generated from the settings classes; do not edit. To update: {COMMAND} -->
"""

_TARGETS = """\
Every column of the corpus that has no other use is a target by its name, too. Targets that are
measured in the audio need the extra `prosody`."""


def reference() -> str:
    """Return the reference as Markdown."""
    sections = [_INTRODUCTION, _section("The whole spec", Spec, level=2)]
    for key, field in Spec.model_fields.items():
        classes = _settings_in(field.annotation, field.metadata)
        kinds = [settings for settings in classes if "kind" in settings.model_fields]
        if kinds:
            sections.append(f"## `{key}`\n\n{_choices(key, kinds)}")
        for settings in classes:
            nested = _nested(key, settings, level=3 if kinds else 2)
            sections += [_section(title, cls, level) for title, cls, level in nested]
    return "\n".join([*sections, _targets()])


def _targets() -> str:
    """Return the list of targets that are computed, with their units."""
    rows = ["| Target | Unit | Kind | Meaning |", "|---|---|---|---|"]
    for target in TARGETS.values():
        cells = (f"`{target.name}`", target.unit or "–", target.kind, target.description)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(["## Targets", "", _TARGETS, "", *rows, ""])


def _choices(key: str, kinds: Sequence[type[BaseModel]]) -> str:
    """List the values of ``kind`` with the summaries of their classes."""
    lines = [f"The key `kind` selects what else may be given under `{key}`.\n"]
    for settings in kinds:
        lines.append(f"- `{_kind(settings)}`: {_summary(settings)}")
    return "\n".join(lines) + "\n"


def _nested(key: str, settings: type[Settings], level: int) -> Iterator[tuple[str, Any, int]]:
    """Yield (title, class, level) of ``settings`` and of all settings within."""
    is_choice = "kind" in settings.model_fields
    title = f"`{key}`: `kind: {_kind(settings)}`" if is_choice else f"`{key}`"
    yield title, settings, level
    for name, field in settings.model_fields.items():
        for inner in _settings_in(field.annotation, field.metadata):
            yield from _nested(f"{key}.{name}", inner, level + 1)


def _section(title: str, settings: type[Settings], level: int) -> str:
    """Return a heading, the description of a class and the table of its keys."""
    rows = ["| Key | Type | Default | Example | Meaning |", "|---|---|---|---|---|"]
    examples, described = example_values(settings), descriptions(settings)
    for name, field in settings.model_fields.items():
        cells = (
            f"`{name}`",
            _type(field.annotation, field.metadata),
            "required" if name == "kind" else _default(field),
            _code(examples[name]) if name in examples else "",
            _one_line(described.get(name, "")),
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    description = _markdown(inspect.getdoc(settings) or "")
    return "\n".join(["#" * level + f" {title}", "", description, "", *rows, ""])


def example_values(settings: type[Settings]) -> dict[str, Any]:
    """Return a value for each key that occurs in the examples of a class."""
    values: dict[str, Any] = {}
    for example in settings.EXAMPLES:
        values = {**yaml.safe_load(example), **values}
    return values


def all_settings(annotation: Any = Spec) -> list[type[Settings]]:
    """Return every settings class that a spec can contain."""
    found: list[type[Settings]] = []
    for settings in _settings_in(annotation):
        found.append(settings)
        for field in settings.model_fields.values():
            for inner in _settings_in(field.annotation, field.metadata):
                found += all_settings(inner)
    return list(dict.fromkeys(found))


def _settings_in(annotation: Any, metadata: Sequence[Any] = ()) -> list[type[Settings]]:
    """Return the settings classes that a type allows, those of containers included."""
    for extra in metadata:
        if isinstance(extra, ByKind):
            return list(extra.classes)
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    if typing.get_origin(annotation) is Annotated:
        inner, *extras = typing.get_args(annotation)
        return _settings_in(inner, extras)
    found = (_settings_in(argument) for argument in typing.get_args(annotation))
    return [settings for classes in found for settings in classes]


def _type(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Describe a type and its bounds in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0], [*arguments[1:], *metadata])
    if _settings_in(annotation, metadata) and origin not in (tuple, dict):
        optional = type(None) in arguments
        return "mapping (see below)" + (" or null" if optional else "")
    if origin is Literal:
        return " or ".join(_code(value) for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(argument) for argument in arguments) + _bounds(metadata)
    if origin in (tuple, list):
        return f"list of {_type(arguments[0])}{_bounds(metadata)}"
    if origin is dict:
        return f"mapping: {_type(arguments[0])} → {_type(arguments[1])}{_bounds(metadata)}"
    return _PLAIN.get(annotation, "any value") + _bounds(metadata)


def _bounds(metadata: Sequence[Any]) -> str:
    """Describe the constraints of a field: ", ≥ 0, ≤ 1"."""
    found = []
    for constraint in _flat(metadata):
        if type(constraint) in _BOUNDS:
            sign, attribute = _BOUNDS[type(constraint)]
            bound = getattr(constraint, attribute)
            if bound < _NO_BOUND:
                found.append(f"{sign} {bound:g}")
        elif isinstance(constraint, MinLen) and constraint.min_length == 1:
            found.append("not empty")
    return "".join(f", {bound}" for bound in found)


def _flat(metadata: Sequence[Any]) -> Iterator[Any]:
    for extra in metadata:
        yield from extra.metadata if isinstance(extra, FieldInfo) else (extra,)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    return _code(list(value) if isinstance(value, tuple) else value)


def _code(value: Any) -> str:
    """Return a value as YAML on one line, in backticks."""
    if isinstance(value, str):
        return f"`{value}`"
    if isinstance(value, Path):
        return f"`{value}`"
    shown = yaml.safe_dump(
        json.loads(json.dumps(value)), default_flow_style=True, width=10_000, sort_keys=False
    )
    return f"`{shown.removesuffix('...' + chr(10)).strip()}`"


def _kind(settings: type[BaseModel]) -> str:
    return str(settings.model_fields["kind"].default)


def _summary(settings: type[BaseModel]) -> str:
    return _markdown((inspect.getdoc(settings) or "").split("\n\n")[0]).replace("\n", " ")


def _one_line(text: str) -> str:
    return " ".join(_markdown(text).split())


def _markdown(text: str) -> str:
    """Turn reStructuredText's double backticks into Markdown's."""
    return text.replace("``", "`")


def main() -> None:
    """Write the reference."""
    REFERENCE.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
