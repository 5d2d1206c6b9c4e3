"""Reading a spec file: YAML, overrides and validation, with every problem at its position."""

import difflib
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError

from sweep.errors import Problem, SpecError
from sweep.spec.schema import Spec
from sweep.spec.source import KeyPath, Source


def load_spec(path: Path, overrides: Sequence[str] = ()) -> tuple[Spec, Source]:
    """Read a spec and apply ``--set`` assignments.

    Raises:
        SpecError: with every problem of form, each at its file, line and column.
    """
    source = _read(path, overrides)
    try:
        return Spec.model_validate(source.values), source
    except ValidationError as error:
        problems = [_explain(source, e) for e in error.errors() if not _is_echo(e)]
        raise SpecError(problems) from None


def sound_part(path: Path, overrides: Sequence[str] = ()) -> tuple[Spec, Source] | None:
    """What of a spec with errors of form can still be checked for its meaning; None: nothing.

    Raises:
        SpecError: it cannot be read at all.
    """
    source = _read(path, overrides)
    try:
        return Spec.model_validate(source.values), source
    except ValidationError as error:
        rest = source.without([e["loc"] for e in error.errors() if not _is_echo(e)])
    rest.values.setdefault("name", "unnamed")
    rest.values["probes"] = rest.values.get("probes") or [{"kind": "ridge"}]
    try:
        return Spec.model_validate(rest.values), rest
    except ValidationError:
        return None


def _read(path: Path, overrides: Sequence[str]) -> Source:
    source = Source(path)
    for assignment in overrides:
        source.override(assignment)
    return source


def nearest(name: str, valid: Sequence[str]) -> str:
    """ "; did you mean 'x'?" when something valid is near, else the valid names."""
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; expected one of {', '.join(valid)}" if valid else ""


def _explain(source: Source, details: Any) -> Problem:
    """One of pydantic's errors, as a sentence at its place."""
    location: KeyPath = details["loc"]
    kind = details["type"]
    name = str(location[-1]) if location else ""
    if kind == "extra_forbidden":
        message = f"unknown key {name!r}{nearest(name, _valid_keys(location[:-1]))}"
        return source.problem(location, message, at_key=True)
    if kind == "missing":
        return source.problem(location[:-1], f"the key {name!r} is missing")
    found = details["input"]
    if kind == "literal_error":
        valid = [
            part.strip(" '") for part in details["ctx"]["expected"].replace(" or ", ", ").split(",")
        ]
        message = f"{name}: {found!r} is not valid{nearest(str(found), valid)}"
    elif kind == "union_tag_invalid":
        valid = [tag.strip(" '") for tag in details["ctx"]["expected_tags"].split(",")]
        tag = details["ctx"]["tag"]
        return source.problem((*location, "kind"), f"unknown kind {tag!r}{nearest(tag, valid)}")
    elif kind == "union_tag_not_found":
        message = "the key 'kind' is missing"
    elif kind in ("value_error", "assertion_error"):
        message = str(details["ctx"]["error"])
    else:
        shown = repr(found) if isinstance(found, str | int | float | bool | None) else _noun(found)
        message = f"{details['msg'][0].lower()}{details['msg'][1:]}, found {shown}"
        message = f"{name}: {message}" if name and not name.isdigit() else message
    return source.problem(location, message)


def _is_echo(details: Any) -> bool:
    """Pydantic counts only valid items: a list whose items are all wrong is also "too short"."""
    if details["type"] != "too_short":
        return False
    n_given: int = len(details["input"])
    return n_given > int(details["ctx"]["actual_length"])


def _noun(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"


def _valid_keys(location: KeyPath) -> list[str]:
    """The keys that are valid in the mapping at ``location``."""
    annotations: list[Any] = [Spec]
    for step in location:
        annotations = [inner for outer in annotations for inner in _inside(outer, step)]
    return sorted({key for cls in annotations if _is_settings(cls) for key in cls.model_fields})


def _inside(annotation: Any, step: str | int) -> Iterator[Any]:
    """What may stand at ``step`` inside an ``annotation``; a union's tag stays in place."""
    if _is_settings(annotation):
        field = annotation.model_fields.get(step)
        if field is not None:
            yield from _members(field.annotation)
        elif "kind" in annotation.model_fields:
            kind = annotation.model_fields["kind"].annotation
            yield from [annotation] if step in typing.get_args(kind) else []
    for argument in typing.get_args(annotation):
        yield from _members(argument)


def _members(annotation: Any) -> Iterator[Any]:
    """The alternatives of a type, unions and annotations opened."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        yield from _members(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _is_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
