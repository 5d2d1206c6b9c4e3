"""The study's figures of the embedding: t-SNE, predictions, errors and metrics.

Legend: U test utterances, D width of the embedding.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

from jobs.protocol.folds import StrArray
from jobs.statistics.model_table import MEAN_PREDICTOR
from sweep.report.figures.scores import MAE, MSE
from sweep.report.figures.style import COLOURS, WIDTH, figure_style, new_figure, save, short
from sweep.report.figures.units import with_unit
from sweep.report.tables.markup import one_line

FEWEST_POINTS = 4
"""Minimum number of utterances for t-SNE."""
_ACROSS, _HEIGHT = 3, 2.3
"""Panels per row, and height of a row in inches."""


def write_tsne(
    folder: Path,
    name: str,
    label: str,
    embeddings_UD: npt.NDArray[np.float32],
    values: npt.NDArray[np.float64] | StrArray,
) -> Path | None:
    """Write a t-SNE of embeddings, coloured by ``values`` (U,), which ``label`` names.

    Classes have a legend, unless there are more classes than colours.

    The perplexity is 30, or a third of the number of utterances if that is less.

    Returns:
        The PNG; None if there are too few utterances, or values that are not finite.
    """
    n, width = embeddings_UD.shape
    if n < FEWEST_POINTS or width < 2 or not np.isfinite(embeddings_UD).all():
        return None
    perplexity = min(30.0, (n - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=0)
    points = tsne.fit_transform(embeddings_UD.astype(np.float64))
    with figure_style():
        figure = new_figure(4.4)
        axes = figure.add_axes((0.06, 0.08, 0.78, 0.84))
        if np.issubdtype(values.dtype, np.str_):
            _draw_classes(axes, points, np.asarray(values, dtype=np.str_), label)
        else:
            drawn = axes.scatter(
                points[:, 0], points[:, 1], c=values, cmap="viridis", s=6, linewidths=0
            )
            bar = figure.colorbar(drawn, cax=figure.add_axes((0.87, 0.08, 0.025, 0.84)))
            bar.set_label(with_unit(label, label))
        axes.set(xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
        axes.set_title(f"t-SNE of {n} test embeddings, perplexity {perplexity:.3g}", loc="left")
        return save(figure, folder, name)


def _draw_classes(axes: Axes, points: npt.NDArray[np.float32], names: StrArray, label: str) -> None:
    classes, codes = np.unique(names, return_inverse=True)
    if len(classes) > len(COLOURS):
        axes.scatter(points[:, 0], points[:, 1], c=codes, cmap="viridis", s=6, linewidths=0)
        return
    for code, name in enumerate(classes):
        rows = codes == code
        shown = short(name, 20) if name else "none"
        axes.scatter(
            points[rows, 0], points[rows, 1], color=COLOURS[code], s=6, linewidths=0, label=shown
        )
    axes.legend(title=one_line(label), loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)


def write_prediction_figures(
    folder: Path, stem: str, target: str, curves: pd.DataFrame, predictions: pd.DataFrame
) -> list[Path]:
    """Write true against predicted values, errors and scores of one layer; nothing for classes.

    Args:
        folder: output folder.
        stem: the end of the files' names.
        target: the target to draw.
        curves: the rows of ``layers.csv`` of the layer, all targets.
        predictions: what ``Run.predictions`` returned of it.
    """
    scores = curves[(curves["target"] == target) & curves["mse"].notna()]
    rows = predictions[predictions["target"] == target]
    if rows.empty or scores.empty:
        return []
    r2 = dict(zip(scores["probe"].astype(str), scores["r2"].astype(float), strict=True))
    return [
        write_scatter(folder, f"true_vs_predicted{stem}", target, rows, r2),
        write_errors(folder, f"errors{stem}", target, rows),
        write_metric_bars(folder, f"metrics{stem}", scores),
    ]


def write_scatter(
    folder: Path, name: str, label: str, predictions: pd.DataFrame, r2: dict[str, float]
) -> Path:
    """Write true against predicted values, one panel per probe, with the identity line and R².

    Args:
        folder: where to.
        name: of the file, without its suffix.
        label: what the values are called.
        predictions: what ``Run.predictions`` returned, of one target.
        r2: probe → R² of the table.
    """
    low = float(predictions[["y_true", "y_pred"]].quantile(0.001).min())
    high = float(predictions[["y_true", "y_pred"]].quantile(0.999).max())
    pad = 0.05 * (high - low) or 0.5
    ends = (low - pad, high + pad)
    with _panels(predictions) as (figure, panels):
        for probe, axes, rows in panels:
            axes.plot(ends, ends, color="black", linestyle="--", linewidth=0.9)
            axes.scatter(
                rows["y_true"], rows["y_pred"], s=3, alpha=0.4, linewidths=0, color=COLOURS[0]
            )
            axes.set(xlim=ends, ylim=ends, xlabel=with_unit(f"true {label}", label))
            if axes is panels[0][1]:
                axes.set_ylabel(with_unit(f"predicted {label}", label))
            score = f"{r2[probe]:z.3f}".replace("-", "−")
            axes.set_title(f"{short(probe, 24)}: R² {score}", loc="left")
        return save(figure, folder, name)


def write_errors(folder: Path, name: str, label: str, predictions: pd.DataFrame) -> Path:
    """Write histograms of predicted minus true values, one panel per probe."""
    with _panels(predictions) as (figure, panels):
        for probe, axes, rows in panels:
            errors = (rows["y_pred"] - rows["y_true"]).to_numpy(dtype=float)
            errors = errors[np.isfinite(errors)]
            axes.hist(errors, bins=min(40, max(5, math.isqrt(len(errors)))), color=COLOURS[0])
            axes.axvline(0, color="black", linestyle="--", linewidth=0.9)
            axes.set(xlabel=with_unit(f"predicted − true {label}", label))
            if axes is panels[0][1]:
                axes.set_ylabel("test predictions")
            axes.set_title(short(probe, 30), loc="left")
        return save(figure, folder, name)


def write_metric_bars(folder: Path, name: str, curves: pd.DataFrame) -> Path:
    """Write MSE and MAE on the test split as bars, one per probe, beside the mean predictor's.

    Args:
        folder: where to.
        name: of the file, without its suffix.
        curves: the rows of ``layers.csv`` of one model's embedding and one target.
    """
    names = [short(str(probe), 18) for probe in curves["probe"]]
    target = str(curves["target"].iloc[0])
    with figure_style():
        figure = new_figure(_HEIGHT)
        for column, score in enumerate((MSE, MAE)):
            axes = figure.add_axes((0.08 + 0.5 * column, 0.2, 0.4, 0.66))
            values = [*curves[score.column], curves[f"mean_{score.column}"].median()]
            colours = [*[COLOURS[0]] * len(names), "#999999"]
            bars = axes.bar(range(len(values)), values, color=colours)
            axes.bar_label(bars, fmt="{:.3g}", fontsize=6)
            axes.set_xticks(range(len(values)), [*names, MEAN_PREDICTOR])
            if len(names) > 3:
                axes.tick_params(axis="x", rotation=20)
            axes.set_title(score.axis(target), loc="left")
        return save(figure, folder, name)


@contextmanager
def _panels(
    predictions: pd.DataFrame,
) -> Iterator[tuple[Figure, Sequence[tuple[str, Axes, pd.DataFrame]]]]:
    """Make a figure with axes for every probe of ``predictions``, within the style."""
    groups = [(str(probe), rows) for probe, rows in predictions.groupby("probe", sort=False)]
    down = math.ceil(len(groups) / _ACROSS)
    with figure_style():
        figure = new_figure(down * _HEIGHT)
        panels = []
        for number, (probe, rows) in enumerate(groups):
            row, column = divmod(number, _ACROSS)
            left = (0.55 + column * 2.25) / WIDTH
            bottom = ((down - row - 1) * _HEIGHT + 0.4) / (down * _HEIGHT)
            axes = figure.add_axes((left, bottom, 1.75 / WIDTH, 1.65 / (down * _HEIGHT)))
            panels.append((probe, axes, rows))
        yield figure, panels
