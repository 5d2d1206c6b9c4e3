"""Turning what came back into ledger lines and events."""

import logging
import textwrap
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from jobs.probe import CellResult
from sweep.events import EventLog
from sweep.ledger import Ledger, Record
from sweep.plan import LayerTask, Plan, made_from

log = logging.getLogger(__name__)

REASON_LENGTH = 300
"""Characters of an error in a table; the log has all of it."""


class Recorder:
    """Writes finished cells to the ledger, and tells of everything; the one writer of both.

    Attributes:
        any_failed: something failed for good.
        shards: extracted.
        scored: cells that came back, failed ones among them.
    """

    def __init__(self, plan: Plan, ledger: Ledger, events: EventLog) -> None:
        self._plan = plan
        self._ledger = ledger
        self._events = events
        self.any_failed = False
        self.shards = 0
        self.scored = 0

    def cells(self, task: LayerTask, results: Sequence[CellResult], predictions: str) -> None:
        """Record the results of a layer; on return they are on the disk."""
        by_id = {result.cell_id: result for result in results}
        records = [
            self._make(task, position, by_id[cell.cell_id], predictions)
            for position, cell in enumerate(task.cells)
        ]
        self._ledger.append(records)
        self.scored += len(records)
        failed = [record for record in records if record.status == "failed"]
        for error, count in Counter(record.error or "" for record in failed).items():
            self.failure("probe", task.model.name, task.layer.name, f"{count} cells: {error}")
        self._events.emit(
            "cells_done",
            model=task.model.name,
            layer=task.layer.name,
            layer_index=task.layer.index,
            cells=len(records),
            failed=len(failed),
            seconds=sum(record.seconds for record in records),
            best=_best(records),
        )

    def failed_task(self, task: LayerTask, reason: str) -> None:
        """Record every cell of a layer as failed."""
        results = [
            CellResult(
                cell.cell_id,
                "failed",
                reason,
                n_train=0,
                n_test=0,
                scores={},
                details={},
                seconds=0.0,
            )
            for cell in task.cells
        ]
        self.cells(task, results, "")

    def failure(self, stage: str, model: str | None, where: str, error: str) -> None:
        """Tell of something that failed for good."""
        self.any_failed = True
        log.error("%s: %s: %s: %s", stage, model, where, error)
        self._events.emit("failure", stage=stage, model=model, where=where, error=error)

    def retry(self, where: str, attempt: int, error: str) -> None:
        """Tell of another attempt."""
        log.warning("%s: attempt %d: %s", where, attempt, error)
        self._events.emit("retry", where=where, attempt=attempt, error=error)

    def warning(self, message: str) -> None:
        """Tell of something that the user should know."""
        log.warning("%s", message)
        self._events.emit("warning", message=message)

    def shard(self, model: str, number: int, utterances: int, skipped: int, seconds: float) -> None:
        """Tell of a shard that is on the disk."""
        self.shards += 1
        self._events.emit(
            "shard_done", model=model, shard=number, utterances=utterances, skipped=skipped,
            seconds=seconds,
        )  # fmt: skip

    def _make(self, task: LayerTask, position: int, result: CellResult, predictions: str) -> Record:
        cell = task.cells[position]
        return Record(
            cell_id=cell.cell_id,
            status=result.status,
            error=result.error,
            model=task.model.name,
            layer=task.layer.name,
            layer_index=task.layer.index,
            target=cell.target,
            probe=cell.probe,
            seed=cell.seed,
            fold=cell.fold,
            control=cell.control,
            n_train=result.n_train,
            n_test=result.n_test,
            scores=result.scores,
            details=result.details,
            seconds=result.seconds,
            predictions=predictions if result.status == "done" else "",
            made_from=made_from(self._plan, task.model, cell.target, cell.probe),
        )


def reason(error: BaseException | None) -> str:
    """An error in one line, for a table or a log."""
    text = str(error).strip().splitlines()
    first = textwrap.shorten(text[0], REASON_LENGTH, placeholder=" …") if text else ""
    return f"{type(error).__name__}: {first}".rstrip(": ")


def _best(records: Sequence[Record]) -> dict[str, object] | None:
    """The best real score among ``records``: of each probe and target the mean over its cells."""
    scores: dict[tuple[str, str], list[float]] = {}
    for record in records:
        r2 = record.scores.get("r2")
        if record.control == "none" and r2 is not None:
            scores.setdefault((record.probe, record.target), []).append(r2)
    if not scores:
        return None
    (probe, target), r2s = max(scores.items(), key=lambda item: fmean(item[1]))
    return {"probe": probe, "target": target, "r2": fmean(r2s)}
