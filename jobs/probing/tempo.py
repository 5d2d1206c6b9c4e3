"""The same utterances at other rates, beside the tested ones: which, where, and what is predicted.

Probes are fitted on speech as it was recorded; what they predict for stretched speech shows whether
they follow a rate that is known to have changed, and nothing else with it (`jobs.audio.stretch`).

U utterances, D width of a layer.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs.activations.store import read_layer
from jobs.probes import PROBES, ProbeSettings, Weights
from jobs.probing.layer_data import LayerData
from jobs.probing.tempo_settings import EXPONENTS, RECORDED
from jobs.protocol.folds import IntArray, StrArray
from jobs.protocol.predictions import CellPredictions
from jobs.storage.location import Location


@dataclass(frozen=True)
class Stretched:
    """What a probe job needs to hear its layer's stretched utterances."""

    sets: tuple[tuple[float, Location, int], ...]
    """(factor, folder, number of shards)."""
    targets: tuple[str, ...]
    predictions: Location
    """The ``.npz`` of what was predicted, in the format of `jobs.protocol.predictions`: a cell at
    a factor has the key that `key` makes, and as ``y_true`` what is known there."""
    recorded: tuple[Location, int] | None = None
    """Folder, and number of shards, of the same utterances as they were recorded, where their
    activations are in no other set."""


@dataclass(frozen=True)
class _Heard:
    """A layer at one factor."""

    factor: float
    rows: IntArray
    """(n,) rows of the utterance table."""
    X: npt.NDArray[np.float32]
    """(n, D), finite."""


class Counterfactual:
    """One layer's stretched activations, to be given to fitted probes.

    Raises (on construction):
        jobs.activations.store.CorruptShard: an activation shard is damaged and has to be
            extracted again.
    """

    def __init__(self, stretched: Stretched, layer: str, data: LayerData) -> None:
        self._data = data
        self._heard = tuple(_read(place, layer, data) for place in stretched.sets)
        self._recorded = (
            _read((1.0, *stretched.recorded), layer, data) if stretched.recorded else None
        )

    def predict(
        self,
        target: str,
        settings: ProbeSettings,
        weights: Weights,
        tested: IntArray,
        recorded: CellPredictions,
    ) -> Iterator[tuple[float | str, CellPredictions]]:
        """What a cell's probe predicts for its fold's utterances, as recorded and at each factor.

        Utterances that could not be read at a factor, and predictions that are not finite, are
        left out.

        Args:
            target: of the cell, one of ``EXPONENTS``.
            settings: of the probe.
            weights: what it was fitted to; {}: nothing is predicted.
            tested: rows of the utterance table that the fold tests.
            recorded: the cell's predictions for the audio as it was recorded.
        """
        names = self._data.table["utterance_id"].to_numpy(dtype=np.str_)
        drawn = {name for heard in self._heard for name in names[heard.rows].tolist()}
        yield RECORDED, _only(recorded, np.isin(recorded.utterance_id, list(drawn)))
        for heard in self._heard:
            told = self._told(heard, target, settings, weights, tested)
            yield heard.factor, CellPredictions(recorded.fold, recorded.train_mean, *told)

    def of_recordings(
        self,
        target: str,
        settings: ProbeSettings,
        weights: Weights,
        tested: IntArray,
        of_cell: tuple[int, float],
    ) -> CellPredictions:
        """``recorded`` of `predict`, of a cell that predicted nothing of its test part.

        Args:
            target: as the others, of `predict`.
            settings: of the probe.
            weights: what it was fitted to.
            tested: rows of the utterance table that the fold tests.
            of_cell: its fold and its training mean.
        """
        assert self._recorded is not None
        told = self._told(self._recorded, target, settings, weights, tested)
        fold, train_mean = of_cell
        return CellPredictions(fold, train_mean, *told)

    def _told(
        self,
        heard: _Heard,
        target: str,
        settings: ProbeSettings,
        weights: Weights,
        tested: IntArray,
    ) -> tuple[StrArray, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Names, what is known and what is predicted of the tested utterances at one factor."""
        apply = PROBES[settings.kind].apply
        names = self._data.table["utterance_id"].to_numpy(dtype=np.str_)
        y = self._data.table[target].to_numpy(dtype=np.float64)
        chosen = np.isin(heard.rows, tested)
        rows, predicted = heard.rows[chosen], np.empty(0)
        if rows.size and weights and apply:
            predicted = apply(settings, weights, heard.X[chosen])
            storable = np.abs(predicted) < np.finfo(np.float32).max  # False for NaN
            rows, predicted = rows[storable], predicted[storable]
        else:
            rows = rows[:0]
        known = y[rows] * heard.factor ** EXPONENTS[target]
        return names[rows], known.astype(np.float32), predicted.astype(np.float32)


def _read(place: tuple[float, Location, int], layer: str, data: LayerData) -> _Heard:
    factor, folder, n_shards = place
    position = pd.Index(data.table["utterance_id"])
    names, X = read_layer(folder, n_shards, layer)
    rows: IntArray = position.get_indexer(pd.Index(names))
    usable = (rows >= 0) & np.isfinite(X).all(axis=1)
    return _Heard(factor, rows[usable], X[usable])


def _only(predictions: CellPredictions, chosen: npt.NDArray[np.bool_]) -> CellPredictions:
    """The utterances for which ``chosen`` (n,) is true."""
    return CellPredictions(
        fold=predictions.fold,
        train_mean=predictions.train_mean,
        utterance_id=predictions.utterance_id[chosen],
        y_true=predictions.y_true[chosen],
        y_pred=predictions.y_pred[chosen],
    )
