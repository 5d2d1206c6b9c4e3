"""The interface between a sweep and its optional analyses."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from jobs.probing.parts import JobPart
from jobs.storage.location import Location
from sweep.plan.plan import LayerTask, Plan
from sweep.spec.check import Check
from sweep.spec.schema import Spec
from sweep.state.ledger import Finished, Record
from sweep.state.run_folder import RunFolder
from sweep.work_queue import NeedsActivations, WorkQueue


@dataclass(frozen=True)
class RunContext:
    """A run that may have work left."""

    spec: Spec
    plan: Plan
    table: pd.DataFrame
    """The utterance table, with the targets as columns."""
    folder: RunFolder
    cache: Location
    """The activation cache."""


class StoredRun(Protocol):
    """A run on disk, as `sweep.results.run.Run` reads it."""

    folder: RunFolder

    @property
    def spec(self) -> Spec:
        """The spec as it was resolved."""

    @property
    def plan(self) -> Plan:
        """Everything that the run consists of."""

    @property
    def utterances(self) -> pd.DataFrame:
        """The utterance table, with the targets as columns."""

    @property
    def records(self) -> dict[str, Record]:
        """Finished cells by cell id."""


@dataclass(frozen=True)
class Incomplete:
    """Finished cells whose part of an analysis is missing: they run again."""

    cell_ids: frozenset[str]
    warning: str
    """Message for the user if there are any."""


class QueueRecorder(Protocol):
    """Records the jobs of an analysis' own queue."""

    def compared(self, seconds: float, analysis: str) -> None:
        """Record a job of ``analysis`` that is done."""

    def warning(self, message: str) -> None:
        """Record a warning for the user."""

    def failure(self, stage: str, model: str | None, where: str, error: str) -> None:
        """Record a job that failed permanently."""


class AnalysisQueue(WorkQueue[Any], NeedsActivations, Protocol):
    """Jobs of an analysis that read the activations of whole models."""

    @property
    def models(self) -> Collection[str]:
        """Names of the models whose activations are needed."""


class Analysis:
    """An optional analysis of a sweep, with everything that belongs to it.

    Every method has a default that does nothing: an analysis overrides what it needs. Its settings,
    if it has any, are a key of the spec; its tables are written as ``tables/<name>.csv``.
    """

    name: str
    """Names its section of the report."""
    checks: tuple[Check, ...] = ()
    """Checks of the spec."""

    def columns(self, spec: Spec) -> tuple[str, ...]:
        """Targets that the utterance table needs as columns, whether they are probed or not."""
        return ()

    def extend_plan(self, plan: Plan, spec: Spec, table: pd.DataFrame) -> Plan:
        """Add the activation sets that only this analysis needs; no cell's id may change."""
        return plan

    def extra_rows(self, plan: Plan, table: pd.DataFrame) -> pd.DataFrame | None:
        """Rows of the utterance table for the added sets, under splits of their own, whose names
        begin with ``#<analysis>=``; None: there are none."""
        return None

    def job_part(
        self, plan: Plan, task: LayerTask, predictions: str, folder: RunFolder, cache: Location
    ) -> JobPart | None:
        """Its part of the job that probes a layer; None: nothing.

        Args:
            plan: of the run.
            task: the layer and its cells.
            predictions: name of the file of the cells' predictions.
            folder: of the run.
            cache: where activations are stored.
        """
        return None

    def queue(
        self,
        run: RunContext,
        is_extracted: Callable[[str], bool] = lambda model: False,
        recorder: QueueRecorder | None = None,
    ) -> AnalysisQueue | None:
        """Its own remaining jobs; None: it has none of its own.

        Args:
            run: the run.
            is_extracted: whether the activations of the model with this name are complete.
            recorder: records the outcomes; None: the jobs are only counted.
        """
        return None

    def incomplete(
        self, plan: Plan, records: Mapping[str, Finished | Record], present: Collection[str]
    ) -> Incomplete | None:
        """The done cells whose part of the analysis is missing.

        Args:
            plan: of the run.
            records: finished cells, by id.
            present: names of the files in the folder of predictions.
        """
        return None

    def tables(self, run: StoredRun) -> dict[str, pd.DataFrame]:
        """Its tables by file name without ``.csv``; empty where the run has no results of it."""
        return {}

    def layer_columns(self, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
        """Columns that it adds to ``layers.csv``, beside the key ``model, layer, target``; None:
        none.

        Args:
            tables: the tables of all analyses.
        """
        return None

    def cost(
        self, run: RunContext, records: Mapping[str, Finished | Record], jobs_left: int
    ) -> Iterator[str]:
        """One line for ``sweep plan``, if the spec asks for the analysis.

        Args:
            run: the run.
            records: finished cells, by id.
            jobs_left: number of remaining jobs of its own queue.
        """
        yield from ()
