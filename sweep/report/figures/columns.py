"""Columns of small multiples: the models that share a panel, and one axis of layers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jobs.statistics.points import DECIDING_SPEAKER
from sweep.report.figures.layer_axis import Depth, depth_of
from sweep.report.figures.lines import Twins
from sweep.report.figures.scores import models_in

MOST_TOGETHER = 3
"""Number of networks up to which those with the same layers share a panel."""


@dataclass(frozen=True)
class Column:
    """Models with the same layers."""

    networks: tuple[tuple[str, ...], ...]
    """Names of models: of each network, the trained one (if any) first, then untrained twins."""
    depth: Depth
    others: tuple[str, ...] = ()
    """Models with the same layers in other columns, for comparison."""

    @property
    def models(self) -> tuple[str, ...]:
        """All models of the column."""
        return tuple(model for network in self.networks for model in network)

    @property
    def title(self) -> str:
        """Names of its networks."""
        return ", ".join(network[0] for network in self.networks)


_POINT = ("layer", "target", "probe", "component", "score")
"""Columns that tell the points of a table apart, as far as it has them."""


def columns_of(layers: pd.DataFrame, twins: Twins = ()) -> list[Column]:
    """Distribute the models of ``layers`` over columns.

    Untrained twins stand with their trained model; networks with the same layers stand together,
    unless there are more than ``MOST_TOGETHER``.
    """
    curves = layers[layers["model"].isin(models_in(layers))]
    clusters: list[list[tuple[str, ...]]] = []
    for network in networks_of(models_in(layers), twins):
        for cluster in clusters:
            names = [*(model for known in cluster for model in known), *network]
            if len(depth_of(curves[curves["model"].isin(names)]).names) == 1:
                cluster.append(network)
                break
        else:
            clusters.append([network])
    found = []
    for cluster in clusters:
        parts = [cluster] if len(cluster) <= MOST_TOGETHER else [[network] for network in cluster]
        own = [model for network in cluster for model in network]
        depth = depth_of(curves[curves["model"].isin(own)])
        for part in parts:
            here = [model for network in part for model in network]
            others = tuple(model for model in own if model not in here)
            found.append(Column(tuple(part), depth, others))
    return found


def networks_of(models: Sequence[str], twins: Twins) -> list[tuple[str, ...]]:
    """Group ``models`` into networks: a trained model, and its untrained twins after it."""
    trained = {
        untrained: next(model for model in models if (model, untrained) in twins)
        for untrained in models
        if any((model, untrained) in twins for model in models)
    }
    return [
        (model, *(twin for twin in models if trained.get(twin) == model))
        for model in models
        if model not in trained
    ]


def merge_seeds(layers: pd.DataFrame, twins: Twins) -> tuple[pd.DataFrame, Twins]:
    """Replace several untrained twins of a model by one, with the mean over their seeds.

    The ends of its intervals are the lowest and highest value of a seed. Columns without ends are
    means as well; text is that of the first seed.

    Returns:
        ``layers`` and ``twins`` with one untrained model each, ``untrained NAME, 3 seeds``.
    """
    kept, merged = set(twins), layers
    for trained, *untrained in networks_of(models_in(layers), twins):
        if len(untrained) < 2:
            continue
        name = f"untrained {trained}, {len(untrained)} seeds"
        rows = merged[merged["model"].isin(untrained)]
        mean = _over_seeds(rows, name)
        order = [str(model) for model in merged["model"].unique()]
        place = order.index(untrained[0])
        order = [model for model in order if model not in untrained]
        merged = pd.concat([merged[~merged["model"].isin(untrained)].astype({"model": str}), mean])
        order.insert(min(place, len(order)), name)
        merged["model"] = pd.Categorical(merged["model"], order, ordered=True)
        merged = merged.sort_values("model", kind="stable").reset_index(drop=True)
        kept = {(one, other) for one, other in kept if other not in untrained} | {(trained, name)}
    return merged, kept


def _over_seeds(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    point = [name for name in _POINT if name in rows]
    groups = rows.groupby(point, sort=False, observed=True)
    numbers = [str(name) for name in rows.select_dtypes("number") if name != "layer_index"]
    first = groups.first().reset_index()
    found = first.assign(**groups[numbers].mean().reset_index(drop=True), model=name)
    for column in _with_ends(numbers):
        found[f"{column}_low"] = groups[column].min().to_numpy()
        found[f"{column}_high"] = groups[column].max().to_numpy()
    if DECIDING_SPEAKER in found:
        found[DECIDING_SPEAKER] = ""
    return found.reindex(columns=rows.columns).astype({"missing": np.int64})


def _with_ends(columns: Iterable[str]) -> list[str]:
    known = set(columns)
    return [column for column in known if {f"{column}_low", f"{column}_high"} <= known]
