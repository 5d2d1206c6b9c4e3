"""What is left of a plan: the cells that are not done, and the shards that they need."""

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
"""Whether to work on a cell."""


@dataclass
class ModelWork:
    """What is left to do for one model."""

    planned: PlannedModel
    tasks: deque[LayerTask]
    shards: deque[Shard] = field(default_factory=deque)
    extracting: set[Shard] = field(default_factory=set)
    """Shards that an executor has."""
    dead: bool = False
    """Its extraction failed: nothing more is done for it."""

    @property
    def extracted(self) -> bool:
        """Every shard is there."""
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
    """The models that have cells left, in plan order, with their missing shards.

    So have models whose layers are to be ``compared``. Failed cells are left to do; ``on_corrupt``
    is told of shards that cannot be used as they are. Without ``keep_index`` nothing is written.
    """
    tasks: dict[str, deque[LayerTask]] = {model.name: deque() for model in plan.models}
    for task in layer_tasks(plan):
        cells = tuple(
            cell for cell in task.cells if wanted(task, cell) and not is_done(records, cell.cell_id)
        )
        if cells:
            tasks[task.model.name].append(LayerTask(task.model, task.layer, cells))
    # One string an utterance, for the shards of all models.
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
    """Whether a cell has its scores."""
    return cell_id in records and records[cell_id].status == "done"


def missing_shards(
    model: PlannedModel,
    table: pd.DataFrame,
    cache: Location,
    on_corrupt: Callable[[CorruptShard], object],
    *,
    keep_index: bool = True,
) -> Iterator[Shard]:
    """The model's shards that are not in the cache, not whole, or whose files were mended since."""
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
