"""Utterances that a run skipped, with reasons."""

import csv
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from jobs.activations.index import SeenShard, look_over
from jobs.activations.manifest import CorruptShard
from jobs.audio.segments import split_tempo
from jobs.corpus.skipped import Skipped
from jobs.storage.atomic import atomic_path
from jobs.storage.location import Location
from sweep.analyses import extraction_table
from sweep.errors import RunError
from sweep.plan.activation_sets import shards
from sweep.prepare.prepare import Prepared
from sweep.results.run import Run
from sweep.state.run_folder import RunFolder

log = logging.getLogger(__name__)


def skipped_by_extraction(
    prepared: Prepared, folder: RunFolder, cache: Location
) -> Iterator[Skipped]:
    """Utterances that extraction skipped, as recorded and at other rates, each once, since every
    model reads the same audio.

    If shards of finished cells are missing from the cache or damaged, their skipped utterances are
    taken from the table as last written.
    """
    seen: dict[Skipped, None] = {}
    unread: set[tuple[str, float | None]] = set()
    table = extraction_table(prepared.plan, prepared.table)
    for model in prepared.plan.models:
        for planned in model.all_sets:
            found = look_over(planned.folder(cache), planned.n_shards)
            if all(isinstance(one, SeenShard) and not one.skipped for one in found):
                continue
            for shard, one in zip(shards(planned, table, cache), found, strict=True):
                if isinstance(one, SeenShard):
                    seen.update(dict.fromkeys(one.skipped))
                    continue
                if isinstance(one, CorruptShard):
                    log.warning("%s", one)
                factors = [split_tempo(path)[1] for path in shard.audio_paths]
                unread.update(zip(shard.utterance_ids, factors, strict=True))
    before = _as_last_written(folder) if unread else []
    known = (one for one in before if (one.utterance_id, split_tempo(one.path)[1]) in unread)
    yield from (seen | dict.fromkeys(known))


def _as_last_written(folder: RunFolder) -> list[Skipped]:
    try:
        return Run(folder).skipped
    except RunError as error:
        log.warning("%s", error)
        return []


def write_skipped(path: Path, skipped: Sequence[Skipped]) -> None:
    """Log the skipped utterances, and write the table."""
    for one in skipped:
        log.warning("skipped %s: %s (%s)", one.utterance_id, one.reason, one.path)
    with (
        atomic_path(path) as new,
        # Bytes of a file name that are not UTF-8 are escaped.
        new.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, ["utterance_id", "path", "reason"])
        writer.writeheader()
        writer.writerows(vars(one) for one in skipped)
