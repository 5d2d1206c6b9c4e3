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
FULL_LINE: dict[str, object] = {"color": "black", "linestyle": "--", "linewidth": 0.9}
"""Line of `Score.full`."""
CONTROL_LINES: tuple[Any, ...] = (":", (0, (5, 1, 1, 1)), (0, (3, 1, 1, 1, 1, 1)))
OFF_PATH_DOT: dict[str, Any] = {"alpha": 0.35, "markersize": 1.8, "markeredgewidth": 0, "zorder": 2}
"""Dots of layers that no line joins, such as those inside a block."""
_BASELINE_LINES = {"duration": (0, (4, 1.5, 1, 1.5)), "fbank": (0, (8, 2))}
"""Dashes by name, so that a baseline looks the same where another has no score."""


MARKERS = dict(zip(COLOURS, ("o", "s", "^", "P", "d", "X"), strict=True))
"""Markers by colour, which tell lines apart in print without colours."""


def line_styles(layers: pd.DataFrame, twins: Twins = ()) -> dict[str, Line]:
    """Colour and line style of every model, the same in all figures of a run.

    Untrained ``twins`` are dashed. They share the colour of their trained model where there are
    several networks; a single one has another colour. Without twins, dashes tell models apart of
    which there are more than colours.
    """
    models = models_in(layers)
    trained = {twin: model for model, twin in sorted(twins) if {model, twin} <= set(models)}
    networks = list(dict.fromkeys(trained.get(model, model) for model in models))
    if trained and len(networks) <= len(COLOURS):
        colour_of = dict(zip(networks, COLOURS, strict=False))
        other = colour_of if len(networks) > 1 else {networks[0]: COLOURS[1]}
        return {m: (other[trained[m]], LINES[1]) if m in trained else (colour_of[m], "-")
                for m in models}  # fmt: skip
    chosen = models
    if len(models) > MOST_LINES:
        best = layers.groupby("model", sort=False)[["r2", "accuracy"]].max().fillna(-np.inf)
        chosen = sorted(models, key=lambda model: tuple(-best.loc[model]))[:MOST_LINES]
        chosen = [model for model in models if model in chosen]
    styles: dict[str, Line] = dict.fromkeys(models, (GREY, "-"))
    for number, model in enumerate(chosen):
        styles[model] = (COLOURS[number % len(COLOURS)], LINES[number // len(COLOURS)])
    return styles


def marker_of(colour: str) -> str:
    """Marker of the models of a colour."""
    return MARKERS.get(colour, "o")


def baseline_style(model: str) -> dict[str, object]:
    """Colour and dashes of a baseline's line, the same in all panels and figures."""
    dashes = _BASELINE_LINES[model.removeprefix(BASELINE_PREFIX)]
    return {"color": "#666666", "linestyle": dashes, "linewidth": 0.9}


def baseline_label(model: str) -> str:
    """The name of a baseline in legends and notes: ``fbank only``."""
    return model.removeprefix(BASELINE_PREFIX) + " only"
