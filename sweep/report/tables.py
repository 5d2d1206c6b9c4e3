"""The tables of a run: every number as CSV, the ones to read as Markdown and LaTeX."""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jobs.files import write_text
from jobs.reduce import MEAN_PREDICTOR
from sweep.report.markup import LACKING, MISSING, Cell, Table, to_latex, to_markdown

CCA = "cca"
"""The kind of probe whose held-out correlations are a column of the comparison table, as in the
study."""

Row = Mapping[Hashable, Any]


def write_tables(
    folder: Path,
    metrics: pd.DataFrame,
    layers: pd.DataFrame,
    models: pd.DataFrame,
    notes: Sequence[str],
) -> None:
    """Write ``metrics.csv``, ``layers.csv``, ``models.csv``; the last two as .md and .tex as well.

    CSV holds every digit; what is undefined is an empty field, and a point of ``layers`` without
    any done cell is left out. The others are rounded, show such points, and have ``notes`` and what
    explains the table as footnotes. Every file is replaced as a whole.
    """
    scored = layers[layers["cells"] > 0]
    for name, frame in (("metrics", metrics), ("layers", scored), ("models", models)):
        write_text(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    comparison, curves = models_table(models), layers_table(layers)
    below = [*models_notes(models), *notes]
    write_text(folder / "models.md", to_markdown(comparison, below))
    write_text(folder / "models.tex", to_latex(comparison, below))
    below = [*layers_notes(layers), *notes]
    write_text(folder / "layers.md", to_markdown(curves, below))
    write_text(folder / "layers.tex", to_latex(curves, below, long=True))


def models_table(models: pd.DataFrame) -> Table:
    """The study's comparison table: a row per model and probe, the baselines in rows of their own.

    The first CCA has no rows but a column, unless it is the only probe; its other numbers are in
    the CSV.
    """
    columns = [
        ("Model", False),
        ("Probe", False),
        ("MSE on embedding", True),
        ("Best layer (MSE)", False),
        ("R² of best layer", True),
        ("R² on other speakers [95 %]", True),
        ("Mean CCA over layers", True),
        (f"MSE of {MEAN_PREDICTOR}", True),
    ]
    several = models["target"].nunique() > 1
    rows = []
    for target, group in models.groupby("target", sort=False):
        place = decimals(group["best_mse"])
        rows += [
            [*([_text(target)] if several else []), *_model_cells(row, cca, place)]
            for row, cca in _comparison_rows(group)
        ]
    return _table([("Target", False)] * several + columns, rows)


def models_notes(models: pd.DataFrame) -> Iterator[str]:
    """What a reader of the comparison table must know of its columns."""
    layers = models["n_layers"].max()
    if layers > 1:
        yield (
            f"The best layer is chosen on the test part, among up to {layers} layers: its MSE and "
            "R² are the best of so many and too good. R² on other speakers is without that: the "
            "layer is chosen on some test speakers and scored on the others; in brackets its 95 % "
            "interval over speakers, the choice repeated in every resample."
        )
    probes = _cca_probes(models)
    if len(probes) > 1:
        yield f"Mean CCA over layers is that of the probe {probes[0]}."
    if models["missing"].any():
        yield (
            f"{LACKING} lacks cells that were planned: points without all of their seeds and folds "
            "are no candidates for the best layer, unless there are no others."
        )


def layers_notes(layers: pd.DataFrame) -> Iterator[str]:
    """What a reader of the table of layers must know of its rows."""
    if lacks_cells(layers).any():
        yield (
            f"{LACKING} lacks cells that were planned: its scores are means over fewer seeds or "
            "folds than its neighbours'."
        )


def lacks_cells(layers: pd.DataFrame) -> "pd.Series[bool]":
    """Which points have fewer cells than planned, of the probe itself or of its control."""
    return (layers["missing"] > 0) | (layers["missing_control"] > 0)


def _cca_probes(models: pd.DataFrame) -> list[str]:
    return [str(name) for name in models.loc[models["probe_kind"] == CCA, "probe"].unique()]


def _comparison_rows(group: pd.DataFrame) -> Iterator[tuple[Row, float]]:
    """The rows to show of one target, each with the mean CCA of its model (NaN without)."""
    is_mean = group["model"] == MEAN_PREDICTOR
    is_cca = group["probe"].isin(_cca_probes(group)[:1]) & ~is_mean
    cca = group[is_cca].set_index("model")["mean_pearson"]
    others = group[~is_cca & ~is_mean]
    shown = group[~is_mean] if others.empty else others
    for row in pd.concat([shown, group[is_mean].head(1)]).to_dict("records"):
        yield row, float(cca.get(row["model"], math.nan))


def _model_cells(row: Row, cca: float, place: int) -> list[Cell]:
    is_mean = row["model"] == MEAN_PREDICTOR
    best = _number(row["best_mse"], place)
    if not is_mean and not pd.isna(row["best_layer"]):
        layer = f"{int(row['best_layer_index'])}: {row['best_layer']} ({best.text})"
        best = Cell(layer, best.key)
    return [
        _text(row["model"]),
        _text(MISSING) if is_mean else _marked(row["probe"], row["missing"] > 0),
        _number(row["embedding_mse"], place),
        best,
        _number(row["best_r2"], 3),
        _interval(row, "best_r2_honest"),
        _number(cca, 3),
        _number(row["mean_mse"], place),
    ]


def layers_table(layers: pd.DataFrame) -> Table:
    """A row per model, probe and layer, in depth order."""
    columns = [
        ("Model", False),
        ("Probe", False),
        ("#", True),
        ("Layer", False),
        ("R² [95 %]", True),
        ("Selectivity", True),
        ("MSE", True),
        ("MAE", True),
        ("Pearson r", True),
        ("r within speakers", True),
    ]
    several = layers["target"].nunique() > 1
    counted = bool(lacks_cells(layers).any())
    rows = []
    for target, group in layers.groupby("target", sort=False):
        places = {score: decimals(group[score]) for score in ("mse", "mae")}
        rows += [
            [
                *([_text(target)] if several else []),
                *_layer_cells(row, places),
                *([_cell_counts(row)] if counted else []),
            ]
            for row in group.to_dict("records")
        ]
    return _table([("Target", False)] * several + columns + [("Cells", True)] * counted, rows)


def _layer_cells(row: Row, places: Mapping[str, int]) -> list[Cell]:
    return [
        _text(row["model"]),
        _text(row["probe"]),
        _number(row["layer_index"], 0),
        _marked(row["layer"], row["missing"] > 0 or row["missing_control"] > 0),
        _interval(row, "r2"),
        _number(row["selectivity"], 3),
        _number(row["mse"], places["mse"]),
        _number(row["mae"], places["mae"]),
        _number(row["pearson"], 3),
        _number(row["within_speaker"], 3),
    ]


def _cell_counts(row: Row) -> Cell:
    text = f"{row['cells']} of {row['cells'] + row['missing']}"
    if row["missing_control"] > 0:
        text += f", control lacks {row['missing_control']}"
    return Cell(text, row["cells"])


def decimals(values: "pd.Series[float]") -> int:
    """Decimals that show three significant digits of the middle value, 0 to 4; 2 without any."""
    finite = np.abs(values.to_numpy(dtype=float, na_value=np.nan))
    finite = finite[np.isfinite(finite) & (finite > 0)]
    if finite.size == 0:
        return 2
    return int(np.clip(2 - math.floor(math.log10(float(np.median(finite)))), 0, 4))


def _table(columns: Sequence[tuple[str, bool]], rows: Sequence[Sequence[Cell]]) -> Table:
    header, numeric = zip(*columns, strict=True)
    return Table(header, numeric, tuple(tuple(row) for row in rows))


def _text(value: object) -> Cell:
    return Cell(str(value), str(value))


def _marked(name: object, lacking: bool) -> Cell:
    return Cell(f"{name} {LACKING}" if lacking else str(name), str(name))


def _number(value: float | None, places: int) -> Cell:
    if value is None or math.isnan(value):
        return Cell(MISSING)
    return Cell(f"{value:z.{places}f}", value)


def _interval(row: Row, score: str) -> Cell:
    middle = _number(row[score], 3)
    low, high = _number(row[f"{score}_low"], 3), _number(row[f"{score}_high"], 3)
    if low.key is None or high.key is None:
        return middle
    return Cell(f"{middle.text} [{low.text}, {high.text}]", middle.key)
