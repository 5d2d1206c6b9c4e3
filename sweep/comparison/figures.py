"""One figure a target: the curves of all runs over layers, a panel for each probe."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from jobs.models.settings import BASELINE_PREFIX
from jobs.statistics.scores import SCORES
from jobs.storage.atomic import file_names
from sweep.report.figures.style import COLOURS, figure_style, new_figure, save, short

_DASHES = ("-", (0, (5, 1.5)), ":", (0, (4, 1.5, 1, 1.5)))
"""Line styles of models; runs have colours."""
_PANEL = 2.4
"""Height of a panel in inches."""
_MOST_BANDS = 6
"""Number of lines up to which intervals are drawn."""
_NAME = 40


def write_figures(folder: Path, labels: Sequence[str], table: pd.DataFrame) -> dict[str, Path]:
    """Draw ``<target>.svg`` and ``.png`` for every target; return the SVG files by target."""
    stems = file_names(dict.fromkeys(table["target"]))
    found = {}
    for target, stem in stems.items():
        rows = table[table["target"] == target]
        png = _write_figure(folder, f"compare_{stem}", labels, target, rows)
        found[target] = png.with_suffix(".svg")
    return found


def _write_figure(
    folder: Path, name: str, labels: Sequence[str], target: str, rows: pd.DataFrame
) -> Path:
    probes = list(dict.fromkeys(rows["probe"]))
    with figure_style():
        figure = new_figure(_PANEL * len(probes) + 0.4)
        panels = figure.subplots(len(probes), 1, squeeze=False)[:, 0]
        for axes, probe in zip(panels, probes, strict=True):
            _draw(axes, labels, rows[rows["probe"] == probe])
            axes.set_title(short(f"{target} · {probe}", 2 * _NAME), loc="left")
        panels[-1].set_xlabel("layer index")
        figure.tight_layout()
        return save(figure, folder, name)


def _draw(axes: Axes, labels: Sequence[str], rows: pd.DataFrame) -> None:
    networks = rows[~rows["model"].str.startswith(BASELINE_PREFIX)]
    models = list(dict.fromkeys(networks["model"]))
    lines = list(networks.groupby(["model", "run"], sort=False))
    for (model, run), line in lines:
        line = line.sort_values("layer_index")
        colour = COLOURS[labels.index(str(run)) % len(COLOURS)]
        axes.plot(
            line["layer_index"], line["value"], color=colour, marker="o", markersize=2.2,
            linestyle=_DASHES[models.index(model) % len(_DASHES)],
            label=short(f"{run} · {model}" if len(models) > 1 else str(run), _NAME),
        )  # fmt: skip
        if len(lines) <= _MOST_BANDS:
            ends = line["low"], line["high"]
            axes.fill_between(line["layer_index"], *ends, color=colour, alpha=0.12, linewidth=0)
    axes.set_ylabel(SCORES[str(rows["score"].iloc[0])].label)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
