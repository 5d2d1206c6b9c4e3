"""Remaining work of a plan: unfinished cells, and the missing shards that they need."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from jobs.activations.index import SeenShard, look_over
from jobs.activations.manifest import CorruptShard
from jobs.activations.skips import has_stale_skips
from jobs.extraction.shard import Shard
from jobs.probing.results import left_out_id
from jobs.protocol.cells import Cell
from jobs.storage.location import Location
from sweep.plan.activation_sets import shards
from sweep.plan.plan import (
    TYPES_MODEL,
    LayerTask,
    Plan,
    PlannedModel,
    PlannedSet,
    layer_tasks,
    needs_types,
)
from sweep.running.cached_rows import record_sets, with_cached_rows
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

    Models whose layers are to be ``compared`` are included, and the one that types of utterances
    are found with, if a cell needs these, comes first. Failed cells count as unfinished, and
    so do cells that are based on other utterances than are usable today. ``on_corrupt`` is called
    for shards that are damaged. Without ``keep_index``, nothing is written.
    """
    # One string per utterance, shared by the shards of all models.
    table = table.astype(dict.fromkeys(("utterance_id", "audio_path"), object))
    in_cache = {
        model.name: survey_shards(model, table, cache, keep_index=keep_index)
        for model in plan.models
    }
    if keep_index:
        for model in plan.models:
            record_sets(model, table, cache)
    tasks: dict[str, deque[LayerTask]] = {model.name: deque() for model in plan.models}
    for task in layer_tasks(plan):
        found = in_cache[task.model.name]
        left_out = {
            target: found.left_out(plan.sets_of(task.model, target)) for target in plan.targets
        }
        cells = tuple(
            cell
            for cell in task.cells
            if wanted(task, cell)
            and not (
                is_done(records, cell.cell_id)
                and found.is_current(records[cell.cell_id], left_out[cell.target])
            )
        )
        if cells:
            tasks[task.model.name].append(LayerTask(task.model, task.layer, cells))
    work = []
    by_type = any(needs_types(task) for of_model in tasks.values() for task in of_model)
    if by_type:
        compared = {*compared, TYPES_MODEL}
    for model in sorted(plan.models, key=lambda one: not (by_type and one.name == TYPES_MODEL)):
        if not tasks[model.name] and model.name not in compared:
            continue
        found = in_cache[model.name]
        for error in found.corrupt:
            on_corrupt(error)
        missing = with_cached_rows(model, found.missing, table, cache)
        work.append(ModelWork(model, tasks[model.name], deque(missing)))
    return work


def is_done(records: Mapping[str, Finished | Record], cell_id: str) -> bool:
    """Return whether a cell has its scores."""
    return cell_id in records and records[cell_id].status == "done"


@dataclass(frozen=True)
class CachedShards:
    """The shards of a model, as the cache has them."""

    missing: list[Shard]
    """Shards to extract: absent, damaged, or with skipped audio that has changed since."""
    corrupt: list[CorruptShard]
    """The damaged ones."""
    skipped: Mapping[str, frozenset[str]] | None
    """Activation id of a set → utterances that its shards left out; sets that left out none may be
    missing. None: not known, as shards are missing."""
    repaired: bool
    """Whether audio that was skipped has changed since."""

    def left_out(self, sets: Iterable[PlannedSet]) -> str | None:
        """Identify the utterances that ``sets`` leave out today; None: not known."""
        if self.skipped is None:
            return None
        skipped = (self.skipped.get(planned.activation_id, frozenset()) for planned in sets)
        return left_out_id(frozenset[str]().union(*skipped))

    def is_current(self, record: Finished | Record, left_out: str | None) -> bool:
        """Return whether a finished cell is based on the utterances that are usable today.

        A record from before this was recorded is trusted as long as no skipped audio has changed.
        ``left_out`` identifies the utterances that its sets leave out.
        """
        if self.repaired:
            return record.left_out == ""
        return left_out is None or record.left_out in (None, left_out)


def survey_shards(
    model: PlannedModel, table: pd.DataFrame, cache: Location, *, keep_index: bool = True
) -> CachedShards:
    """Look at the model's shards in the cache. Without ``keep_index``, nothing is written."""
    missing: list[Shard] = []
    corrupt: list[CorruptShard] = []
    skipped: dict[str, frozenset[str]] = {}
    complete, repaired = True, False
    for planned in model.all_sets:
        found = look_over(planned.folder(cache), planned.n_shards, keep_index=keep_index)
        if all(isinstance(one, SeenShard) and not one.skipped for one in found):
            continue  # nothing to spell out
        for shard, one in zip(shards(planned, table, cache), found, strict=True):
            if isinstance(one, CorruptShard):
                corrupt.append(one)
            if not isinstance(one, SeenShard):
                complete = False
                missing.append(shard)
                continue
            if has_stale_skips(one, shard.paths):
                repaired = True
                missing.append(shard)
            if planned in model.sets:
                known = skipped.get(planned.activation_id, frozenset())
                names = {left_out.utterance_id for left_out in one.skipped}
                skipped[planned.activation_id] = known | names
    return CachedShards(missing, corrupt, skipped if complete else None, repaired)
