"""Records of cells whose ids are no longer those of the plan, with the reasons."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

from jobs.protocol.cells import Cell
from sweep.plan.plan import LayerTask, Plan, layer_tasks, made_from


class CellRecord(Protocol):
    """The fields of a finished cell's record that `why_stale` reads."""

    @property
    def cell_id(self) -> str:
        """Identity of the cell."""

    @property
    def place(self) -> tuple[str, ...]:
        """Model, layer, target, probe, seed, fold and control of the cell."""

    @property
    def made_from(self) -> Mapping[str, str]:
        """Ingredients of the cell, see `made_from`."""


def why_stale(plan: Plan, records: Iterable[CellRecord]) -> Counter[str]:
    """Count the reasons for which records of planned cells have other ids than planned."""
    return sum(stale_by_model(plan, records).values(), Counter())


def stale_by_model(plan: Plan, records: Iterable[CellRecord]) -> dict[str, Counter[str]]:
    """Count the stale records of every model by reason, see `why_stale`."""
    planned = {cell.cell_id for task in layer_tasks(plan) for cell in task.cells}
    others: dict[str, CellRecord] = {
        record.cell_id: record for record in records if record.cell_id not in planned
    }
    places = {record.place for record in others.values()}
    current = {
        place: made_from(plan, task.model, cell.target, cell.probe)
        for task in (layer_tasks(plan) if places else ())
        for cell in task.cells
        if (place := _place(task, cell)) in places
    }
    reasons: dict[str, Counter[str]] = {}
    for record in others.values():
        if record.place in current:
            ingredients = current[record.place]
            changed = [k for k, v in ingredients.items() if record.made_from.get(k) != v]
            of_model = reasons.setdefault(record.place[0], Counter())
            of_model[" and ".join(changed or ["types"]) + " changed"] += 1
    return reasons


def _place(task: LayerTask, cell: Cell) -> tuple[str, ...]:
    return (
        task.model.name, task.layer.name, cell.target, cell.probe,
        str(cell.seed), str(cell.fold), cell.control,
    )  # fmt: skip
