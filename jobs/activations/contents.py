"""Contents of activation sets by audio, so that the set of a changed corpus copies what it can.

The id of a set covers its whole utterance table: one more utterance makes another set. What a row
holds depends on the model, its features and its own audio only. So ``<cache>/extractions/`` has a
folder for every combination of model and features, and in it a file for every set, with the audio
digests of its utterances. A new set copies the rows of utterances that another set has, and runs
the model on the others. Rows are checked against the checksums of their shard when they are copied.

The files can be deleted: what they list is extracted again.
"""

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.activations.cache_layout import CONTENTS, set_folder
from jobs.activations.index import SeenShard, look_over
from jobs.activations.manifest import CorruptShard
from jobs.activations.store import read_shard
from jobs.identity import content_id
from jobs.storage.location import Location, RemotePath
from jobs.storage.object_store import exists, list_files, read_bytes, write_text

log = logging.getLogger(__name__)

Row = dict[str, npt.NDArray[np.floating[Any]]]
"""Layer → its values (width,), as they are stored."""


@dataclass(frozen=True)
class SetContents:
    """The utterances of a set, shard by shard."""

    activation_id: str
    shard_size: int
    """Utterances per shard."""
    utterance_ids: Sequence[str]
    audio_digests: Sequence[str]

    @property
    def n_shards(self) -> int:
        """Number of shards of the complete set."""
        return -(-len(self.utterance_ids) // self.shard_size)


@dataclass(frozen=True)
class CachedRow:
    """The activations of an utterance in a finished shard."""

    folder: Location
    index: int
    """Number of the shard."""
    utterance_id: str


def record_contents(cache: Location, extraction: str, contents: SetContents) -> None:
    """Write the contents of a set, unless they were written before.

    Args:
        cache: the activation cache.
        extraction: id of the model and its features.
        contents: the utterances that are, or will be, in its shards.
    """
    path = cache / CONTENTS / extraction / f"{contents.activation_id}.json"
    if exists(path):
        return
    utterances = [*zip(contents.utterance_ids, contents.audio_digests, strict=True)]
    body = {"shard_size": contents.shard_size, "utterances": utterances}
    try:
        write_text(path, json.dumps({"checksum": content_id(body), **body}))
    except OSError as error:  # a read-only cache, or a full disk: the file is optional
        log.warning("%s cannot be written: %s", path, error)


def find_rows(cache: Location, extraction: str, wanted: Collection[str]) -> dict[str, CachedRow]:
    """Find utterances whose activations are in the cache: audio digest → where they are.

    Args:
        cache: the activation cache.
        extraction: id of the model and its features.
        wanted: audio digests to look for.
    """
    found: dict[str, CachedRow] = {}
    wanted = frozenset(wanted)
    for contents in _read_all(cache / CONTENTS / extraction):
        if wanted.isdisjoint(contents.audio_digests):
            continue
        folder = set_folder(cache, contents.activation_id)
        shards = look_over(folder, contents.n_shards, keep_index=False)
        for number, shard in enumerate(shards):
            if not isinstance(shard, SeenShard):
                continue
            rows = slice(number * contents.shard_size, (number + 1) * contents.shard_size)
            skipped = {one.utterance_id for one in shard.skipped}
            pairs = zip(contents.utterance_ids[rows], contents.audio_digests[rows], strict=True)
            for utterance_id, digest in pairs:
                if digest in wanted and utterance_id not in skipped:
                    found.setdefault(digest, CachedRow(folder, number, utterance_id))
    return found


def read_rows(rows: Mapping[str, CachedRow]) -> dict[str, Row]:
    """Read the rows of utterances; those whose shard is gone or damaged by now are left out.

    Args:
        rows: utterance id, of any set → where its activations are.
    """
    found: dict[str, Row] = {}

    def shard(item: tuple[str, CachedRow]) -> tuple[str, int]:
        return str(item[1].folder), item[1].index

    for _, group in groupby(sorted(rows.items(), key=shard), key=shard):
        items = list(group)
        folder, index = items[0][1].folder, items[0][1].index
        try:
            names, layers = read_shard(folder, index)
        except (CorruptShard, FileNotFoundError) as error:
            log.warning("its rows are extracted instead of copied: %s", error)
            continue
        position = {name: row for row, name in enumerate(names)}
        for utterance_id, cached in items:
            row = position.get(cached.utterance_id)
            if row is not None:
                found[utterance_id] = {layer: values[row] for layer, values in layers.items()}
    return found


def _read_all(folder: Location) -> Iterator[SetContents]:
    for name in sorted(_names(folder)):
        try:
            yield _parse(name.removesuffix(".json"), read_bytes(folder / name))
        except FileNotFoundError:
            continue  # deleted since
        except (ValueError, KeyError, TypeError) as error:
            log.warning("%s is damaged and not used: %s", folder / name, error)


def _names(folder: Location) -> list[str]:
    if isinstance(folder, RemotePath):
        return [name for name in list_files(folder) if name.endswith(".json")]
    return [path.name for path in folder.glob("[!.]*.json")]


def _parse(activation_id: str, data: bytes) -> SetContents:
    body = json.loads(data)
    if not isinstance(body, dict) or body.pop("checksum", None) != content_id(body):
        raise ValueError("its checksum is wrong")
    names, digests = zip(*body["utterances"], strict=True)
    return SetContents(activation_id, body["shard_size"], names, digests)
