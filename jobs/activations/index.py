"""Index of the shards of a set, so that a resumed run need not read every manifest.

LibriSpeech-960 has 4,600 shards per model. Once their manifests have been read, ``index.json``
beside them records for each shard the state of its two files (size, and modification time or
version) and its skipped utterances. A shard whose files are unchanged in a listing of the folder is
trusted; any other is read. Tensors are still compared with their checksums when a layer is read.

The file can be deleted: what it lacks is read again.
"""

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from typing import Any

from jobs.activations.cache_layout import INDEX, data_name, manifest_name
from jobs.activations.manifest import CorruptShard, FileState
from jobs.activations.store import read_manifest
from jobs.corpus.skipped import Skipped
from jobs.storage.json_files import read_json
from jobs.storage.location import Location, RemotePath
from jobs.storage.object_store import (
    StorageError,
    read_parts,
    whole_object,
    with_listing,
    write_text,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeenShard:
    """A finished shard."""

    state: str
    """State of its files: sizes and modification times, or versions."""
    skipped: tuple[Skipped, ...]
    skipped_files: tuple[FileState, ...]
    """States of the audio files of ``skipped`` before they were read."""


Finding = SeenShard | CorruptShard | None
"""None: the shard was never finished."""


def look_over(folder: Location, n_shards: int, *, keep_index: bool = True) -> list[Finding]:
    """Return the current shards of a set, reading only those that changed.

    Args:
        folder: folder of the set.
        n_shards: number of shards of the complete set.
        keep_index: update the index; otherwise nothing is written.

    Raises:
        StorageError: the object store cannot be read.
    """
    # One listing: a request for each of thousands of files would take minutes.
    seen = with_listing(folder) if isinstance(folder, RemotePath) else folder
    listing = _states(seen)
    known = _read_index(seen) if INDEX in listing else {}
    states = [
        f"{listing.get(manifest_name(index))} {listing.get(data_name(index))}"
        for index in range(n_shards)
    ]
    new = [
        index
        for index, state in enumerate(states)
        if manifest_name(index) in listing and (index not in known or known[index].state != state)
    ]
    if new and isinstance(seen, RemotePath):
        with suppress(FileNotFoundError):  # one has since been deleted: they are read one by one
            read_parts([whole_object(seen / manifest_name(index)) for index in new])
    read = {index: _read(seen, index, states[index]) for index in new}
    if seen is not folder:
        # Damaged, or rewritten since the listing?
        torn = [index for index, finding in read.items() if isinstance(finding, CorruptShard)]
        read |= {index: _read(folder, index, states[index]) for index in torn}
    found = [
        read[index] if index in read else known[index] if manifest_name(index) in listing else None
        for index in range(n_shards)
    ]
    if keep_index and any(isinstance(finding, SeenShard) for finding in read.values()):
        _write_index(folder, found)
    return found


def _states(folder: Location) -> Mapping[str, str]:
    """Return the states of the files in a folder, by name."""
    if isinstance(folder, RemotePath):
        return {name: state.version for name, state in (folder.listing or {}).items()}
    try:
        with os.scandir(folder) as entries:
            return {entry.name: _state(entry) for entry in entries}
    except FileNotFoundError:
        return {}


def _state(entry: "os.DirEntry[str]") -> str:
    try:
        status = entry.stat()
    except FileNotFoundError:  # deleted since
        return "gone"
    return f"{status.st_size},{status.st_mtime_ns}"


def _read(folder: Location, index: int, state: str) -> Finding:
    try:
        manifest = read_manifest(folder, index)
    except CorruptShard as error:
        return error
    if manifest is None:
        return None
    return SeenShard(state, manifest.skipped, manifest.skipped_files)


def _read_index(folder: Location) -> dict[int, SeenShard]:
    try:
        rows = read_json(folder / INDEX, kind=list)
        return {
            int(index): SeenShard(
                state,
                tuple(Skipped(*fields) for fields in skipped),
                tuple(FileState(*fields) for fields in files),
            )
            for index, state, skipped, files in rows
        }
    except FileNotFoundError:
        return {}
    except StorageError:
        raise
    except (OSError, ValueError, TypeError) as error:
        log.warning("%s is damaged (%s): the manifests are read instead", folder / INDEX, error)
        return {}


def _write_index(folder: Location, found: list[Finding]) -> None:
    rows: list[list[Any]] = [
        [
            index,
            seen.state,
            [astuple(one) for one in seen.skipped],
            [astuple(one) for one in seen.skipped_files],
        ]
        for index, seen in enumerate(found)
        if isinstance(seen, SeenShard)
    ]
    try:
        write_text(folder / INDEX, json.dumps(rows))
    except OSError as error:  # a read-only cache, or a full disk: the index is optional
        log.warning("%s cannot be written: %s", folder / INDEX, error)
