"""``differences.csv``: differences between layers and between models, with intervals and
p-values."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pandas as pd

from jobs.arrays import FloatArray
from jobs.statistics.attainable import within_reach
from jobs.statistics.best_layer import best_layer
from jobs.statistics.curves import CURVE, Bootstrap, Curves, complete
from jobs.statistics.differences import (
    Differences,
    above_nothing,
    against_the_best,
    between_chosen,
    between_layers,
    between_models,
    holm,
)
from jobs.statistics.fold_jackknife import against_the_best_by_fold, between_models_by_fold
from jobs.statistics.intervals import ScaleName
from jobs.statistics.model_table import MAJORITY_CLASS, MEAN_PREDICTOR
from jobs.statistics.validated import choose_on_validation

LAYER_NOTHING = "layer vs knowing nothing"
LAYER_BEST = "layer vs best layer"
MODELS = "model vs model"
TRAINED = "trained vs untrained"
TRAINED_LAYER = "trained vs untrained layer"

DIFFERENCE_COLUMNS = [
    *("comparison", "target", "probe", "score", "model_a", "layer_a", "model_b", "layer_b"),
    *("difference", "low", "high", "p", "p_holm"),
]
"""Columns of ``differences.csv``. In a comparison of models, a layer is the one that was chosen on
validation (or several, of different folds, with " / " between them); it is empty where it was
chosen separately for each part of the test speakers."""

_SCALES: tuple[ScaleName, ScaleName] = ("rest", "share")
"""Scales of the intervals of R² and of accuracy."""

Family = list[dict[str, object]]
"""Columns that identify a family of rows that are corrected together."""


def difference_table(
    curves: Curves, twins: Collection[tuple[str, str]], bootstrap: Bootstrap
) -> pd.DataFrame:
    """Compare a with b (a minus b) in R² or accuracy: one row per comparison.

    A family, within which Holm's correction holds, is all rows of one comparison, target and probe;
    where layers are compared, of one model or pair of models. P-values of layers against the best
    already account for all layers and are not corrected again.

    Args:
        curves: of the run.
        twins: pairs of (model, its untrained twin).
        bootstrap: its resamples and seed.

    Returns:
        ``DIFFERENCE_COLUMNS``; points that lack cells are compared only if no others exist. An
        undefined difference, such as any R² of a constant target, has no row.
    """
    rows: Family = []
    by_probe = curves.layers.groupby(["target", "probe"], sort=True, observed=True)
    for (target, probe), of_probe in by_probe:
        models = [
            _Candidates(curves, model, complete(curve))
            for model, curve in of_probe.groupby("model", sort=True, observed=True)
            if (curve["cells"] > 0).any()
        ]
        score = "accuracy" if (of_probe["target_kind"] == "classification").any() else "r2"
        of_classes = score == "accuracy"
        families = [
            *(family for model in models for family in _within(model, of_classes, bootstrap)),
            *_between(models, twins, bootstrap, of_classes),
        ]
        named = {"target": target, "probe": probe, "score": score}
        rows += [row | named for family in families for row in _corrected(_defined(family))]
    return pd.DataFrame(rows, columns=DIFFERENCE_COLUMNS)


class _Candidates:
    """The layers of one curve that can be compared, in depth order."""

    def __init__(self, curves: Curves, model: object, points: pd.DataFrame) -> None:
        self.model, self.by_fold = str(model), curves.by_fold
        self.layers = [str(name) for name in points["layer"]]
        keys = list(points[CURVE].itertuples(index=False, name=None))
        self._errors = [curves.errors[key] for key in keys]
        self.chosen = choose_on_validation([curves.validated.get(key) for key in keys])
        self.speakers = sorted({name for layer in self._errors for name in layer.speakers})

    @property
    def chosen_names(self) -> str:
        """Names of the layers that validation chose, in depth order."""
        positions = sorted(set(self.chosen.positions)) if self.chosen else []
        return " / ".join(self.layers[position] for position in positions)

    def at(self, speakers: Sequence[str]) -> FloatArray:
        """(L, S, 4) errors by speaker."""
        return np.stack([layer.at(speakers) for layer in self._errors])


def _within(model: _Candidates, of_classes: bool, bootstrap: Bootstrap) -> Iterator[Family]:
    if len(model.speakers) < 2:
        return
    errors, names, scale = model.at(model.speakers), model.layers, _SCALES[of_classes]
    nothing = MAJORITY_CLASS if of_classes else MEAN_PREDICTOR
    found = above_nothing(errors, of_classes)
    yield _rows(LAYER_NOTHING, model.model, names, nothing, [""] * len(names), found)
    if len(names) > 1:
        found = (
            against_the_best_by_fold(errors)
            if model.by_fold
            else against_the_best(errors, bootstrap.resamples, bootstrap.seed)
        )
        best = best_layer(errors)
        found = within_reach(found, errors, errors[[best]], scale)
        rows = _rows(LAYER_BEST, model.model, names, model.model, [names[best]] * len(names), found)
        yield [row for position, row in enumerate(rows) if position != best]


def _between(
    models: Sequence[_Candidates],
    twins: Collection[tuple[str, str]],
    bootstrap: Bootstrap,
    of_classes: bool,
) -> Iterator[Family]:
    of_models: Family = []
    of_twins: Family = []
    for number, first in enumerate(models):
        for second in models[number + 1 :]:
            a, b = (second, first) if (second.model, first.model) in twins else (first, second)
            speakers = sorted({*a.speakers, *b.speakers})
            if len(speakers) < 2:
                continue
            is_twin = (a.model, b.model) in twins
            name, family = (TRAINED, of_twins) if is_twin else (MODELS, of_models)
            family += _at_best(name, a, b, speakers, bootstrap, of_classes)
            if is_twin:
                yield _layer_by_layer(a, b, speakers, of_classes)
    yield of_models
    yield of_twins


def _at_best(
    name: str,
    a: _Candidates,
    b: _Candidates,
    speakers: Sequence[str],
    bootstrap: Bootstrap,
    of_classes: bool,
) -> Family:
    """Compare two models at layers chosen on validation or, without it, on other speakers."""
    scale = _SCALES[of_classes]
    if a.chosen and b.chosen:
        errors = a.chosen.at(speakers), b.chosen.at(speakers)
        found = within_reach(between_chosen(*errors), *errors, scale)
        return _rows(name, a.model, [a.chosen_names], b.model, [b.chosen_names], found)
    of_a, of_b = a.at(speakers), b.at(speakers)
    found = (
        between_models_by_fold(of_a, of_b)
        if a.by_fold
        else between_models(of_a, of_b, bootstrap.resamples, bootstrap.seed)
    )
    best_a, best_b = (errors[[best_layer(errors)]] for errors in (of_a, of_b))
    found = within_reach(found, best_a, best_b, scale)
    return _rows(name, a.model, [""], b.model, [""], found)


def _layer_by_layer(
    a: _Candidates, b: _Candidates, speakers: Sequence[str], of_classes: bool
) -> Family:
    shared = [name for name in a.layers if name in b.layers]
    if not shared:
        return []
    of_a, of_b = (
        model.at(speakers)[[model.layers.index(name) for name in shared]] for model in (a, b)
    )
    found = within_reach(between_layers(of_a, of_b), of_a, of_b, _SCALES[of_classes])
    return _rows(TRAINED_LAYER, a.model, shared, b.model, shared, found)


def _rows(
    comparison: str,
    model_a: str,
    layers_a: Sequence[str],
    model_b: str,
    layers_b: Sequence[str],
    found: Differences,
) -> Family:
    return [
        {
            "comparison": comparison,
            "model_a": model_a,
            "layer_a": layers_a[i],
            "model_b": model_b,
            "layer_b": layers_b[i],
            "difference": float(found.value[i]),
            "low": float(found.low[i]),
            "high": float(found.high[i]),
            "p": float(found.p[i]),
        }
        for i in range(len(layers_a))
    ]


def _defined(family: Family) -> Family:
    """Drop undefined differences: a constant target has no R²."""
    return [row for row in family if row["difference"] == row["difference"]]


def _corrected(family: Family) -> Family:
    p = np.array([row["p"] for row in family], dtype=np.float64)
    corrected = p if family and family[0]["comparison"] == LAYER_BEST else holm(p)
    return [row | {"p_holm": float(one)} for row, one in zip(family, corrected, strict=True)]
