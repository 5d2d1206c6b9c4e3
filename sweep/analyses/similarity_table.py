"""Table of the similarity of layers."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from jobs.similarity.job import Values
from jobs.similarity.settings import Measure, SimilaritySettings
from sweep.analyses.similarity_pairs import ModelPair, PairValues, read_pair
from sweep.plan.plan import PlannedModel

COLUMNS = (
    "measure", "model_a", "layer_a", "layer_index_a", "model_b", "layer_b", "layer_index_b",
    "n_utterances", "value", "chance", "flagged",
)  # fmt: skip
"""Columns of ``similarity.csv``."""


def similarity_table(
    settings: SimilaritySettings | None, pairs: Sequence[ModelPair], folder: Path
) -> pd.DataFrame:
    """Make ``similarity.csv``: a row per ordered pair of layers and measure, for the pairs on disk.

    ``value`` is NaN where it is not defined: a layer is constant or could not be read. PWCCA is
    weighted by layer a. ``chance`` is the value of independent layers
    (``jobs.similarity.measures``).
    """
    frames = [
        frame
        for pair in (pairs if settings else ())
        if (values := read_pair(pair.file(folder), settings.measures if settings else ()))
        for frame in _frames(pair, values)
    ]
    if not frames:
        return pd.DataFrame(columns=list(COLUMNS))
    table = pd.concat(frames, ignore_index=True)
    return table.sort_values("measure", kind="stable", ignore_index=True)


def _frames(pair: ModelPair, values: PairValues) -> Iterator[pd.DataFrame]:
    """Yield both orders of every two layers; a model with itself has them in one."""
    for measure, found in values.by_measure.items():
        yield _frame(measure, pair.a, pair.b, found, values.n_utterances)
        if pair.a != pair.b:
            yield _frame(measure, pair.b, pair.a, found.transposed(), values.n_utterances)


def _frame(
    measure: Measure, a: PlannedModel, b: PlannedModel, found: Values, n_utterances: int
) -> pd.DataFrame:
    layers = list(itertools.product(a.layers, b.layers))
    columns = {
        "measure": measure,
        "model_a": a.name,
        "layer_a": [one.name for one, _ in layers],
        "layer_index_a": [one.index for one, _ in layers],
        "model_b": b.name,
        "layer_b": [other.name for _, other in layers],
        "layer_index_b": [other.index for _, other in layers],
        "n_utterances": n_utterances,
        "value": found.forward.ravel(),
        "chance": found.chance.ravel(),
        "flagged": found.flagged.ravel(),
    }
    return pd.DataFrame(columns, columns=list(COLUMNS))
