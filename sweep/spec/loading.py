"""Load a spec file: YAML, ``--set`` overrides and validation, each problem with its position."""

import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError

from jobs.settings import ByKind, Truth
from sweep.errors import Problem, SpecError
from sweep.spec.check import Finding, KeyPath
from sweep.spec.schema import Spec
from sweep.spec.source import Source
from sweep.spec.suggestions import nearest
from sweep.wording import counted

MOST_PROBLEMS = 100
"""Number of problems of form that are described; more are counted."""


@dataclass(frozen=True)
class LoadedSpec:
    """A spec, or the valid rest of one with invalid values, that knows its positions in the file.

    The rest is there to be checked, so that all problems are reported together.
    """

    spec: Spec
    invalid: tuple[Problem, ...]
    """Problems of form: unknown keys, wrong types, values out of range."""
    _source: Source

    def problems(self, findings: Iterable[Finding] = ()) -> list[Problem]:
        """Return the problems of form and ``findings``, each with its file, line and column."""
        return [*self.invalid, *(self._source.problem(*finding) for finding in findings)]

    def raise_problems(self, findings: Iterable[Finding] = ()) -> None:
        """Report the problems of form and ``findings`` together.

        Raises:
            SpecError: there are any.
        """
        problems = self.problems(findings)
        if problems:
            raise SpecError(problems)


def load_spec(path: Path, overrides: Sequence[str] = ()) -> Spec:
    """Read a spec and apply ``--set`` assignments.

    Raises:
        SpecError: it cannot be read, or a value is invalid; with all problems of form.
    """
    loaded = read_spec(path, overrides)
    loaded.raise_problems()
    return loaded.spec


def read_spec(path: Path, overrides: Sequence[str] = ()) -> LoadedSpec:
    """Read a spec and apply ``--set`` assignments, leaving out invalid values.

    Raises:
        SpecError: it cannot be read, or nothing is left that could be checked further.
    """
    source = Source(path)
    for assignment in overrides:
        source.override(assignment)
    try:
        return LoadedSpec(Spec.model_validate(source.values), (), source)
    except ValidationError as error:
        errors = [e for e in error.errors() if not _is_echo(e)]
    problems = tuple(_explain(source, e) for e in errors[:MOST_PROBLEMS])
    if len(errors) > MOST_PROBLEMS:
        more = f"and {counted(len(errors) - MOST_PROBLEMS, 'more problem')} of form"
        problems = (*problems, source.problem((), more))
    rest = source.without([e["loc"] for e in errors])
    rest.values.setdefault("name", "unnamed")
    rest.values["probes"] = rest.values.get("probes") or [{"kind": "ridge"}]
    try:
        return LoadedSpec(Spec.model_validate(rest.values), problems, rest)
    except ValidationError:
        raise SpecError(problems) from None


def _explain(source: Source, details: Any) -> Problem:
    """Turn one of pydantic's errors into a sentence with a position."""
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
        plain = isinstance(found, str | int | float | bool | Truth | None)
        shown = repr(found) if plain else _noun(found)
        message = f"{details['msg'][0].lower()}{details['msg'][1:]}, found {shown}"
        message = f"{name}: {message}" if name and not name.isdigit() else message
    return source.problem(location, message)


def _is_echo(details: Any) -> bool:
    """Recognise a follow-up error: pydantic calls a list "too short" if its items are invalid."""
    if details["type"] != "too_short":
        return False
    n_given: int = len(details["input"])
    return n_given > int(details["ctx"]["actual_length"])


def _noun(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"


def _valid_keys(location: KeyPath) -> list[str]:
    """Return the keys that are valid in the mapping at ``location``."""
    annotations: list[Any] = [Spec]
    for step in location:
        annotations = [inner for outer in annotations for inner in _inside(outer, step)]
    return sorted({key for cls in annotations if _is_settings(cls) for key in cls.model_fields})


def _inside(annotation: Any, step: str | int) -> Iterator[Any]:
    """Yield the types allowed at ``step`` inside an ``annotation``; a union's tag is no step."""
    if _is_settings(annotation):
        field = annotation.model_fields.get(step)
        if field is not None:
            yield from _members(field.rebuild_annotation())
        elif "kind" in annotation.model_fields:
            kind = annotation.model_fields["kind"].annotation
            yield from [annotation] if step in typing.get_args(kind) else []
    for argument in typing.get_args(annotation):
        yield from _members(argument)


def _members(annotation: Any) -> Iterator[Any]:
    """Yield the alternatives of a type, with unions and annotations unpacked."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = typing.get_args(annotation)
        by_kind = next((one for one in metadata if isinstance(one, ByKind)), None)
        yield from by_kind.classes if by_kind else _members(inner)
    elif origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _is_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
