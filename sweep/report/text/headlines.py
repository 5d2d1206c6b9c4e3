"""Headlines: one sentence per target, with its test, and one that joins the targets.

With an untrained twin, a headline says what training changed (`sweep.report.text.training`).
Without one, it compares the model with the highest score with knowing nothing and with the other
models and baselines.
"""

import math
from collections.abc import Sized

import pandas as pd

from jobs.statistics.difference_table import LAYER_NOTHING, MODELS
from jobs.statistics.intervals import LEAST_UNITS
from sweep.report.tables.cells import Row
from sweep.report.text import phrases
from sweep.report.text.findings import standing
from sweep.report.text.topics import Topic, topics_of
from sweep.report.text.training import joined, of_training, twins_of


def headlines(layers: pd.DataFrame, models: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    """Write the headlines of a run, those that join several targets first.

    Args:
        layers: ``layers.csv``.
        models: ``models.csv``.
        differences: ``differences.csv``.
    """
    topics = [
        (topic, list(twins_of(topic)))
        for topic in topics_of(layers, models, phrases.tested(differences))
    ]
    sentences = [
        of_training(topic, pairs) if pairs else _of_models(topic) for topic, pairs in topics
    ]
    return [*joined(topics), *sentences]


def _of_models(topic: Topic) -> str:
    """Compare the model with the highest score with the no-skill prediction and the others."""
    tests = topic.rows(LAYER_NOTHING)
    tests = tests[tests["model_a"].isin(topic.own["model"].tolist())]
    if tests.empty:
        return (
            f"Nothing can be said about {topic.label}: no layer could be compared with the "
            f"{topic.nothing}, which takes at least {LEAST_UNITS} {topic.units} and "
            "values that differ."
        )
    above = tests[(tests["difference"] > 0) & (tests["p_holm"] < phrases.ALPHA)]
    candidates = topic.own[topic.own["model"].isin(above["model_a"].tolist())]
    if candidates.empty:
        return _nothing_above(topic, tests)
    top = _highest(candidates, topic.honest)
    compared = tests[tests["model_a"] == top["model"]]
    n_above = int((above["model_a"] == top["model"]).sum())
    layers = f"{n_above} of {len(compared)} layers" if len(compared) > 1 else "its layer"
    beside = standing(str(top["model"]), topic.rows(MODELS))
    told = f"; it is {beside} ({topic.test})" if beside else ""
    return (
        f"Model {top['model']} predicts {topic.label} with {_corrected(topic, compared)} "
        f"{phrases.estimate(top, topic.honest)}, {layers} above the {topic.nothing} (Holm p < "
        f"{phrases.ALPHA:g}){told}."
    )


def _nothing_above(topic: Topic, tests: pd.DataFrame) -> str:
    known = topic.own[topic.own["model"].isin(tests["model_a"].tolist())]
    top = _highest(known, topic.honest)
    compared = tests[tests["model_a"] == top["model"]]
    value = f"{_corrected(topic, compared)} {phrases.estimate(top, topic.honest)}"
    smallest = phrases.p_value(tests["p_holm"].min(), "smallest Holm p")
    if len(known) > 1:
        what, best = f"No layer of {len(known)} models is", f"best is {top['model']}, {value}"
    else:
        layers = (
            f"No layer of {top['model']} is" if len(tests) > 1 else f"Model {top['model']} is not"
        )
        what, best = layers, value
    return (
        f"{what} clearly above the {topic.nothing} in predicting {topic.label}: {best}, {smallest}."
    )


def _corrected(topic: Topic, compared: Sized) -> str:
    """Name of the score of a model of which ``compared`` layers are compared."""
    score = phrases.score_name(topic.kind)
    return score if len(compared) == 1 else f"selection-corrected {score}"


def _highest(models: pd.DataFrame, score: str) -> Row:
    """The row of ``models.csv`` with the highest ``score``, the first if tied or undefined."""
    rows = models.to_dict("records")
    return max(rows, key=lambda row: -math.inf if math.isnan(row[score]) else row[score])
