"""What is known of the shards of a set, so that a run which goes on need not read every manifest.

LibriSpeech-960 is 4 600 shards a model. Once their manifests were read, the file ``index.json``
beside them says of each shard what its two files looked like (size, and time of change or version)
and what was skipped. A shard whose files look as they did is believed, from one listing of the
folder; any other is read. Tensors are compared with their checksums when a layer is read, as ever.

Nothing is lost with the file: what it does not say is read anew.
"""

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from typing import Any

from jobs.activations.manifest import CorruptShard, FileState, data_name, manifest_name
from jobs.activations.store import read_manifest
from jobs.corpus.table import Skipped
from jobs.storage.location import Location, RemotePath
from jobs.storage.object_store import listed, read_bytes, read_parts, whole, write_text

log = logging.getLogger(__name__)

INDEX = "index.json"


@dataclass(frozen=True)
class SeenShard:
    """A finished shard."""

    state: str
    """What its files look like from outside."""
    skipped: tuple[Skipped, ...]
    skipped_files: tuple[FileState, ...]
    """The audio files of ``skipped``, before they were read."""


Finding = SeenShard | CorruptShard | None
"""None: the shard was never finished."""


def look_over(folder: Location, n_shards: int, *, keep_index: bool = True) -> list[Finding]:
    """The shards of a set, as they are now, without reading what has not changed.

    Args:
        folder: of the set.
        n_shards: that it has when it is whole.
        keep_index: write what was read to the index; otherwise nothing is written.

    Raises:
        StorageError: the object store cannot be read.
    """
    # Asked once: a request for each file of thousands would take minutes.
    seen = listed(folder) if isinstance(folder, RemotePath) else folder
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
        with suppress(FileNotFoundError):  # one is gone since: they are read one by one
            read_parts([whole(seen / manifest_name(index)) for index in new])
    read = {index: _read(seen, index, states[index]) for index in new}
    if seen is not folder:
        # Damaged, or written anew since the listing?
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
    """What the files of a folder look like from outside, by name."""
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
    except FileNotFoundError:  # taken away since
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
        rows = json.loads(read_bytes(folder / INDEX))
        return {
            index: SeenShard(
                state,
                tuple(Skipped(*fields) for fields in skipped),
                tuple(FileState(*fields) for fields in files),
            )
            for index, state, skipped, files in rows
        }
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
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
    except OSError as error:  # a cache that is read alone, or a full disk: the run can do without
        log.warning("%s cannot be written: %s", folder / INDEX, error)
