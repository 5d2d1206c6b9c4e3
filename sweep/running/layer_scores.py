"""Scores of layers for those who watch a run, from the records of its cells."""

from collections.abc import Iterable, Iterator, Mapping
from statistics import fmean
from typing import Any, NamedTuple

from jobs.statistics.scores import MAIN_SCORE
from sweep.plan.plan import Plan, layer_tasks
from sweep.state.ledger import Record

MOST_CELLS = 200_000
"""Number of cells above which scores of earlier runs are not read again at a resume: that would
take seconds, and a line of the view has no room for so many layers."""


class Scored(NamedTuple):
    """Main scores of a finished cell without controls."""

    probe: str
    target: str
    scores: Mapping[str, float]


def scored(records: Iterable[Record]) -> Iterator[Scored]:
    """Keep the main scores of the cells without controls that have any."""
    for record in records:
        if record.control != "none" or record.status != "done":
            continue
        values = ((name, record.scores.get(name)) for name in MAIN_SCORE.values())
        known = {name: value for name, value in values if value is not None}
        if known:
            yield Scored(record.probe, record.target, known)


def layer_scores(cells: Iterable[Scored]) -> dict[str, Any]:
    """Return the fields of an event about a layer: ``best``, ``best_accuracy`` and ``scores``."""
    cells = list(cells)
    return {
        "best": _best(cells, "r2"),
        "best_accuracy": _best(cells, "accuracy"),
        "scores": _by_target(cells),
    }


def earlier_scores(plan: Plan, records: Iterable[Record]) -> dict[str, list[dict[str, Any]]]:
    """Return the scores of the layers that earlier runs finished, wholly or in part.

    Args:
        plan: of the run; records of other cells do not count.
        records: of the ledger, the last one of a cell counts.

    Returns:
        Model → an entry for each of its layers: ``layer``, ``layer_index`` and `layer_scores`.
    """
    if plan.n_cells > MOST_CELLS:
        return {}
    place = {
        cell.cell_id: (task.model.name, task.layer.name, task.layer.index)
        for task in layer_tasks(plan)
        for cell in task.cells
    }
    last: dict[str, list[Scored]] = {}
    for record in records:
        if record.cell_id in place:
            last[record.cell_id] = list(scored([record]))
    layers: dict[tuple[str, str, int], list[Scored]] = {}
    for cell_id, found in last.items():
        layers.setdefault(place[cell_id], []).extend(found)
    entries: dict[str, list[dict[str, Any]]] = {}
    for (model, layer, index), cells in layers.items():
        if cells:
            about = {"layer": layer, "layer_index": index, **layer_scores(cells)}
            entries.setdefault(model, []).append(about)
    return entries


def _by_target(cells: list[Scored]) -> dict[str, float]:
    """Main score of each target by its best probe: the mean over cells."""
    found: dict[str, float] = {}
    for target in dict.fromkeys(cell.target for cell in cells):
        of_target = [cell for cell in cells if cell.target == target]
        for score in MAIN_SCORE.values():
            best = _best(of_target, score)
            if best is not None:
                found[target] = round(best[score], 4)
    return found


def _best(cells: list[Scored], score: str) -> dict[str, Any] | None:
    """Find the best ``score``: the mean over cells of each probe and target."""
    values: dict[tuple[str, str], list[float]] = {}
    for cell in cells:
        if score in cell.scores:
            values.setdefault((cell.probe, cell.target), []).append(cell.scores[score])
    if not values:
        return None
    (probe, target), best = max(values.items(), key=lambda item: fmean(item[1]))
    return {"probe": probe, "target": target, score: fmean(best)}
