"""The probe job: one layer of one model, all its probes, targets, seeds, folds and controls.

U rows of the utterance table, D width of the layer, K cells that one fit serves.
"""

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from jobs.arrays import FloatArray
from jobs.gram.fit import GramSets
from jobs.gram.scores import score_by_sums, speaker_scores
from jobs.probes import PROBES, ProbeResult, ProbeSettings, Weights
from jobs.probing.joint_cca import Joint, fit_targets_jointly, write_components
from jobs.probing.layer_data import LayerData, read_layer_data
from jobs.probing.saved_probes import ProbeCard, Saving, save_probe
from jobs.probing.tempo import Counterfactual, Stretched
from jobs.probing.tempo_settings import is_asked, key
from jobs.process import ran_out_of_memory
from jobs.protocol.cells import Cell, control_target
from jobs.protocol.folds import Fold, ProtocolSettings, only
from jobs.protocol.predictions import CellPredictions, write_predictions
from jobs.statistics import class_scores
from jobs.statistics import scores as metrics
from jobs.storage.location import Location


@dataclass(frozen=True)
class ProbeJob:
    """All that is to be probed of one layer."""

    model: str
    layer: str
    activations: tuple[tuple[Location, int], ...]
    """(folder, number of shards) of every activation set that holds the table's utterances."""
    table: Location
    """The utterance table with target columns."""
    probes: dict[str, ProbeSettings]
    protocol: ProtocolSettings
    cells: tuple[Cell, ...]
    predictions: Location
    """The ``.npz`` that the cells' predictions are written to."""
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Target → names of its classes, sorted; targets that are numbers are not in it."""
    sums: GramSets | None = None
    """Statistics that stand for the training and validation parts, with `kfold` for the tested ones
    as well; None: ``activations`` has them."""
    saving: Saving | None = None
    """Where fitted probes are kept, those of controls left out; None: nowhere."""
    alone: bool = False
    """It ran out of memory before, and has its machine to itself."""
    stretched: Stretched | None = None
    """Tested utterances at other rates, that fitted probes are given as well; None: none are."""
    joint: Joint | None = None
    """Targets that a CCA probe takes together; None: none does."""


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
    """``jobs.statistics.scores.score``, of classes
    ``jobs.statistics.class_scores.score_classes``; None where a score
    is not defined. Empty where the cell failed."""
    details: dict[str, float]
    """What the probe chose on the way: alpha, epochs, …"""
    seconds: float
    """Its share of the time of the fit that served it."""


@dataclass(frozen=True)
class _Outcome:
    """All that is known of one cell once it was worked on."""

    cell: Cell
    result: CellResult
    predictions: CellPredictions | None = None
    """None where the cell failed, or its test part has no activations."""
    weights: Weights | None = None
    """None where the cell failed, or its probe has none to give."""


def probe_layer(job: ProbeJob) -> list[CellResult]:
    """Fit and score every cell of ``job``, write the predictions, and return results in cell order.

    A probe that raises fails the cells it served, with the reason; the others go on. Activations,
    predictions or scores that are not finite fail their cells: a number is never made of them. An
    utterance that has no value of a target is left out of that target's cells. Probes are given a
    class as its position in ``job.classes``.

    Raises:
        MemoryError, RuntimeError: out of memory (``ran_out_of_memory``), unless ``job.alone``.
        jobs.activations.store.CorruptShard: an activation shard is damaged and has to be
            extracted again.
        ValueError: activations, table and protocol do not fit together.
    """
    data = read_layer_data(
        job.table, job.activations, job.layer, job.protocol, job.classes, job.sums
    )
    layer, refusal = _Fits(data, job.alone), data.non_finite(job.layer)
    heard = None if job.stretched is None else Counterfactual(job.stretched, job.layer, data)
    results: dict[str, CellResult] = {}
    predictions: dict[str, CellPredictions] = {}
    of_stretched: dict[str, CellPredictions] = {}
    for cells in layer.by_fit(job.cells):
        if refusal:
            results |= {cell.cell_id: layer.failed(cell, refusal) for cell in cells}
            continue
        for outcome in layer.fit(job.probes[cells[0].probe], cells):
            results[outcome.cell.cell_id] = outcome.result
            if outcome.predictions is not None:
                predictions[outcome.cell.cell_id] = outcome.predictions
            if heard is not None:
                of_stretched |= _predict_stretched(job, heard, outcome, data)
            _save(job, outcome, data.X.shape[1])
    if job.joint is not None and not refusal:
        results |= _fit_jointly(job.joint, layer, job.cells)
    write_predictions(job.predictions, predictions)
    if job.stretched is not None:
        write_predictions(job.stretched.predictions, of_stretched)
    return [results[cell.cell_id] for cell in job.cells]


@dataclass(frozen=True)
class _Fits:
    """Cells of one layer, fitted and scored."""

    data: LayerData
    alone: bool = False

    def by_fit(self, cells: Sequence[Cell]) -> list[list[Cell]]:
        """The cells that one call of a probe serves: of one probe, fold, kind and set of rows."""
        fits: dict[tuple[str, int, str, bytes], list[Cell]] = {}
        for cell in cells:
            rows = self.data.has_value(cell.target).tobytes()
            key = (cell.probe, cell.fold, self.data.kind(cell.target), rows)
            fits.setdefault(key, []).append(cell)
        return list(fits.values())

    def fit(self, settings: ProbeSettings, cells: Sequence[Cell]) -> Iterator[_Outcome]:
        """Serve all ``cells``, which are of one fit, by one call of the probe."""
        start = time.perf_counter()
        rows = self.data.usable(cells[0].target, cells[0].fold)
        columns: dict[Cell, FloatArray] = {}
        for cell in cells:
            try:
                columns[cell] = self._target(cell, rows)
            except ValueError as error:
                yield _Outcome(cell, self.failed(cell, str(error)))
        if not columns:
            return
        Y, seeds = np.stack(list(columns.values()), axis=1), [cell.seed for cell in columns]
        try:
            if self.data.moments is None:
                fit = PROBES[settings.kind].fit(self.data.kind(cells[0].target))
                outcome = fit(settings, self.data.X, Y, rows, self.data.groups, seeds)
            else:
                pairs = [(cell.target, cell.control) for cell in columns]
                tested = self.data.X  # of no row at all, where what is tested is summed up
                if self.data.rows.size:
                    tested = tested[np.searchsorted(self.data.rows, rows.test)]
                fit_predict, fold = self.data.moments.fit_predict, cells[0].fold
                outcome = fit_predict(settings, fold, pairs, Y[rows.train], tested)
        except Exception as error:
            if ran_out_of_memory(error) and not self.alone:
                raise  # beside less work it may go well
            seconds = (time.perf_counter() - start) / len(columns)
            reason = _last_line(error)
            yield from (_Outcome(cell, self.failed(cell, reason, seconds)) for cell in columns)
            return
        seconds = (time.perf_counter() - start) / len(columns)
        for k, cell in enumerate(columns):
            yield self._scored(cell, Y[:, k], rows, outcome, k, seconds)

    def failed(self, cell: Cell, error: str, seconds: float = 0.0) -> CellResult:
        """The result of a cell that could not be computed."""
        rows = self.data.usable(cell.target, cell.fold)
        n_train, n_test = len(rows.train), len(rows.test)
        return CellResult(cell.cell_id, "failed", error, n_train, n_test, {}, {}, seconds)

    def _target(self, cell: Cell, rows: Fold) -> FloatArray:
        if cell.target not in self.data.table.columns:
            raise ValueError(f"the utterance table has no target {cell.target!r}")
        if len(rows.train) < 2 or len(rows.test) < 1:
            raise ValueError(
                f"fold {cell.fold} has {len(rows.train)} training and {len(rows.test)} test "
                f"utterances with activations and a value of {cell.target}: expected at least 2 "
                "and 1"
            )
        # Utterances without activations take part in the permutation: it is the same for all models
        # and layers.
        fold = only(self.data.has_value(cell.target), self.data.folds[cell.fold])
        values = self.data.table[cell.target].to_numpy(dtype=np.float64)
        return control_target(values, fold, cell, self.data.speakers)

    def _scored(
        self, cell: Cell, y: FloatArray, rows: Fold, outcome: ProbeResult, k: int, seconds: float
    ) -> _Outcome:
        """Score column ``k`` of ``outcome`` against the target ``y`` (U,)."""
        if self.data.moments is not None and not self.data.rows.size:
            return self._scored_by_sums(cell, y, rows, outcome, k, seconds)
        predicted = outcome.predictions[:, k]
        storable = np.abs(predicted) < np.finfo(np.float32).max  # False for NaN
        if not storable.all():
            error = f"{(~storable).sum()} of {len(predicted)} predictions are not finite"
            return _Outcome(cell, self.failed(cell, f"{error}: the probe diverged", seconds))
        speakers = self.data.speakers[rows.test]
        if self.data.kind(cell.target) == "classification":
            baseline = class_scores.majority_class(y[rows.train])
            scores = class_scores.score_classes(y[rows.test], predicted, baseline)
        else:
            baseline = float(y[rows.train].mean())
            scores = metrics.score(y[rows.test], predicted, baseline, speakers)
        if unsound := _unsound(scores):
            return _Outcome(cell, self.failed(cell, unsound, seconds))
        names = self.data.utterance_ids[rows.test]
        stored = CellPredictions(
            fold=cell.fold,
            train_mean=baseline,
            utterance_id=names,
            y_true=y[rows.test].astype(np.float32),
            y_pred=predicted.astype(np.float32),
        )
        n_train, n_test = len(rows.train), len(rows.test)
        details = outcome.details[k]
        done = CellResult(cell.cell_id, "done", None, n_train, n_test, scores, details, seconds)
        return _Outcome(cell, done, stored, outcome.weights[k] if outcome.weights else None)

    def _scored_by_sums(
        self, cell: Cell, y: FloatArray, rows: Fold, outcome: ProbeResult, k: int, seconds: float
    ) -> _Outcome:
        """As ``_scored``, of a test part that was summed up: there are no predictions."""
        moments = self.data.moments
        tested = moments.tested(cell.target, cell.fold) if moments else None
        assert moments is not None and tested is not None
        assert tested.n == len(rows.test), (tested.n, len(rows.test))
        weights, mean = outcome.weights[k], float(y[rows.train].mean())
        column = moments.settings.column(cell.target, cell.control, cell.fold)
        scores = score_by_sums(tested, column, weights, y[rows.test], mean)
        if unsound := _unsound(scores):
            return _Outcome(cell, self.failed(cell, f"{unsound}: the probe diverged", seconds))
        speakers = self.data.speakers
        everybody = np.unique(speakers[self.data.present & self.data.has_value(cell.target)])
        scores |= speaker_scores(y[rows.test], speakers[rows.test], mean, len(everybody))
        n_train, n_test, details = len(rows.train), len(rows.test), outcome.details[k]
        done = CellResult(cell.cell_id, "done", None, n_train, n_test, scores, details, seconds)
        return _Outcome(cell, done, None, weights)


def _unsound(scores: Mapping[str, float | None]) -> str | None:
    """Which scores are not finite, for a human; None if none is."""
    names = [name for name, value in scores.items() if value is not None and not np.isfinite(value)]
    return f"not finite: {', '.join(names)}" if names else None


def _fit_jointly(joint: Joint, layer: _Fits, cells: Sequence[Cell]) -> dict[str, CellResult]:
    """Leave the components in their file; the real cells of these probes where that failed."""
    try:
        found = fit_targets_jointly(joint, layer.data)
    except Exception as error:
        if ran_out_of_memory(error) and not layer.alone:
            raise  # beside less work it may go well
        reason = f"several targets together: {_last_line(error)}"
        real = [cell for cell in cells if cell.probe in joint.probes and cell.control == "none"]
        return {cell.cell_id: layer.failed(cell, reason) for cell in real}
    write_components(joint.file, found)
    return {}


def _predict_stretched(
    job: ProbeJob, heard: Counterfactual, outcome: _Outcome, data: LayerData
) -> dict[str, CellPredictions]:
    """What the fitted probe predicts at other rates, by the keys of `jobs.probing.tempo`."""
    cell, settings = outcome.cell, job.probes[outcome.cell.probe]
    targets = job.stretched.targets if job.stretched else ()
    asked = is_asked(targets, cell.target, cell.control, settings)
    if outcome.result.status == "failed" or not asked:
        return {}
    rows, weights = data.usable(cell.target, cell.fold), outcome.weights or {}
    recorded = outcome.predictions
    if recorded is None:
        y = data.table[cell.target].to_numpy(dtype=np.float64)
        of_cell = cell.fold, float(y[rows.train].mean())
        recorded = heard.of_recordings(cell.target, settings, weights, rows.test, of_cell)
    told = heard.predict(cell.target, settings, weights, rows.test, recorded)
    return {key(cell.cell_id, factor): predictions for factor, predictions in told}


def _save(job: ProbeJob, outcome: _Outcome, width: int) -> None:
    """Keep the fitted probe, if it is to be kept."""
    cell, weights = outcome.cell, outcome.weights
    if job.saving is None or not weights or cell.control != "none":
        return
    card = ProbeCard(
        cell_id=cell.cell_id,
        model=job.model,
        extract=job.saving.extract,
        model_digest=job.saving.model_digest,
        layer=job.layer,
        width=width,
        target=cell.target,
        unit=job.saving.units.get(cell.target, ""),
        classes=job.classes.get(cell.target, ()),
        probe_name=cell.probe,
        probe=job.probes[cell.probe],
        seed=cell.seed,
        fold=cell.fold,
        n_train=outcome.result.n_train,
        scores=outcome.result.scores,
    )
    save_probe(job.saving.folder, card, weights)


def _last_line(error: BaseException) -> str:
    """Type, message and place of ``error``, in one line."""
    what = " ".join(traceback.format_exception_only(error)[-1].split())
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{what} ({Path(frame.filename).name}:{frame.lineno}, in {frame.name})"
