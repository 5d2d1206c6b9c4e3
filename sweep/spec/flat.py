"""The values of a spec by dotted key: ``models.ResNet.checkpoint``."""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from jobs.secrets import without_secrets

_END = "...\n"
"""YAML's mark after a value that stands alone."""


def flat_values(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted key, value as YAML on one line), without secrets.

    Items of a list of mappings are called by their ``name``, or their ``kind``, where these tell
    them apart, so that keys stay the same when the list is reordered; lists of plain values are
    one value.
    """
    parts: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        parts = [(str(name), item) for name, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        parts = list(zip(_names(value), value, strict=True))
    if parts:
        for name, item in parts:
            yield from flat_values(item, f"{key}.{name}" if key else name)
    elif key:
        yield key, without_secrets(f"{key}={_one_line(value)}").removeprefix(f"{key}=")


def _names(items: Sequence[Any]) -> list[str]:
    for field in ("name", "kind"):
        names = [item.get(field) if isinstance(item, dict) else None for item in items]
        if all(names) and len(set(names)) == len(names):
            return [str(name) for name in names]
    return [str(position) for position in range(len(items))]


def _one_line(value: Any) -> str:
    if isinstance(value, str):
        return value
    text: str = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False
    )
    return text.removesuffix(_END).strip()
