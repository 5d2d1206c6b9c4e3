"""Activations that a missing shard can copy from shards of other corpora, instead of extracting."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from jobs.activations.contents import SetContents, find_rows, record_contents
from jobs.extraction.shard import Shard
from jobs.storage.location import Location
from sweep.plan.activation_sets import extraction_id
from sweep.plan.plan import PlannedModel


def record_sets(model: PlannedModel, table: pd.DataFrame, cache: Location) -> None:
    """Record which audio the model's activations are of, for the sets of later corpora.

    ``table`` has all utterances to extract.
    """
    for planned in model.all_sets:
        if planned.gram is not None:  # sums over utterances have no rows to copy
            continue
        rows = table[table["split"] == planned.split]
        contents = SetContents(
            planned.activation_id,
            planned.shard_size,
            list(rows["utterance_id"]),
            list(rows["audio_digest"]),
        )
        record_contents(cache, extraction_id(model.extract, model.digest), contents)


def with_cached_rows(
    model: PlannedModel, shards: Sequence[Shard], table: pd.DataFrame, cache: Location
) -> Iterator[Shard]:
    """Add to each missing shard where the cache has activations of its utterances.

    Args:
        model: the model of the shards.
        shards: its missing shards.
        table: the utterances to extract.
        cache: the activation cache.
    """
    wanted = {path for shard in shards if not shard.labels for path in shard.audio_paths}
    if not wanted:
        yield from shards
        return
    rows = table[table["audio_path"].isin(wanted)]
    # By path, which includes the tempo: an utterance at another rate has the same id.
    digests = dict(zip(rows["audio_path"], rows["audio_digest"], strict=True))
    found = find_rows(cache, extraction_id(model.extract, model.digest), {*digests.values()})
    for shard in shards:
        cached = {
            name: found[digests[path]]
            for name, path in shard.paths.items()
            if not shard.labels and digests[path] in found
        }
        yield replace(shard, cached=cached)
