"""The probe job: one layer of one model, all its probes, targets, seeds, folds and controls.

U rows of the utterance table, D width of the layer, K cells that one fit serves.
"""

import hashlib
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs import metrics
from jobs.corpus.table import read_table
from jobs.metrics import FloatArray
from jobs.predictions import CellPredictions, write_predictions
from jobs.probes import PROBES, ProbeResult, ProbeSettings
from jobs.protocol import Fold, IntArray, ProtocolSettings, StrArray, group_labels, make_folds
from jobs.store import read_layer


@dataclass(frozen=True)
class Cell:
    """One number of the sweep: what is fitted to what, with which seed, tested on which fold."""

    cell_id: str
    probe: str
    """Key of ``ProbeJob.probes``."""
    target: str
    """Column of the utterance table."""
    seed: int
    """Counted from 0; 0 for deterministic probes."""
    fold: int
    """Counted from 0."""
    control: str
    """``none``, or ``shuffled``: the target permuted within each part of the fold."""


@dataclass(frozen=True)
class ProbeJob:
    """All that is to be probed of one layer."""

    model: str
    layer: str
    activations: tuple[tuple[Path, int], ...]
    """(folder, number of shards) of every activation set that holds the table's utterances."""
    table: Path
    """The utterance table with target columns."""
    probes: dict[str, ProbeSettings]
    protocol: ProtocolSettings
    cells: tuple[Cell, ...]
    predictions: Path
    """The ``.npz`` that the cells' predictions are written to."""


@dataclass(frozen=True)
class CellResult:
    """What became of one cell."""

    cell_id: str
    status: Literal["done", "failed"]
    error: str | None
    """One line for a human where it failed."""
    n_train: int
    n_test: int
    """Utterances, without those that extraction skipped or that have no value of the target."""
    scores: dict[str, float | None]
    """``jobs.metrics.score``; None where a score is not defined. Empty where the cell failed."""
    details: dict[str, float]
    """What the probe chose on the way: alpha, epochs, …"""
    seconds: float
    """Its share of the time of the fit that served it."""


def probe_layer(job: ProbeJob) -> list[CellResult]:
    """Fit and score every cell of ``job``, write the predictions, and return results in cell order.

    A probe that raises fails the cells it served, with the reason; the others go on. Activations,
    predictions or scores that are not finite fail their cells: a number is never made of them. An
    utterance whose target is not finite is left out of that target's cells.

    Raises:
        jobs.store.CorruptShard: an activation shard is damaged and has to be extracted again.
        ValueError: activations, table and protocol do not fit together.
    """
    layer = _read(job)
    refusal = layer.non_finite(job.layer)
    results: dict[str, CellResult] = {}
    predictions: dict[str, CellPredictions] = {}
    for cells in layer.by_fit(job.cells):
        if refusal:
            results |= {cell.cell_id: layer.failed(cell, refusal) for cell in cells}
            continue
        for result, predicted in layer.fit(job.probes[cells[0].probe], cells):
            results[result.cell_id] = result
            if predicted is not None:
                predictions[result.cell_id] = predicted
    write_predictions(job.predictions, predictions)
    return [results[cell.cell_id] for cell in job.cells]


def control_target(values: FloatArray, fold: Fold, cell: Cell) -> FloatArray:
    """(U,) the target that ``cell`` is fitted to and scored on.

    For the control ``shuffled``, ``values`` (U,) are permuted within each part of ``fold`` by a
    generator seeded from (seed, target, fold) alone, so that every layer and model, and every probe
    with the same seed, meets the same permutation.
    """
    if cell.control == "none":
        return values
    if cell.control != "shuffled":
        raise ValueError(f"unknown control {cell.control!r}: expected 'none' or 'shuffled'")
    name = f"{cell.seed}/{cell.target}/{cell.fold}"
    digest = hashlib.sha256(name.encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    shuffled = values.copy()
    for rows in (fold.train, fold.validation, fold.test):
        shuffled[rows] = values[generator.permutation(rows)]
    return shuffled


@dataclass(frozen=True)
class _Layer:
    """One layer's activations beside the table, with the folds of the whole table."""

    table: pd.DataFrame
    X: npt.NDArray[np.float32]
    """(U, D), NaN where extraction skipped the utterance."""
    present: npt.NDArray[np.bool_]
    """(U,) whether there are activations."""
    groups: StrArray
    """(U,) what the protocol keeps together."""
    folds: list[Fold]

    def by_fit(self, cells: Sequence[Cell]) -> list[list[Cell]]:
        """The cells that one call of a probe serves: those of one probe, fold and set of rows."""
        fits: dict[tuple[str, int, bytes], list[Cell]] = {}
        for cell in cells:
            key = (cell.probe, cell.fold, self._has_value(cell.target).tobytes())
            fits.setdefault(key, []).append(cell)
        return list(fits.values())

    def fit(
        self, settings: ProbeSettings, cells: Sequence[Cell]
    ) -> Iterator[tuple[CellResult, CellPredictions | None]]:
        """Serve all ``cells``, which are of one fit, by one call of the probe."""
        start = time.perf_counter()
        rows = self._rows(cells[0])
        columns: dict[Cell, FloatArray] = {}
        for cell in cells:
            try:
                columns[cell] = self._target(cell, rows)
            except ValueError as error:
                yield self.failed(cell, str(error)), None
        if not columns:
            return
        Y, seeds = np.stack(list(columns.values()), axis=1), [cell.seed for cell in columns]
        try:
            outcome = PROBES[settings.kind](settings, self.X, Y, rows, self.groups, seeds)
        except Exception as error:  # noqa: BLE001 - whatever a probe raises is its cells' result
            seconds = (time.perf_counter() - start) / len(columns)
            yield from ((self.failed(cell, _last_line(error), seconds), None) for cell in columns)
            return
        seconds = (time.perf_counter() - start) / len(columns)
        for k, cell in enumerate(columns):
            yield self._scored(cell, Y[:, k], rows, outcome, k, seconds)

    def failed(self, cell: Cell, error: str, seconds: float = 0.0) -> CellResult:
        """The result of a cell that could not be computed."""
        rows = self._rows(cell)
        n_train, n_test = len(rows.train), len(rows.test)
        return CellResult(cell.cell_id, "failed", error, n_train, n_test, {}, {}, seconds)

    def non_finite(self, name: str) -> str | None:
        """Which activations are not finite, for a human; None if all are."""
        wrong = ~np.isfinite(self.X) & self.present[:, None]
        utterances = np.flatnonzero(wrong.any(axis=1))
        if not utterances.size:
            return None
        return (
            f"activations of {name}: {wrong.sum()} values in {utterances.size} of "
            f"{self.present.sum()} utterances are not finite ({self._first_names(utterances)}): "
            "extract them again in float32, or leave these utterances out of the corpus"
        )

    def _target(self, cell: Cell, rows: Fold) -> FloatArray:
        if cell.target not in self.table.columns:
            raise ValueError(f"the utterance table has no target {cell.target!r}")
        if len(rows.train) < 2 or len(rows.test) < 1:
            raise ValueError(
                f"fold {cell.fold} has {len(rows.train)} training and {len(rows.test)} test "
                f"utterances with activations and a value of {cell.target}: expected at least 2 "
                "and 1"
            )
        # Utterances without activations take part in the permutation: it is the same for all models
        # and layers.
        fold = _only(self._has_value(cell.target), self.folds[cell.fold])
        return control_target(self.table[cell.target].to_numpy(dtype=np.float64), fold, cell)

    def _scored(
        self, cell: Cell, y: FloatArray, rows: Fold, outcome: ProbeResult, k: int, seconds: float
    ) -> tuple[CellResult, CellPredictions | None]:
        """Score column ``k`` of ``outcome`` against the target ``y`` (U,)."""
        predicted = outcome.predictions[:, k]
        storable = np.abs(predicted) < np.finfo(np.float32).max  # False for NaN
        if not storable.all():
            error = f"{(~storable).sum()} of {len(predicted)} predictions are not finite"
            return self.failed(cell, f"{error}: the probe diverged", seconds), None
        train_mean = float(y[rows.train].mean())
        speakers = self.table["speaker_id"].to_numpy(dtype=np.str_)[rows.test]
        scores = metrics.score(y[rows.test], predicted, train_mean, speakers)
        unsound = [n for n, value in scores.items() if value is not None and not np.isfinite(value)]
        if unsound:
            return self.failed(cell, f"not finite: {', '.join(unsound)}", seconds), None
        names = self.table["utterance_id"].to_numpy(dtype=np.str_)[rows.test]
        stored = CellPredictions(
            fold=cell.fold,
            train_mean=train_mean,
            utterance_id=names,
            y_true=y[rows.test].astype(np.float32),
            y_pred=predicted.astype(np.float32),
        )
        n_train, n_test = len(rows.train), len(rows.test)
        details = outcome.details[k]
        done = CellResult(cell.cell_id, "done", None, n_train, n_test, scores, details, seconds)
        return done, stored

    def _rows(self, cell: Cell) -> Fold:
        """Its fold without the utterances that lack activations or a value of the target."""
        return _only(self.present & self._has_value(cell.target), self.folds[cell.fold])

    def _has_value(self, target: str) -> npt.NDArray[np.bool_]:
        """(U,) whether the target is finite; all False for a target that is not there."""
        if target not in self.table.columns:
            return np.zeros(len(self.table), dtype=bool)
        values: FloatArray = self.table[target].to_numpy(dtype=np.float64)
        return np.isfinite(values)

    def _first_names(self, rows: IntArray) -> str:
        names = self.table["utterance_id"].iloc[rows].tolist()
        return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _read(job: ProbeJob) -> _Layer:
    """The layer's activations in the order of the table.

    Folds are made of the whole table, so that they do not depend on what a model could not read.
    """
    table = read_table(job.table)
    order = pd.Index(table["utterance_id"])
    if not order.is_unique:
        raise ValueError(f"{job.table} names utterances twice: expected unique utterance ids")
    X: npt.NDArray[np.float32] | None = None
    present = np.zeros(len(table), dtype=bool)
    for folder, n_shards in job.activations:
        names, values = read_layer(folder, n_shards, job.layer)
        if not names:
            continue
        if X is None:
            X = np.full((len(table), values.shape[1]), np.nan, dtype=np.float32)
        elif X.shape[1] != values.shape[1]:
            raise ValueError(
                f"{folder} holds {values.shape[1]} values an utterance for {job.layer}, the sets "
                f"before it {X.shape[1]}: they are not of one model and pooling"
            )
        rows: IntArray = order.get_indexer(pd.Index(names))
        known = rows >= 0
        if present[rows[known]].any() or len(set(names)) < len(names):
            raise ValueError(f"{folder} holds utterances a second time, for {job.layer}")
        X[rows[known]] = values[known]
        present[rows[known]] = True
    if X is None or not present.any():
        raise ValueError(f"no utterance of {job.table} has activations for {job.layer}")
    groups = group_labels(job.protocol, table)
    return _Layer(table, X, present, groups, make_folds(job.protocol, table))


def _only(usable: npt.NDArray[np.bool_], fold: Fold) -> Fold:
    """The rows of ``fold`` for which ``usable`` (U,) is true."""
    train, validation, test = (
        rows[usable[rows]] for rows in (fold.train, fold.validation, fold.test)
    )
    return Fold(train, validation, test)


def _last_line(error: BaseException) -> str:
    """Type, message and place of ``error``, in one line."""
    what = " ".join(traceback.format_exception_only(error)[-1].split())
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{what} ({Path(frame.filename).name}:{frame.lineno}, in {frame.name})"
