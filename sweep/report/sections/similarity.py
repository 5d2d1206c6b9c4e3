"""Similarity of layers: the table, and one heatmap per measure with one block per pair of
models."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from sweep.report.figures.style import (
    SMALL,
    TEXT,
    WIDTH,
    figure_style,
    new_figure,
    save,
    short,
    text_width,
)
from sweep.report.section import Content, Section, as_svg
from sweep.results.run import Run
from sweep.wording import listed

NAME = "similarity"
READING = (
    "Linear CKA, in its unbiased estimator, is 1 for layers that are equal up to rotation and "
    "scale, and about 0 for layers that share nothing; the biased estimator is high for wide "
    "layers of noise. PWCCA is the mean canonical correlation of the directions that carry 99 % of "
    "each layer's variance, weighted by their importance to the row's layer, so it is not "
    "symmetric. By chance alone it is not 0: <code>tables/similarity.csv</code> gives, beside "
    "every value, the one that independent layers reach. Utterances of one speaker are alike, so "
    "both measures see shared speakers as well as shared speech."
)
"""HTML."""
_CITED = {
    "cka": "unbiased linear CKA (Kornblith et al. 2019)",
    "pwcca": "projection-weighted CCA (Morcos et al. 2018)",
}
TITLES = {"cka": "Linear CKA, unbiased", "pwcca": "PWCCA"}
_LAYER = 0.09
"""Width in inches of the name of a layer."""
_RIGHT = 0.62
_UNKNOWN, _FORCED = "#FFFFFF", "#B8B8B8"


@dataclass(frozen=True)
class _Tick:
    """A name on the axis, with its position in layers from the corner."""

    at: float
    text: str


@dataclass(frozen=True)
class _Block:
    """A model on the axis."""

    model: str
    start: int
    layers: tuple[str, ...]

    @property
    def stop(self) -> int:
        """Position after its last layer."""
        return self.start + len(self.layers)


def write_similarity(plots: Path, rows: pd.DataFrame) -> list[Path]:
    """Write ``similarity_<measure>.png`` and ``.svg``.

    Args:
        plots: folder of the figures.
        rows: ``sweep.analyses.similarity_table.similarity_table``.

    Returns:
        The PNG files.
    """
    if rows.empty:
        return []
    with figure_style():
        return [
            _write_heatmap(plots, str(measure), part)
            for measure, part in rows.groupby("measure", sort=False)
        ]


def _write_heatmap(folder: Path, measure: str, rows: pd.DataFrame) -> Path:
    """Write the heatmap, laid out in inches; it is square and as large as the names allow."""
    blocks = _blocks(rows)
    total = blocks[-1].stop
    model_names = 0.2 if len(blocks) > 1 else 0.0
    # The width of the names depends on how many fit, and that on the width.
    ticks = list(_ticks(blocks, total, WIDTH - _RIGHT - 1))
    names = 0.1 + max(text_width(tick.text, SMALL) for tick in ticks)
    corner, top = 0.06 + model_names + names, 0.42
    side = min(WIDTH - _RIGHT - corner, 0.32 * total + 1)
    height = top + side + corner + 0.18
    figure = new_figure(height)
    axes = figure.add_axes(
        (corner / WIDTH, (height - top - side) / height, side / WIDTH, side / height)
    )
    _draw(axes, measure, rows, blocks)
    _draw_names(axes, blocks, list(_ticks(blocks, total, side)), names, side)
    _label(figure, measure, rows, height)
    bar = figure.add_axes(
        ((corner + side + 0.12) / WIDTH, (height - top - side) / height, 0.1 / WIDTH, side / height)
    )
    figure.colorbar(axes.images[0], cax=bar)
    bar.tick_params(length=2, labelsize=SMALL, pad=1)
    bar.set_title(measure.upper(), fontsize=SMALL, pad=4)
    return save(figure, folder, f"{NAME}_{measure}")


def _blocks(rows: pd.DataFrame) -> list[_Block]:
    """Models in the order of the table, each with its layers in order of depth."""
    blocks: list[_Block] = []
    for model, own in rows.groupby("model_a", sort=False):
        layers = own.drop_duplicates("layer_index_a").sort_values("layer_index_a")["layer_a"]
        start = blocks[-1].stop if blocks else 0
        blocks.append(_Block(str(model), start, tuple(layers)))
    return blocks


def _draw(axes: Axes, measure: str, rows: pd.DataFrame, blocks: Sequence[_Block]) -> None:
    total = blocks[-1].stop
    position = {(b.model, name): b.start + i for b in blocks for i, name in enumerate(b.layers)}
    sides = [
        [position[place] for place in zip(rows[f"model_{s}"], rows[f"layer_{s}"], strict=True)]
        for s in "ab"
    ]
    values = np.full((total, total), np.nan)
    values[sides[0], sides[1]] = rows["value"].to_numpy(dtype=float)
    forced = np.zeros((total, total), dtype=bool)
    forced[sides[0], sides[1]] = rows["flagged"].to_numpy(dtype=bool)
    colours = colormaps["viridis"].with_extremes(bad=_UNKNOWN)
    axes.imshow(
        np.ma.masked_invalid(values), cmap=colours, norm=Normalize(0, 1), interpolation="nearest"
    )
    if forced.any():
        grey = np.ma.masked_where(~forced, np.ones_like(values))
        axes.imshow(grey, cmap=ListedColormap([_FORCED]), interpolation="nearest")
    for block in blocks[1:]:
        axes.axhline(block.start - 0.5, color="white", linewidth=1)
        axes.axvline(block.start - 0.5, color="white", linewidth=1)
    axes.spines[:].set_visible(False)
    if measure == "pwcca":
        axes.set_title("weights of the row's layer", fontsize=SMALL, loc="left", pad=3)


def _draw_names(
    axes: Axes, blocks: Sequence[_Block], ticks: Sequence[_Tick], names: float, side: float
) -> None:
    """Draw layers or stages beside the map, then models; ``names`` is the layers' share in
    inches."""
    at, texts = [tick.at for tick in ticks], [tick.text for tick in ticks]
    axes.set_xticks(at, texts, rotation=90)
    axes.set_yticks(at, texts)
    axes.tick_params(length=2, pad=2)
    if len(blocks) == 1:
        return
    total, beyond = blocks[-1].stop, -names / side
    for block in blocks:
        middle = (block.start + block.stop) / 2 / total
        room = side * len(block.layers) / total
        text = _fitted(block.model, room)
        for x, y, rotation, across, along in (
            (beyond, 1 - middle, 90, "right", "center"),
            (middle, beyond, 0, "center", "top"),
        ):
            where = {"x": x, "y": y, "ha": across, "va": along, "rotation": rotation}
            axes.text(s=text, transform=axes.transAxes, fontsize=TEXT, **where)  # type: ignore[arg-type]


def _fitted(name: str, room: float) -> str:
    """Shorten ``name`` to at most ``room`` inches."""
    length = len(name)
    while length > 3 and text_width(short(name, length), TEXT) > room:
        length -= 1
    return short(name, length)


def _ticks(blocks: Sequence[_Block], total: int, side: float) -> Iterator[_Tick]:
    """Yield ticks for every layer if there is room for the names, else for the large enough
    stages."""
    step = side / total
    free = -np.inf
    for block in blocks:
        if step >= _LAYER:
            for position, name in enumerate(block.layers, start=block.start):
                yield _Tick(position, short(name, 24))
            continue
        for stage, first, last in _stages(block):
            middle = (first + last) / 2
            if (middle - free) * step >= _LAYER:
                yield _Tick(middle, short(stage, 24))
                free = middle


def _stages(block: _Block) -> Iterator[tuple[str, int, int]]:
    """Runs of layers whose names are alike up to the first dot: name, first, last position."""
    stages = [name.split(".")[0] for name in block.layers]
    starts = [i for i, stage in enumerate(stages) if i == 0 or stage != stages[i - 1]]
    for start, stop in zip(starts, [*starts[1:], len(stages)], strict=True):
        yield stages[start], block.start + start, block.start + stop - 1


def _label(figure: Figure, measure: str, rows: pd.DataFrame, height: float) -> None:
    """Write the title, and the caption below the map."""
    count = int(rows["n_utterances"].max())
    title = f"{TITLES[measure]} · {count} utterances"
    figure.text(0.008, 1 - 0.06 / height, title, va="top", fontsize=8)
    notes = []
    chance = _off_diagonal(rows)
    if measure == "pwcca" and chance.size:
        notes += [f"independent layers: {np.nanmin(chance):.2f} to {np.nanmax(chance):.2f}"]
    if rows["flagged"].any():
        notes += ["grey: partly 1 whatever the data, too many directions for the utterances"]
    figure.text(0.008, 0.06 / height, " · ".join(notes), va="bottom", fontsize=SMALL)


def _off_diagonal(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Chance level of two different layers, if known."""
    same = (rows["model_a"] == rows["model_b"]) & (rows["layer_a"] == rows["layer_b"])
    chance: npt.NDArray[np.float64] = rows.loc[~same & ~rows["flagged"], "chance"].to_numpy(float)
    return np.asarray(chance[np.isfinite(chance)])


def _render(run: Run) -> Content | None:
    figures = write_similarity(run.folder.plots, run.table("similarity"))
    return Content(introduction=READING, figures=as_svg(figures)) if figures else None


def _methods(run: Run) -> Iterator[str]:
    if run.spec.similarity is not None:
        measures = listed(_CITED[measure] for measure in run.spec.similarity.measures)
        yield f"Layers were compared with each other by {measures}."


SECTION = Section("similarity", "Similarity of layers", _render, _methods)
