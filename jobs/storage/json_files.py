"""Reads JSON that a crash, a disk or an editor may have damaged, and gives it checksums.

A JSON object gets its checksum as a last key, ``sum``: BLAKE2b of all bytes before that key. So a
changed digit is found without knowing what the object means, and a reader that knows no checksums
sees one more key. Objects without the key were written before there were checksums.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from jobs.storage.location import Location
from jobs.storage.object_store import read_bytes
from jobs.storage.regular_files import DamagedFile

SUM = "sum"
_SUM_BYTES = 8
_TAIL = re.compile(rb',\s*"sum":\s*"([0-9a-f]{16})"\s*\}\s*\Z')
_TAIL_BYTES = 64
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_EXCERPT = 60

Kinds = type | tuple[type, ...]


def byte_sum(data: bytes) -> str:
    """Return the checksum of ``data``: 16 hex digits."""
    return hashlib.blake2b(data, digest_size=_SUM_BYTES).hexdigest()


def with_sum(text: bytes) -> bytes:
    """Add the key ``sum`` to an object in JSON, on one line or indented by one space."""
    start = text.rstrip().removesuffix(b"}").rstrip()
    key = b',\n "sum": "%s"\n}' if b"\n" in start else b',"sum":"%s"}'
    return start + key % byte_sum(start).encode()


def without_sum(data: bytes) -> tuple[bytes, bool]:
    """Check and remove the key ``sum`` of an object in JSON.

    Returns:
        The object, and whether it had a checksum.

    Raises:
        DamagedFile: the checksum is wrong.
    """
    found = _TAIL.search(data, max(0, len(data) - _TAIL_BYTES))
    if found is None:
        return data, False
    start = data[: found.start()]
    if byte_sum(start) != found[1].decode():
        raise DamagedFile("its checksum is wrong: something changed it after it was written")
    return start + b"}", True


def parse_json(data: bytes, needs: Mapping[str, Kinds] | None = None, kind: Kinds = dict) -> Any:
    """Parse a JSON value, whatever the bytes are.

    Args:
        data: the text. A checksum at its end is checked, and removed.
        needs: keys that an object must have, with the types of their values.
        kind: type of the value.

    Raises:
        DamagedFile: it is not such a value, or its checksum is wrong.
    """
    data, _ = without_sum(data)
    try:
        value: Any = json.loads(data)
        if _SURROGATE.search(data):
            # Half a character cannot be written again, unless it stands for a byte of a file name.
            json.dumps(value, ensure_ascii=False).encode(errors="surrogateescape")
    except (ValueError, RecursionError) as error:
        found = f"{data[:_EXCERPT]!r}" if data.strip() else "nothing"
        raise DamagedFile(f"expected JSON, found {found} ({type(error).__name__})") from None
    if not isinstance(value, kind):
        raise DamagedFile(f"expected {_name(kind)} in JSON, found {data[:_EXCERPT]!r}")
    if isinstance(value, dict) and SUM in value:
        raise DamagedFile("its checksum is not as it was written")
    if isinstance(value, dict):
        _check_keys(value, needs or {})
    return value


def _check_keys(values: Mapping[str, Any], needs: Mapping[str, Kinds]) -> None:
    for key, kinds in needs.items():
        if key not in values:
            raise DamagedFile(f"expected the key {key!r}, found {', '.join(values)[:200]}")
        if not is_kind(values[key], kinds):
            found = f"{values[key]!r}"[:_EXCERPT]
            raise DamagedFile(f"{key}: expected {_name(kinds)}, found {found}")


def read_json(place: Location, needs: Mapping[str, Kinds] | None = None, kind: Kinds = dict) -> Any:
    """Read a JSON file, see `parse_json`.

    Raises:
        OSError: there is none, or it cannot be read.
        DamagedFile: its content is not such a value; the message names the file.
    """
    data = read_bytes(place)
    try:
        return parse_json(data, needs, kind)
    except DamagedFile as error:
        raise DamagedFile(f"{place} is damaged: {error}") from None


def is_kind(value: object, kinds: Kinds) -> bool:
    """Return whether ``value`` has one of these types; True and False are no numbers."""
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)


def _name(kinds: Kinds) -> str:
    names = {dict: "an object", list: "a list", str: "a text", int: "a whole number",
             float: "a number", type(None): "null", bool: "true or false"}  # fmt: skip
    return " or ".join(names[kind] for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
