"""Data for the probes of one layer: its activations, the utterance table and the folds.

Legend: U rows of the utterance table, R of them with stored activations, D width of the layer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs.activations.store import read_layer
from jobs.arrays import FloatArray
from jobs.corpus.table import read_table
from jobs.gram.fit import GramSets, LayerMoments, read_moments
from jobs.gram.units import NOT_SUMMED, Units, make_units
from jobs.probes import TargetKind
from jobs.probing.utterance_types import UtteranceTypes
from jobs.protocol.folds import Fold, IntArray, StrArray, make_folds, only
from jobs.protocol.settings import Protocols, ProtocolSettings
from jobs.protocol.target_folds import TargetFolds
from jobs.storage.location import Location


@dataclass(frozen=True)
class LayerData:
    """One layer's activations with the utterance table and its folds."""

    table: pd.DataFrame
    """The utterance table, with codes in place of classes; NaN where an utterance has no class."""
    classes: Mapping[str, tuple[str, ...]]
    X: npt.NDArray[np.float32]
    """(R, D), NaN where extraction skipped the utterance."""
    present: npt.NDArray[np.bool_]
    """(U,) mask of the utterances that have activations."""
    folds: TargetFolds
    rows: IntArray
    """(R,) rows of the table that ``X`` has, ascending: all; with ``moments`` only test rows,
    or none if these were summed up too."""
    moments: LayerMoments | None = None
    """Statistics of the rows that are not in ``X``; None if it has all rows."""
    types: UtteranceTypes | None = None
    """Types of the utterances, for the control ``type``; None if no cell needs them, or they are
    not known."""

    @cached_property
    def utterance_ids(self) -> StrArray:
        """(U,) ids of the utterances."""
        return self.table["utterance_id"].to_numpy(dtype=np.str_)

    @cached_property
    def speakers(self) -> StrArray:
        """(U,) speaker of each utterance."""
        return self.table["speaker_id"].to_numpy(dtype=np.str_)

    def left_out(self, target: str) -> list[str]:
        """Ids of the utterances that the folds of ``target`` use and that have no activations."""
        used = np.zeros(len(self.table), dtype=bool)
        for fold in self.folds.of(target):
            for rows in (fold.train, fold.validation, fold.test):
                used[rows] = True
        left_out: list[str] = self.utterance_ids[used & ~self.present].tolist()
        return left_out

    def non_finite(self, name: str) -> str | None:
        """Describe the activations that are not finite, for an error message; None if all are."""
        present = self.present[self.rows]
        wrong = ~np.isfinite(self.X) & present[:, None]
        utterances = self.rows[np.flatnonzero(wrong.any(axis=1))]
        if self.moments is not None and not self.moments.finite:
            return (
                f"activations of {name} that were summed up are not finite: extract them again in "
                "float32, or leave the utterances at fault out of the corpus (store: activations "
                "names them)"
            )
        if not utterances.size:
            return None
        return (
            f"activations of {name}: {wrong.sum()} values in {utterances.size} of "
            f"{present.sum()} utterances are not finite ({self._first_names(utterances)}): "
            "extract them again in float32, or leave these utterances out of the corpus"
        )

    def usable(self, target: str, fold: int) -> Fold:
        """Drop the utterances of a fold that lack activations or a value of ``target``."""
        return only(self.present & self.has_value(target), self.folds.of(target)[fold])

    def kind(self, target: str) -> TargetKind:
        """Kind of ``target``: number or class."""
        return "classification" if target in self.classes else "regression"

    def has_value(self, target: str) -> npt.NDArray[np.bool_]:
        """(U,) mask of utterances with a finite number or a class; all False without the target."""
        if target not in self.table.columns:
            return np.zeros(len(self.table), dtype=bool)
        values: FloatArray = self.table[target].to_numpy(dtype=np.float64)
        return np.isfinite(values)

    def _first_names(self, rows: IntArray) -> str:
        names = self.table["utterance_id"].iloc[rows].tolist()
        return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def read_layer_data(
    path: Location,
    activations: Iterable[tuple[Location, int]],
    layer: str,
    protocols: Protocols,
    classes: Mapping[str, tuple[str, ...]],
    sums: GramSets | None = None,
) -> LayerData:
    """Read the layer's activations in the order of the table.

    Folds are made from the whole table, so that they do not depend on utterances that a model
    skipped.

    Args:
        path: the utterance table.
        activations: (folder, number of shards) of every activation set.
        layer: name of the layer.
        protocols: settings of the folds of every target; with ``sums``, one for all.
        classes: target → names of its classes.
        sums: statistics of the splits that have no activations; None if all have.

    Raises:
        jobs.activations.manifest.CorruptShard: an activation shard is damaged and has to be
            extracted again.
        ValueError: activations, table and classes do not fit together.
    """
    table = read_table(path, text=tuple(classes))
    ids = pd.Index(table["utterance_id"])
    if not ids.is_unique:
        raise ValueError(f"{path} names utterances twice: expected unique utterance ids")
    units = None if sums is None else make_units(sums.settings, table)
    kept = np.arange(len(table)) if units is None else _stored(protocols.default, table, units)
    present = np.zeros(len(table), dtype=bool)
    X, present[kept] = read_sets(activations, layer, ids[kept])
    moments = None if sums is None or units is None else read_moments(sums, units, layer)
    if moments is not None and not kept.size:
        X = np.empty((0, moments.width), dtype=np.float32)
    if sums is not None:
        present |= ids.isin(sums.read_names())
    if X is None or not present[kept if kept.size else slice(None)].any():
        raise ValueError(f"no utterance of {path} has activations for {layer}")
    folds = TargetFolds(protocols, table, classes)
    table = _with_codes(path, table, classes)
    return LayerData(table, classes, X, present, folds, kept, moments)


def read_sets(
    activations: Iterable[tuple[Location, int]], layer: str, order: "pd.Index[str]"
) -> tuple[npt.NDArray[np.float32] | None, npt.NDArray[np.bool_]]:
    """Read the layer of all activation sets into rows in the ``order`` (R,) of utterance ids.

    Returns:
        (R, D) activations, NaN where no set has the utterance, None if all sets are empty; and a
        mask (R,) of the utterances that a set has.
    """
    X: npt.NDArray[np.float32] | None = None
    found = np.zeros(len(order), dtype=bool)
    for folder, n_shards in activations:
        names, values = read_layer(folder, n_shards, layer)
        if not names:
            continue
        if X is None:
            X = np.full((len(order), values.shape[1]), np.nan, dtype=np.float32)
        elif X.shape[1] != values.shape[1]:
            raise ValueError(
                f"{folder} holds {values.shape[1]} values an utterance for {layer}, the sets "
                f"before it {X.shape[1]}: they are not of one model and pooling"
            )
        rows: IntArray = order.get_indexer(pd.Index(names))
        known = rows >= 0
        if found[rows[known]].any() or len(set(names)) < len(names):
            raise ValueError(f"{folder} holds utterances a second time, for {layer}")
        X[rows[known]] = values[known]
        found[rows[known]] = True
    return X, found


def _stored(protocol: ProtocolSettings, table: pd.DataFrame, units: Units) -> IntArray:
    """Select the test rows that are not summed up."""
    tested = np.concatenate([fold.test for fold in make_folds(protocol, table)])
    return np.sort(tested[units.of_row[tested] == NOT_SUMMED])


def _with_codes(
    path: Location, table: pd.DataFrame, classes: Mapping[str, tuple[str, ...]]
) -> pd.DataFrame:
    """Replace names of classes by codes, their positions in ``classes``."""
    codes = {}
    for target, names in classes.items():
        if target not in table.columns:
            continue  # its cells fail with that reason
        position: dict[str, float] = {name: code for code, name in enumerate(names)}
        unknown = set(table[target]) - position.keys() - {""}
        if unknown:
            raise ValueError(
                f"{path} has classes of {target} that were not planned (first: "
                f"{min(unknown)!r}): run the spec again"
            )
        codes[target] = table[target].map(position).astype(np.float64)
    return table.assign(**codes)
