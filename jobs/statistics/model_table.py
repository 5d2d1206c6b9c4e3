"""Comparison table: one row per model, target and probe, with the no-skill baselines."""

import pandas as pd

from jobs.statistics.best_layer import Estimate
from jobs.statistics.curves import NAMES, Curves, complete
from jobs.statistics.scores import (
    MAIN_SCORE,
    RANKING_SCORE,
    TargetKind,
    scores_for,
    with_ends,
)
from jobs.ties import first_lowest

MEAN_PREDICTOR = "mean predictor"
"""Name of the mean predictor among the models; the name of its probe is empty."""

MAJORITY_CLASS = "majority class"
"""Name of the no-skill predictor of a classification target."""

SPEAKER_MEAN = "speaker mean"
"""Name of the row of the speaker mean, see `jobs.statistics.speaker_mean`; for classes, the
speaker's most frequent one."""

Row = dict[str, object]

REFERENCES = (MEAN_PREDICTOR, MAJORITY_CLASS, SPEAKER_MEAN)
"""Names of the rows without a model and a probe, which no model may have."""


def model_columns() -> list[str]:
    """Columns of ``models.csv``; a score that does not apply to a target's kind is NaN."""
    return [
        *("model", "target", "probe", "probe_kind", "target_kind", "n_layers", "missing"),
        *(f"embedding_{score}" for score in _EMBEDDING_SCORES),
        *("best_layer", "best_layer_index"),
        *(
            column
            for kind, main in MAIN_SCORE.items()
            for column in (
                *(f"best_{name}" for name in _compared(kind)),
                *with_ends(f"best_{main}_honest"),
            )
        ),
        *("mean_pearson", "mean_mse", "majority_accuracy", "interval_over"),
    ]


_EMBEDDING_SCORES = tuple(
    dict.fromkeys(score for kind in MAIN_SCORE for score in (RANKING_SCORE[kind], MAIN_SCORE[kind]))
)
"""Scores of the embedding layer in ``models.csv``."""


def _compared(kind: TargetKind) -> list[str]:
    """Scores of the best layer in ``models.csv``, with the ends of the main one's interval."""
    return [
        name
        for score in scores_for(kind)
        if score.compared
        for name in (with_ends(score.name) if score.name == MAIN_SCORE[kind] else (score.name,))
    ]


def model_table(curves: Curves) -> pd.DataFrame:
    """Make the comparison table: a row per model × target × probe, with baselines among the models.

    Returns:
        ``model_columns``, in the order of ``curves.layers``. The best layer has the lowest MSE, for
        classes the highest accuracy, among those that lack no cell, and is the first if tied;
        ``best_r2`` and ``best_accuracy`` are the best of many and therefore optimistic,
        ``best_r2_honest`` and ``best_accuracy_honest`` are not (see
        ``jobs.statistics.best_layer``). ``mean_pearson`` is the mean over layers (of a CCA probe:
        the held-out canonical correlation). Embedding columns are NaN for a model without that
        layer. The last rows of every target are those of the speaker mean and of the mean predictor
        or, for classes, of always guessing the most frequent one.
    """
    rows = []
    layers = curves.layers
    for key, curve in layers.groupby(list(NAMES), sort=True, observed=True):
        scored = curve[curve["cells"] > 0]
        if scored.empty:
            continue
        honest = curves.honest[tuple(map(str, key))]
        kind: TargetKind = scored["target_kind"].iloc[0]
        best = _best_layer(complete(curve), kind == "classification")
        embedding = scored[scored["layer"] == "embedding"].head(1)
        rows.append(
            dict(zip(NAMES, key, strict=True))
            | {
                "target_kind": best["target_kind"],
                "probe_kind": best["probe_kind"],
                "n_layers": len(scored),
                "missing": curve["missing"].sum(),
                "best_layer": best["layer"],
                "best_layer_index": best["layer_index"],
            }
            | {f"embedding_{score}": embedding[score].mean() for score in _EMBEDDING_SCORES}
            | {f"best_{name}": best[name] for each in MAIN_SCORE for name in _compared(each)}
            | _honest_columns(MAIN_SCORE[kind], honest)
            | {
                "mean_pearson": scored["pearson"].mean(),
                "mean_mse": scored["mean_mse"].mean(),
                "majority_accuracy": scored["majority_accuracy"].mean(),
                "interval_over": best["interval_over"],
            }
        )
    by_target = layers[layers["cells"] > 0].groupby("target", sort=False, observed=True)
    for target, curve in by_target:
        rows += [_knowing_the_speaker(target, curve), _knowing_nothing(target, curve)]
    return pd.DataFrame(rows, columns=model_columns())


def _best_layer(candidates: pd.DataFrame, of_classes: bool) -> "pd.Series[float]":
    score = -candidates["accuracy"] if of_classes else candidates["mse"]
    ordered = candidates.assign(order=score).sort_values("layer_index", kind="stable")
    best: pd.Series[float] = ordered.iloc[int(first_lowest(ordered["order"]))]
    return best


def _honest_columns(score: str, honest: Estimate) -> dict[str, float]:
    names = with_ends(f"best_{score}_honest")
    return dict(zip(names, (honest.value, honest.low, honest.high), strict=True))


def _without_probe(target: object, curves: pd.DataFrame) -> tuple[Row, Row]:
    """Return a row for ``target`` without scores, and the point that has the baselines' scores: if
    models could read different numbers of files, a point with the most."""
    ordered = curves.sort_values("n_test", kind="stable", ascending=False)
    most: Row = {str(name): value for name, value in ordered.iloc[0].items()}
    empty: Row = dict.fromkeys(model_columns(), float("nan")) | {
        "target": target,
        "target_kind": most["target_kind"],
        "probe": "",
        "probe_kind": "",
        "n_layers": 0,
        "missing": 0,
        "best_layer": "",
        "interval_over": "",
    }
    return empty, most


def _knowing_the_speaker(target: object, curves: pd.DataFrame) -> Row:
    empty, most = _without_probe(target, curves)
    accuracy, r2 = most["speaker_mean_accuracy"], most["speaker_mean_r2"]
    return empty | {
        "model": SPEAKER_MEAN,
        "best_mse": most["speaker_mean_mse"],
        "best_r2": r2,
        "best_r2_honest": r2,
        "best_accuracy": accuracy,
        "best_accuracy_honest": accuracy,
        "mean_mse": most["mean_mse"],
        "majority_accuracy": most["majority_accuracy"],
    }


def _knowing_nothing(target: object, curves: pd.DataFrame) -> Row:
    nothing, most = _without_probe(target, curves)
    if most["target_kind"] == "classification":
        accuracy = most["majority_accuracy"]
        return nothing | {
            "model": MAJORITY_CLASS,
            "best_accuracy": accuracy,
            "best_accuracy_honest": accuracy,
            "majority_accuracy": accuracy,
        }
    # R² of a constant target is undefined, as is that of its mean.
    r2 = 0.0 if curves["r2"].notna().any() else float("nan")
    return nothing | {
        "model": MEAN_PREDICTOR,
        "best_mse": most["mean_mse"],
        "best_r2": r2,
        "best_r2_honest": r2,
        "mean_mse": most["mean_mse"],
    }
