"""What the probes of one layer need: its activations beside the utterance table, and the folds.

U rows of the utterance table, D width of the layer.
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
from jobs.protocol.folds import Fold, IntArray, StrArray, group_labels, make_folds, only
from jobs.protocol.settings import ProtocolSettings
from jobs.storage.location import Location


@dataclass(frozen=True)
class LayerData:
    """One layer's activations beside the table, with the folds of the whole table."""

    table: pd.DataFrame
    """With codes in the place of classes, NaN where an utterance has none."""
    classes: Mapping[str, tuple[str, ...]]
    X: npt.NDArray[np.float32]
    """(R, D), NaN where extraction skipped the utterance."""
    present: npt.NDArray[np.bool_]
    """(U,) whether there are activations."""
    groups: StrArray
    """(U,) what the protocol keeps together."""
    folds: list[Fold]
    rows: IntArray
    """(R,) rows of the table that ``X`` has, ascending: all of them; with ``moments`` those that
    are tested, or none where these were summed up as well."""
    moments: LayerMoments | None = None
    """Of the rows that ``X`` does not have; None where it has all."""

    @cached_property
    def utterance_ids(self) -> StrArray:
        """(U,)"""
        return self.table["utterance_id"].to_numpy(dtype=np.str_)

    @cached_property
    def speakers(self) -> StrArray:
        """(U,)"""
        return self.table["speaker_id"].to_numpy(dtype=np.str_)

    def non_finite(self, name: str) -> str | None:
        """Which activations are not finite, for a human; None if all are."""
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
        """A fold without the utterances that lack activations or a value of ``target``."""
        return only(self.present & self.has_value(target), self.folds[fold])

    def kind(self, target: str) -> TargetKind:
        """Whether ``target`` is a number or a class."""
        return "classification" if target in self.classes else "regression"

    def has_value(self, target: str) -> npt.NDArray[np.bool_]:
        """(U,) whether there is a finite number or a class; all False for an absent target."""
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
    protocol: ProtocolSettings,
    classes: Mapping[str, tuple[str, ...]],
    sums: GramSets | None = None,
) -> LayerData:
    """The layer's activations in the order of the table.

    Folds are made of the whole table, so that they do not depend on what a model could not read.

    Args:
        path: of the utterance table.
        activations: (folder, number of shards) of every activation set.
        layer: its name.
        protocol: what the folds are made by.
        classes: target → names of its classes.
        sums: statistics of the parts that are not tested; None if these have activations, too.

    Raises:
        jobs.activations.manifest.CorruptShard: an activation shard is damaged and has to be
            extracted again.
        ValueError: activations, table, classes and protocol do not fit together.
    """
    table = read_table(path, text=tuple(classes))
    ids = pd.Index(table["utterance_id"])
    if not ids.is_unique:
        raise ValueError(f"{path} names utterances twice: expected unique utterance ids")
    X: npt.NDArray[np.float32] | None = None
    present = np.zeros(len(table), dtype=bool)
    units = None if sums is None else make_units(sums.settings, table)
    kept = np.arange(len(table)) if units is None else _stored(protocol, table, units)
    order = ids[kept]
    for folder, n_shards in activations:
        names, values = read_layer(folder, n_shards, layer)
        if not names:
            continue
        if X is None:
            X = np.full((len(kept), values.shape[1]), np.nan, dtype=np.float32)
        elif X.shape[1] != values.shape[1]:
            raise ValueError(
                f"{folder} holds {values.shape[1]} values an utterance for {layer}, the sets "
                f"before it {X.shape[1]}: they are not of one model and pooling"
            )
        rows: IntArray = order.get_indexer(pd.Index(names))
        known = rows >= 0
        if present[kept[rows[known]]].any() or len(set(names)) < len(names):
            raise ValueError(f"{folder} holds utterances a second time, for {layer}")
        X[rows[known]] = values[known]
        present[kept[rows[known]]] = True
    moments = None if sums is None or units is None else read_moments(sums, units, layer)
    if moments is not None and not kept.size:
        X = np.empty((0, moments.width), dtype=np.float32)
    if sums is not None:
        present |= ids.isin(sums.read_names())
    if X is None or not present[kept if kept.size else slice(None)].any():
        raise ValueError(f"no utterance of {path} has activations for {layer}")
    groups, folds = group_labels(protocol, table), make_folds(protocol, table)
    table = _with_codes(path, table, classes)
    return LayerData(table, classes, X, present, groups, folds, kept, moments)


def _stored(protocol: ProtocolSettings, table: pd.DataFrame, units: Units) -> IntArray:
    """The rows that are tested and not summed up."""
    tested = np.concatenate([fold.test for fold in make_folds(protocol, table)])
    return np.sort(tested[units.of_row[tested] == NOT_SUMMED])


def _with_codes(
    path: Location, table: pd.DataFrame, classes: Mapping[str, tuple[str, ...]]
) -> pd.DataFrame:
    """``table`` with codes, which are positions in ``classes``, in the place of names."""
    codes = {}
    for target, names in classes.items():
        if target not in table.columns:
            continue  # its cells say so
        position: dict[str, float] = {name: code for code, name in enumerate(names)}
        unknown = set(table[target]) - position.keys() - {""}
        if unknown:
            raise ValueError(
                f"{path} has classes of {target} that were not planned (first: "
                f"{min(unknown)!r}): run the spec again"
            )
        codes[target] = table[target].map(position).astype(np.float64)
    return table.assign(**codes)
