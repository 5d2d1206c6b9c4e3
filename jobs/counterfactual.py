"""The same utterances at other rates, beside the tested ones: which, where, and what is predicted.

Probes are fitted on speech as it was recorded; what they predict for stretched speech shows whether
they follow a rate that is known to have changed, and nothing else with it (`jobs.tempo`).

U utterances, D width of a layer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, field_validator

from jobs.corpus.table import has_value
from jobs.layer_data import LayerData
from jobs.place import Place
from jobs.predictions import CellPredictions
from jobs.probes import PROBES, ProbeSettings, Weights
from jobs.protocol import IntArray, ProtocolSettings, StrArray, make_folds
from jobs.settings import Settings
from jobs.span import at_tempo
from jobs.store import read_layer
from jobs.tempo import FASTEST, SLOWEST, TEMPO_VERSION

EXPONENTS = {
    "cps": 1,
    "cps_with_spaces": 1,
    "words_per_second": 1,
    "articulation_rate": 1,
    "duration": -1,
}
"""Targets that are known at another tempo: a rate at f times the tempo is f times as high. The
speaking time of ``articulation_rate`` is stretched as all of the audio is."""
RECORDED = "recorded"
"""In keys of predictions: the audio as it was recorded."""


class TempoSettings(Settings):
    """Tested utterances at other rates, with their pitch kept."""

    factors: Annotated[
        tuple[Annotated[float, Field(ge=SLOWEST, le=FASTEST)], ...], Field(min_length=2)
    ] = (0.8, 0.9, 1.1, 1.25)
    """New rate ÷ old rate; two or more, for what is compared are stretched utterances with each
    other."""
    utterances: Annotated[int, Field(ge=2)] = 200
    """At most so many, of all speakers alike, the same for all models, drawn at random."""
    targets: tuple[str, ...] | None = None
    """Of those in ``EXPONENTS``; None: all of them that are probed."""
    seed: int = 0
    """Of the draw."""

    def among(self, probed: Sequence[str]) -> tuple[str, ...]:
        """The targets, where ``probed`` are those of the sweep."""
        asked = EXPONENTS if self.targets is None else self.targets
        return tuple(name for name in probed if name in asked)

    @field_validator("factors")
    @classmethod
    def _different(cls, factors: tuple[float, ...]) -> tuple[float, ...]:
        if 1 in factors:
            raise ValueError("factors: 1 is the recording, which is heard in any case; remove it")
        if len(set(factors)) < len(factors):
            raise ValueError(f"factors: expected different ones, found {list(factors)}")
        return factors


@dataclass(frozen=True)
class Stretched:
    """What a probe job needs to hear its layer's stretched utterances."""

    sets: tuple[tuple[float, Place, int], ...]
    """(factor, folder, number of shards)."""
    targets: tuple[str, ...]
    predictions: Place
    """The ``.npz`` of what was predicted, in the format of `jobs.predictions`: a cell at a factor
    has the key that `key` makes, and as ``y_true`` what is known there."""
    recorded: tuple[Place, int] | None = None
    """Folder, and number of shards, of the same utterances as they were recorded, where their
    activations are in no other set."""


def is_asked(targets: Sequence[str], target: str, control: str, probe: ProbeSettings) -> bool:
    """Whether a cell's probe is to predict stretched utterances: a real one that can be applied to
    others than it was tested on, for one of ``targets``."""
    return control == "none" and target in targets and PROBES[probe.kind].apply is not None


def key(cell_id: str, factor: float | str) -> str:
    """The name of a cell's predictions at ``factor``, or as ``RECORDED``."""
    return f"{cell_id}@{factor}"


def part_of(factor: float | str) -> str:
    """What takes the place of the part's name for utterances at ``factor``."""
    return f"{_PART}{factor}"


def is_heard_again(table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """(U,) which rows are of utterances that stand in ``table`` another time, as recorded."""
    return np.asarray(table["split"].str.startswith(_PART), dtype=np.bool_)


_PART = "#tempo="


def draw_utterances(
    settings: TempoSettings,
    targets: Sequence[str],
    protocol: ProtocolSettings,
    table: pd.DataFrame,
) -> tuple[str, ...]:
    """The tested utterances that are stretched, sorted; the same in any order of the table.

    Every speaker gives one before any gives another, speakers and utterances in random order.
    Those without a value of any of the ``targets`` give nothing to follow and are not drawn.
    """
    tested = np.unique(np.concatenate([fold.test for fold in make_folds(protocol, table)]))
    known = np.any([has_value(table[name]) for name in targets], axis=0)
    rows = table.iloc[tested[known[tested]]].sort_values("utterance_id")
    generator = np.random.default_rng(settings.seed)
    rows = rows.iloc[generator.permutation(len(rows))]
    turn = rows.groupby("speaker_id", sort=False).cumcount()
    order = np.argsort(turn.to_numpy(), kind="stable")
    return tuple(sorted(rows["utterance_id"].iloc[order[: settings.utterances]]))


def stretched_rows(
    utterances: Sequence[str], factors: Sequence[float], table: pd.DataFrame
) -> pd.DataFrame:
    """Rows of ``utterances`` at each of ``factors``, as parts of their own.

    Path and identity of the audio, its length and its part are those of the stretched audio; the
    columns of targets stay as they are.
    """
    rows = table[table["utterance_id"].isin(set(utterances))]
    frames = [
        rows.assign(
            split=part_of(factor),
            audio_path=[at_tempo(path, factor) for path in rows["audio_path"]],
            audio_digest=[f"{d}*{factor} v{TEMPO_VERSION}" for d in rows["audio_digest"]],
            seconds=rows["seconds"] / factor,
            n_samples=(rows["n_samples"] / factor).round().astype(int),
        )
        for factor in factors
    ]
    return pd.concat(frames, ignore_index=True)


def recorded_rows(utterances: Sequence[str], table: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``utterances`` as they were recorded, as a part of its own."""
    return table[table["utterance_id"].isin(set(utterances))].assign(split=part_of(RECORDED))


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
        jobs.store.CorruptShard: an activation shard is damaged and has to be extracted again.
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


def _read(place: tuple[float, Place, int], layer: str, data: LayerData) -> _Heard:
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
