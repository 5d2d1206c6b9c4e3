"""Fit and score the cells of one layer.

Legend: U rows of the utterance table, D width of the layer, K cells that one fit serves.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray
from jobs.gram.scores import score_by_sums, speaker_scores
from jobs.probes import PROBES, ProbeSettings
from jobs.probes.result import ProbeResult
from jobs.probing.errors import error_line
from jobs.probing.layer_data import LayerData
from jobs.probing.results import CellResult, FittedCell
from jobs.process import ran_out_of_memory
from jobs.protocol.cells import Cell
from jobs.protocol.controls import control_target
from jobs.protocol.folds import Fold, only
from jobs.protocol.predictions import CellPredictions
from jobs.statistics.classification import majority_class
from jobs.statistics.scores import VALIDATION_LOSS
from jobs.statistics.scoring import score_classes, score_numbers


@dataclass(frozen=True)
class _Fit:
    """One column of a probe's result, with the cell it belongs to."""

    cell: Cell
    settings: ProbeSettings
    rows: Fold
    y: FloatArray
    """(U,) the target."""
    result: ProbeResult
    column: int
    """The cell's column of ``result``."""
    validation_loss: float | None
    """The probe's mean loss on the validation split, see `VALIDATION_LOSS`; None where it is not
    known, and for a control."""
    seconds: float
    """The cell's share of the duration of the fit."""


@dataclass(frozen=True)
class LayerFits:
    """Fits and scores the cells of one layer.

    Args:
        data: the layer.
        alone: fail the cells when memory runs out, instead of raising.
    """

    data: LayerData
    alone: bool = False

    def group_by_fit(self, cells: Sequence[Cell]) -> list[list[Cell]]:
        """Group cells that one call of a probe serves: same probe, kind, folds and set of rows."""
        fits: dict[tuple[str, int, str, str, bytes], list[Cell]] = {}
        for cell in cells:
            rows, folds = self.data.has_value(cell.target), self.data.folds.key(cell.target)
            kind = self.data.kind(cell.target)
            key = (cell.probe, cell.fold, kind, folds, rows.tobytes())
            fits.setdefault(key, []).append(cell)
        return list(fits.values())

    def fit(self, settings: ProbeSettings, cells: Sequence[Cell]) -> Iterator[FittedCell]:
        """Fit all ``cells``, one group of ``group_by_fit``, in one call of the probe."""
        start = time.perf_counter()
        rows = self.data.usable(cells[0].target, cells[0].fold)
        columns: dict[Cell, FloatArray] = {}
        for cell in cells:
            try:
                columns[cell] = self._target(cell, rows)
            except ValueError as error:
                yield FittedCell(cell, settings, rows, self.failed(cell, str(error)))
        if not columns:
            return
        try:
            result = self._call_probe(settings, columns, rows)
        except Exception as error:
            if ran_out_of_memory(error) and not self.alone:
                raise  # it may succeed on an exclusive node
            seconds = (time.perf_counter() - start) / len(columns)
            for cell in columns:
                failed = self.failed(cell, error_line(error), seconds)
                yield FittedCell(cell, settings, rows, failed)
            return
        losses = self._validation_losses(settings, columns, rows, result)
        seconds = (time.perf_counter() - start) / len(columns)
        for k, (cell, y) in enumerate(columns.items()):
            yield self._scored(_Fit(cell, settings, rows, y, result, k, losses[k], seconds))

    def failed(self, cell: Cell, error: str, seconds: float = 0.0) -> CellResult:
        """Make the result of a cell that could not be computed."""
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
        # Utterances without activations are permuted too, so that the permutation is the same
        # for all models and layers.
        fold = only(self.data.has_value(cell.target), self.data.folds.of(cell.target)[cell.fold])
        values = self.data.table[cell.target].to_numpy(dtype=np.float64)
        types = None
        if cell.control == "type" and self.data.types is not None:
            types = self.data.types.of(self.data.folds.of(cell.target)[cell.fold])
        return control_target(values, fold, cell, self.data.speakers, types)

    def _call_probe(
        self, settings: ProbeSettings, columns: Mapping[Cell, FloatArray], rows: Fold
    ) -> ProbeResult:
        """Fit all ``columns`` (target by cell) at once."""
        cells = list(columns)
        Y = np.stack(list(columns.values()), axis=1)
        if self.data.moments is None:
            fit = PROBES[settings.kind].fit(self.data.kind(cells[0].target))
            seeds = [cell.seed for cell in cells]
            groups = self.data.folds.groups(cells[0].target)
            return fit(settings, self.data.X, Y, rows, groups, seeds)
        tested = self.data.X  # without rows where the test split was summed up as well
        if self.data.rows.size:
            tested = tested[np.searchsorted(self.data.rows, rows.test)]
        pairs = [(cell.target, cell.control) for cell in cells]
        fit_predict = self.data.moments.fit_predict
        return fit_predict(settings, cells[0].fold, pairs, Y[rows.train], tested)

    def _validation_losses(
        self,
        settings: ProbeSettings,
        columns: Mapping[Cell, FloatArray],
        rows: Fold,
        result: ProbeResult,
    ) -> list[float | None]:
        """Mean loss of every fitted probe on the validation split, in the order of ``columns``.

        Weights are applied again rather than predicted with the test rows: the predictions of these
        are those of a fit without validation, to the last digit.
        """
        apply, found = PROBES[settings.kind].apply, result.validation_loss
        held_out: npt.NDArray[np.float32] | None = None
        losses: list[float | None] = []
        for k, (cell, y) in enumerate(columns.items()):
            loss: float | None = None
            if cell.control != "none" or not rows.validation.size:
                pass
            elif self.data.moments is not None:
                weights = result.weights[k]
                loss = self.data.moments.validation_mse(
                    cell.target, cell.control, cell.fold, weights
                )
            elif found is not None:
                loss = float(found[k])
            elif apply is not None and result.weights:
                if held_out is None:
                    held_out = self.data.X[rows.validation]
                predicted = apply(settings, result.weights[k], held_out)
                loss = self._mean_loss(cell, y[rows.validation], predicted)
            losses.append(loss if loss is not None and np.isfinite(loss) else None)
        return losses

    def _mean_loss(self, cell: Cell, y: FloatArray, predicted: FloatArray) -> float:
        if self.data.kind(cell.target) == "classification":
            return float(np.mean(y != predicted))
        with np.errstate(over="ignore", invalid="ignore"):  # of a probe that diverged
            return float(np.mean((y - predicted) ** 2))

    def _scored(self, fit: _Fit) -> FittedCell:
        if self.data.moments is not None and not self.data.rows.size:
            return self._scored_by_sums(fit)
        predicted = fit.result.predictions[:, fit.column]
        storable = np.abs(predicted) < np.finfo(np.float32).max  # False for NaN
        if not storable.all():
            error = f"{(~storable).sum()} of {len(predicted)} predictions are not finite"
            return self._not_scored(fit, f"{error}: the probe diverged")
        y_true, y_train = fit.y[fit.rows.test], fit.y[fit.rows.train]
        if self.data.kind(fit.cell.target) == "classification":
            baseline = majority_class(y_train)
            scores = score_classes(y_true, predicted, baseline)
        else:
            baseline = float(y_train.mean())
            speakers = self.data.speakers[fit.rows.test]
            scores = score_numbers(y_true, predicted, baseline, speakers)
        if not_finite := _not_finite(scores):
            return self._not_scored(fit, not_finite)
        predictions = CellPredictions(
            fold=fit.cell.fold,
            train_mean=baseline,
            utterance_id=self.data.utterance_ids[fit.rows.test],
            y_true=y_true.astype(np.float32),
            y_pred=predicted.astype(np.float32),
        )
        return self._done(fit, scores, predictions)

    def _scored_by_sums(self, fit: _Fit) -> FittedCell:
        """Score a test split that was summed up, for which there are no predictions."""
        moments, cell = self.data.moments, fit.cell
        tested = moments.tested(cell.target, cell.fold) if moments else None
        assert moments is not None and tested is not None
        y_true, mean = fit.y[fit.rows.test], float(fit.y[fit.rows.train].mean())
        assert tested.n == len(y_true), (tested.n, len(y_true))
        column = moments.settings.column(cell.target, cell.control, cell.fold)
        scores = score_by_sums(tested, column, fit.result.weights[fit.column], y_true, mean)
        if error := _not_finite(scores):
            return self._not_scored(fit, f"{error}: the probe diverged")
        speakers = self.data.speakers
        all_speakers = np.unique(speakers[self.data.present & self.data.has_value(cell.target)])
        scores |= speaker_scores(y_true, speakers[fit.rows.test], mean, len(all_speakers))
        return self._done(fit, scores, None)

    def _done(
        self, fit: _Fit, scores: dict[str, float | None], predictions: CellPredictions | None
    ) -> FittedCell:
        result = CellResult(
            cell_id=fit.cell.cell_id,
            status="done",
            error=None,
            n_train=len(fit.rows.train),
            n_test=len(fit.rows.test),
            scores=scores | self._validation_score(fit),
            details=fit.result.details[fit.column],
            seconds=fit.seconds,
        )
        mean = float(fit.y[fit.rows.train].mean())
        weights = fit.result.weights[fit.column] if fit.result.weights else None
        return FittedCell(fit.cell, fit.settings, fit.rows, result, mean, predictions, weights)

    def _validation_score(self, fit: _Fit) -> dict[str, float | None]:
        if fit.validation_loss is None:
            return {}
        return {VALIDATION_LOSS[self.data.kind(fit.cell.target)]: fit.validation_loss}

    def _not_scored(self, fit: _Fit, error: str) -> FittedCell:
        failed = self.failed(fit.cell, error, fit.seconds)
        return FittedCell(fit.cell, fit.settings, fit.rows, failed)


def _not_finite(scores: Mapping[str, float | None]) -> str | None:
    """Name the scores that are not finite; None if all are."""
    names = [name for name, value in scores.items() if value is not None and not np.isfinite(value)]
    return f"not finite: {', '.join(names)}" if names else None
