"""The tempo counterfactual of a probe job: predictions of fitted probes for stretched speech.

Probes are fitted on speech as it was recorded; their predictions for time-stretched speech show
whether they follow the rate when nothing else changes (`jobs.audio.stretch`).

Legend: U utterances, n stretched utterances of a set, D width of a layer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs.activations.store import read_layer
from jobs.arrays import FloatArray
from jobs.probes import PROBES
from jobs.probing.layer_data import LayerData
from jobs.probing.parts import ProbedLayer
from jobs.probing.results import FittedCell
from jobs.probing.tempo_rows import EXPONENTS, RECORDED, prediction_key, predicts_stretched
from jobs.protocol.folds import IntArray, StrArray
from jobs.protocol.predictions import CellPredictions, write_predictions
from jobs.storage.location import Location


@dataclass(frozen=True)
class StretchedSpeech:
    """The part of a probe job that applies fitted probes to the layer's stretched utterances."""

    sets: tuple[tuple[float, Location, int], ...]
    """(factor, folder, number of shards)."""
    targets: tuple[str, ...]
    predictions: Location
    """The ``.npz`` of the predictions, in the format of `jobs.protocol.predictions`; the key of
    a cell at a factor is its `prediction_key`, and ``y_true`` is the known value at that factor."""
    recorded: tuple[Location, int] | None = None
    """Folder and number of shards of the same utterances as recorded, if no other set has their
    activations."""

    def start(self, layer: ProbedLayer) -> "Counterfactual":
        """Read the stretched activations of ``layer``."""
        return Counterfactual(self, layer)


@dataclass(frozen=True)
class _StretchedSet:
    """The activations of a layer at one factor."""

    factor: float
    rows: IntArray
    """(n,) rows of the utterance table."""
    X: npt.NDArray[np.float32]
    """(n, D), finite."""


class Counterfactual:
    """Predictions of one layer's fitted probes at other rates.

    Raises (on construction):
        jobs.activations.manifest.CorruptShard: an activation shard is damaged and has to be
            extracted again.
    """

    def __init__(self, stretched: StretchedSpeech, layer: ProbedLayer) -> None:
        self._stretched, self._data = stretched, layer.data
        self._sets = tuple(
            _read(factor, (folder, n_shards), layer.name, layer.data)
            for factor, folder, n_shards in stretched.sets
        )
        self._recorded = (
            _read(1.0, stretched.recorded, layer.name, layer.data) if stretched.recorded else None
        )
        self._predictions: dict[str, CellPredictions] = {}

    def after_fit(self, fitted: FittedCell) -> None:
        """Predict the test utterances of the cell's fold, as recorded and at each factor.

        Utterances that could not be read at a factor, and predictions that are not finite, are
        left out.
        """
        cell = fitted.cell
        follows = predicts_stretched(
            self._stretched.targets, cell.target, cell.control, fitted.settings
        )
        if fitted.result.status == "done" and follows:
            for factor, predictions in self._predict(fitted):
                self._predictions[prediction_key(cell.cell_id, factor)] = predictions

    def finish(self) -> Mapping[str, str]:
        """Write the predictions."""
        write_predictions(self._stretched.predictions, self._predictions)
        return {}

    def _predict(self, fitted: FittedCell) -> Iterator[tuple[float | str, CellPredictions]]:
        yield RECORDED, self._predictions_for_recordings(fitted)
        for stretched in self._sets:
            yield stretched.factor, self._apply(stretched, fitted)

    def _predictions_for_recordings(self, fitted: FittedCell) -> CellPredictions:
        """The cell's own predictions for the utterances that are stretched.

        A cell whose test split was summed up has none, so its probe is applied to the recordings.
        """
        if fitted.predictions is None:
            assert self._recorded is not None
            predictions = self._apply(self._recorded, fitted)
        else:
            predictions = fitted.predictions
        names = self._data.utterance_ids
        chosen = {name for stretched in self._sets for name in names[stretched.rows].tolist()}
        return _select(predictions, np.isin(predictions.utterance_id, list(chosen)))

    def _apply(self, stretched: _StretchedSet, fitted: FittedCell) -> CellPredictions:
        assert fitted.train_mean is not None
        names, known, predicted = self._known_and_predicted(stretched, fitted)
        return CellPredictions(
            fold=fitted.cell.fold,
            train_mean=fitted.train_mean,
            utterance_id=names,
            y_true=known.astype(np.float32),
            y_pred=predicted.astype(np.float32),
        )

    def _known_and_predicted(
        self, stretched: _StretchedSet, fitted: FittedCell
    ) -> tuple[StrArray, FloatArray, FloatArray]:
        """Return ids, known values and predictions of the fold's test utterances at one factor."""
        apply = PROBES[fitted.settings.kind].apply
        target = fitted.cell.target
        y = self._data.table[target].to_numpy(dtype=np.float64)
        chosen = np.isin(stretched.rows, fitted.rows.test)
        rows, predicted = stretched.rows[chosen], np.empty(0)
        if rows.size and fitted.weights and apply:
            predicted = apply(fitted.settings, fitted.weights, stretched.X[chosen])
            storable = np.abs(predicted) < np.finfo(np.float32).max  # False for NaN
            rows, predicted = rows[storable], predicted[storable]
        else:
            rows = rows[:0]
        known = y[rows] * stretched.factor ** EXPONENTS[target]
        return self._data.utterance_ids[rows], known, predicted


def _read(
    factor: float, activations: tuple[Location, int], layer: str, data: LayerData
) -> _StretchedSet:
    position = pd.Index(data.table["utterance_id"])
    names, X = read_layer(*activations, layer)
    rows: IntArray = position.get_indexer(pd.Index(names))
    usable = (rows >= 0) & np.isfinite(X).all(axis=1)
    return _StretchedSet(factor, rows[usable], X[usable])


def _select(predictions: CellPredictions, chosen: npt.NDArray[np.bool_]) -> CellPredictions:
    """Select the utterances for which ``chosen`` (n,) is true."""
    return CellPredictions(
        fold=predictions.fold,
        train_mean=predictions.train_mean,
        utterance_id=predictions.utterance_id[chosen],
        y_true=predictions.y_true[chosen],
        y_pred=predictions.y_pred[chosen],
    )
