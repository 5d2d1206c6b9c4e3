"""Conversion of outcomes into ledger lines and events."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

from jobs.extraction.shard import ShardReport
from jobs.probing.results import CellResult
from jobs.protocol.cells import Cell
from sweep.plan.plan import LayerTask, Plan, made_from
from sweep.running.layer_scores import earlier_scores, layer_scores, scored
from sweep.state.events import EventLog
from sweep.state.ledger import Ledger, Record

log = logging.getLogger(__name__)


class Recorder:
    """Writes finished cells to the ledger and emits events; the only writer of both.

    Attributes:
        any_failed: something failed permanently.
        shards: number extracted.
        scored: number of cells that returned, including failed ones.
    """

    def __init__(self, plan: Plan, ledger: Ledger, events: EventLog) -> None:
        self._plan = plan
        self._ledger = ledger
        self._events = events
        self._made_from: dict[tuple[str, str, str], dict[str, str]] = {}
        """Ids by model, target and probe, for all layers."""
        self._began: set[tuple[str, str]] = set()
        self.any_failed = False
        self.shards = 0
        self.scored = 0

    def layers(self, scored: Sequence[tuple[LayerTask, Sequence[CellResult], str]]) -> None:
        """Record the results of layers, each with its file of predictions; they are on the disk on
        return."""
        made = []
        for task, results, predictions in scored:
            by_id = {result.cell_id: result for result in results}
            made.append([self._make(task, c, by_id[c.cell_id], predictions) for c in task.cells])
        self._ledger.append(record for records in made for record in records)
        for (task, _, _), records in zip(scored, made, strict=True):
            self._report(task, records)

    def _report(self, task: LayerTask, records: Sequence[Record]) -> None:
        self.scored += len(records)
        failed = [record for record in records if record.status == "failed"]
        for error, count in Counter(record.error or "" for record in failed).items():
            self.failure("probe", task.model.name, task.layer.name, error, cells=count)
        self._events.emit(
            "cells_done",
            model=task.model.name,
            layer=task.layer.name,
            layer_index=task.layer.index,
            cells=len(records),
            failed=len(failed),
            seconds=sum(record.seconds for record in records),
            **layer_scores(scored(records)),
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
        self.layers([(task, results, "")])

    def failure(
        self, stage: str, model: str | None, where: str, error: str, cells: int | None = None
    ) -> None:
        """Emit the event of a permanent failure, with the number of cells that have failed so."""
        self.any_failed = True
        log.error("%s: %s: %s: %s", stage, model, where, error)
        more = {} if cells is None else {"cells": cells}
        self._events.emit("failure", stage=stage, model=model, where=where, error=error, **more)

    def retry(self, where: str, attempt: int, error: str) -> None:
        """Emit the event of another attempt."""
        log.warning("%s: attempt %d: %s", where, attempt, error)
        self._events.emit("retry", where=where, attempt=attempt, error=error)

    def warning(self, message: str) -> None:
        """Emit a warning for the user."""
        log.warning("%s", message)
        self._events.emit("warning", message=message)

    def activity(self, message: str) -> None:
        """Emit what the run begins to do, for those who watch it."""
        log.info("%s", message)
        self._events.emit("activity", message=message)

    def began(self, stage: str, model: str) -> None:
        """Emit that the first job of a model in a stage was sent to an executor."""
        if (stage, model) not in self._began:
            self._began.add((stage, model))
            self._events.emit("began", stage=stage, model=model)

    def resources(self, **fields: object) -> None:
        """Emit what the run has and uses."""
        self._events.emit("resources", **fields)

    def earlier(self, records: Iterable[Record]) -> None:
        """Emit the scores of the layers that earlier runs finished, for a line of all layers.

        Args:
            records: those of the ledger.
        """
        if self._ledger.records:
            for model, layers in earlier_scores(self._plan, records).items():
                self._events.emit("scored_earlier", model=model, layers=layers)

    def ledger_warnings(self, name: str) -> None:
        """Warn of lines of the ledger, a file with this ``name``, that are damaged or unchecked."""
        for line in self._ledger.damaged:
            self.warning(f"{name}: {line}; its cells run again")
        if self._ledger.n_unchecked:
            self.warning(
                f"{name}: {self._ledger.n_unchecked} lines were written before there were "
                "checksums; they are used as they are"
            )

    def shard(self, model: str, number: int, report: ShardReport) -> None:
        """Emit the event of a finished shard."""
        self.shards += 1
        self._events.emit(
            "shard_done",
            model=model,
            shard=number,
            utterances=report.n_utterances,
            skipped=len(report.skipped),
            copied=report.copied,
            seconds=report.seconds,
            forward_seconds=report.forward_seconds,
        )

    def compared(self, seconds: float, analysis: str) -> None:
        """Emit the event of a finished job of an analysis' own queue."""
        self._events.emit("compared", seconds=seconds, analysis=analysis)

    def _make(self, task: LayerTask, cell: Cell, result: CellResult, predictions: str) -> Record:
        what = (task.model.name, cell.target, cell.probe)
        if what not in self._made_from:
            self._made_from[what] = made_from(self._plan, task.model, cell.target, cell.probe)
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
            made_from=self._made_from[what],
            left_out=result.left_out,
        )
