"""Remaining work of a plan: unfinished cells, and the missing shards that they need."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from jobs.activations.index import SeenShard, look_over
from jobs.activations.manifest import CorruptShard
from jobs.activations.skips import has_stale_skips
from jobs.extraction.shard import Shard
from jobs.protocol.cells import Cell
from jobs.storage.location import Location
from sweep.plan.activation_sets import shards
from sweep.plan.plan import LayerTask, Plan, PlannedModel, layer_tasks
from sweep.state.ledger import Finished, Record

CellFilter = Callable[[LayerTask, Cell], bool]
"""Predicate that selects the cells to work on."""


@dataclass
class ModelWork:
    """Remaining work of one model."""

    planned: PlannedModel
    tasks: deque[LayerTask]
    shards: deque[Shard] = field(default_factory=deque)
    extracting: set[Shard] = field(default_factory=set)
    """Shards that an executor has."""
    dead: bool = False
    """True if its extraction failed, so that nothing more is done for it."""

    @property
    def extracted(self) -> bool:
        """Return whether every shard is in the cache."""
        return not self.shards and not self.extracting


def remaining_work(
    plan: Plan,
    table: pd.DataFrame,
    cache: Location,
    records: Mapping[str, Finished | Record],
    *,
    wanted: CellFilter,
    on_corrupt: Callable[[CorruptShard], object],
    compared: Collection[str] = (),
    keep_index: bool = True,
) -> list[ModelWork]:
    """Find the models with unfinished cells, in plan order, with their missing shards.

    Models whose layers are to be ``compared`` are included. Failed cells count as unfinished;
    ``on_corrupt`` is called for shards that are damaged. Without ``keep_index``, nothing is
    written.
    """
    tasks: dict[str, deque[LayerTask]] = {model.name: deque() for model in plan.models}
    for task in layer_tasks(plan):
        cells = tuple(
            cell for cell in task.cells if wanted(task, cell) and not is_done(records, cell.cell_id)
        )
        if cells:
            tasks[task.model.name].append(LayerTask(task.model, task.layer, cells))
    # One string per utterance, shared by the shards of all models.
    table = table.astype(dict.fromkeys(("utterance_id", "audio_path"), object))
    return [
        ModelWork(
            model,
            tasks[model.name],
            deque(missing_shards(model, table, cache, on_corrupt, keep_index=keep_index)),
        )
        for model in plan.models
        if tasks[model.name] or model.name in compared
    ]


def is_done(records: Mapping[str, Finished | Record], cell_id: str) -> bool:
    """Return whether a cell has its scores."""
    return cell_id in records and records[cell_id].status == "done"


def missing_shards(
    model: PlannedModel,
    table: pd.DataFrame,
    cache: Location,
    on_corrupt: Callable[[CorruptShard], object],
    *,
    keep_index: bool = True,
) -> Iterator[Shard]:
    """Find the model's shards that are missing, incomplete, or whose audio files changed since."""
    for planned in model.all_sets:
        found = look_over(planned.folder(cache), planned.n_shards, keep_index=keep_index)
        if all(isinstance(one, SeenShard) and not one.skipped for one in found):
            continue  # nothing to spell out
        for shard, one in zip(shards(planned, table, cache), found, strict=True):
            if isinstance(one, CorruptShard):
                on_corrupt(one)
                yield shard
            elif one is None or has_stale_skips(one, shard.paths):
                yield shard
