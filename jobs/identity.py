"""Content-hash ids: equal inputs give equal ids, on every machine and in every process."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

ID_DIGITS = 16
"""Hex digits of an id: 64 bits, a collision in a million cells has odds of 3e-8."""


def canonical_json(value: object) -> str:
    """Return ``value`` as JSON with sorted keys and no spaces.

    Raises:
        TypeError: something in ``value`` has no canonical form (a set, an object, a path).
        ValueError: a number is not finite.
    """
    _check(value, "value")
    return canonical_text(value)


def canonical_text(parsed: object) -> str:
    """Return `canonical_json` of a value parsed from JSON, which needs no check of its types.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(
        parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def _check(value: object, where: str) -> None:
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}: only finite numbers can be part of an id")
        return
    if isinstance(value, list | tuple):
        for position, item in enumerate(value):
            _check(item, f"{where}[{position}]")
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}: expected a string")
            _check(item, f"{where}.{key}")
        return
    raise TypeError(
        f"{where} is a {type(value).__name__}, which has no canonical form: "
        "turn it into strings, numbers, lists and dicts first"
    )


def content_id(value: object) -> str:
    """Return the first ``ID_DIGITS`` hex digits of SHA-256 of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:ID_DIGITS]


def content_id_of(canonical: Mapping[str, str]) -> str:
    """Return `content_id` of a mapping with sorted keys whose values are canonical JSON already.

    It takes a quarter of the time, for millions of ids that share most of their values.
    """
    items = ",".join([f"{_canonical_key(key)}:{value}" for key, value in canonical.items()])
    return hashlib.sha256(f"{{{items}}}".encode()).hexdigest()[:ID_DIGITS]


@cache
def _canonical_key(key: str) -> str:
    return canonical_json(key)


def lines_digest(lines: Iterable[str]) -> str:
    """Return SHA-256 over ``lines``, for tables too long for one JSON string."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Return SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
