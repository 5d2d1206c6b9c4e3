"""Colours and dashes of models, baselines and controls, the same in all figures of a run."""

from collections.abc import Collection
from typing import Any, Literal

import numpy as np
import pandas as pd

from jobs.models.settings import BASELINE_PREFIX
from sweep.report.figures.scores import models_in
from sweep.report.figures.style import COLOURS

Line = tuple[str, Literal["-"] | tuple[float, tuple[float, ...]]]
"""Colour and line style of a model."""
Twins = Collection[tuple[str, str]]
"""Pairs of names of models: a trained one, and the same network untrained."""
LINES: tuple[Literal["-"] | tuple[float, tuple[float, ...]], ...] = ("-", (0, (5, 1.5)))
"""Line styles, each combined with every colour."""
MOST_LINES = len(COLOURS) * len(LINES)
"""Number of models with their own colour, the best ones; the others are thin grey lines."""
GREY = "#BBBBBB"
SPEAKER_MEAN_LINE = {"color": "black", "linestyle": (0, (1, 1)), "linewidth": 0.9}
CONTROL_LINES: tuple[Any, ...] = (":", (0, (5, 1, 1, 1)), (0, (3, 1, 1, 1, 1, 1)))
OFF_PATH_DOT: dict[str, Any] = {"alpha": 0.35, "markersize": 1.8, "markeredgewidth": 0, "zorder": 2}
"""Dots of layers that no line joins, such as those inside a block."""
_BASELINE_LINES = {"duration": (0, (4, 1.5, 1, 1.5)), "fbank": (0, (8, 2))}
"""Dashes by name, so that a baseline looks the same where another has no score."""


def line_styles(layers: pd.DataFrame, twins: Twins = ()) -> dict[str, Line]:
    """Colour and line style of every model, the same in all figures of a run.

    Where several networks have untrained ``twins``, twins share a colour and the untrained ones are
    dashed.
    """
    models = models_in(layers)
    trained = {twin: model for model, twin in sorted(twins) if {model, twin} <= set(models)}
    networks = list(dict.fromkeys(trained.get(model, model) for model in models))
    if len(set(trained.values())) > 1 and len(networks) <= len(COLOURS):
        colour_of = dict(zip(networks, COLOURS, strict=False))
        return {m: (colour_of[trained.get(m, m)], LINES[m in trained]) for m in models}
    chosen = models
    if len(models) > MOST_LINES:
        best = layers.groupby("model", sort=False)[["r2", "accuracy"]].max().fillna(-np.inf)
        chosen = sorted(models, key=lambda model: tuple(-best.loc[model]))[:MOST_LINES]
        chosen = [model for model in models if model in chosen]
    styles: dict[str, Line] = dict.fromkeys(models, (GREY, "-"))
    for number, model in enumerate(chosen):
        styles[model] = (COLOURS[number % len(COLOURS)], LINES[number // len(COLOURS)])
    return styles


def baseline_style(model: str) -> dict[str, object]:
    """Colour and dashes of a baseline's line, the same in all panels and figures."""
    dashes = _BASELINE_LINES[model.removeprefix(BASELINE_PREFIX)]
    return {"color": "#666666", "linestyle": dashes, "linewidth": 0.9}


def baseline_label(model: str) -> str:
    """The name of a baseline in legends and notes: ``fbank only``."""
    return model.removeprefix(BASELINE_PREFIX) + " only"
