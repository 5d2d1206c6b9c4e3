"""The tables of a run: every number as CSV, the ones to read as Markdown and LaTeX."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from jobs.statistics.model_table import MAJORITY_CLASS, MEAN_PREDICTOR, REFERENCES, SPEAKER_MEAN
from jobs.storage.atomic import write_text
from sweep.report.tables.cells import (
    CLASSES,
    NUMBERS,
    Row,
    assemble,
    by_fold,
    by_kind,
    decimals,
    interval,
    marked,
    number,
    several,
    text,
)
from sweep.report.tables.layer_tables import layers_notes, layers_tables
from sweep.report.tables.markup import LACKING, MISSING, Cell, Table, to_latex, to_markdown

CCA = "cca"
"""The kind of probe whose held-out correlations are a column of the comparison table, as in the
study."""


def write_tables(
    folder: Path,
    metrics: pd.DataFrame,
    layers: pd.DataFrame,
    models: pd.DataFrame,
    notes: Sequence[str],
    said: Sequence[str] = (),
) -> None:
    """Write ``metrics.csv``, ``layers.csv``, ``models.csv``; the last two as .md and .tex as well.

    CSV holds every digit; what is undefined is an empty field, and a point of ``layers`` without
    any done cell is left out. The others are rounded, show such points, and have ``notes`` and what
    explains the table as footnotes; ``models.md`` begins them with what is ``said``. Every file is
    replaced as a whole.
    """
    scored = layers[layers["cells"] > 0]
    for name, frame in (("metrics", metrics), ("layers", scored), ("models", models)):
        write_text(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    comparison, curves = models_tables(models), layers_tables(layers)
    below = [*models_notes(models), *notes]
    write_text(folder / "models.md", to_markdown(comparison, [*said, *below]))
    write_text(folder / "models.tex", to_latex(comparison, below))
    below = [*layers_notes(layers), *notes]
    write_text(folder / "layers.md", to_markdown(curves, below))
    write_text(folder / "layers.tex", to_latex(curves, below, long=True))


def models_tables(models: pd.DataFrame) -> list[Table]:
    """The study's comparison table: a row per model and probe, the baselines in rows of their own.

    Targets that are classes have a table of their own. The first CCA has no rows but a column,
    unless it is the only probe; its other numbers are in the CSV.
    """
    tables = []
    for kind, group in by_kind(models):
        cells = _class_cells if kind == CLASSES else _model_cells
        rows = _comparison_rows(group, cells)
        tables.append(assemble(several(models), _MODEL_COLUMNS[kind], rows))
    return tables


def models_notes(models: pd.DataFrame) -> Iterator[str]:
    """What a reader of the comparison tables must know of their columns."""
    for kind, group in by_kind(models):
        layers = group["n_layers"].max()
        if layers > 1 and kind == CLASSES and len(by_kind(models)) > 1:
            yield (
                "So it is with the layer that tells classes apart best, chosen by its accuracy, "
                "and with accuracy on other speakers."
            )
        elif layers > 1:
            scores, score = ("MSE and R²", "R²") if kind == NUMBERS else ("scores", "Accuracy")
            yield (
                f"The best layer is chosen on the test part, among up to {layers} layers: its "
                f"{scores} are the best of so many and too good. {score} on other speakers is "
                f"without that: {_FOLD_CHOICE if by_fold(group) else _SPEAKER_CHOICE}"
            )
        if group["model"].eq(SPEAKER_MEAN).any():
            what = "most frequent class" if kind == CLASSES else "mean"
            yield (
                f"The {SPEAKER_MEAN} predicts the {what} of the speaker's other test utterances: "
                "what one knows who knows the speaker and nothing else."
            )
        if kind == CLASSES:
            yield (
                f"The {MAJORITY_CLASS} is the one that is most frequent in the training part: its "
                "accuracy is that of always guessing it."
            )
    probes = _cca_probes(models)
    if len(probes) > 1:
        yield f"Mean CCA over layers is that of the probe {probes[0]}."
    if models["missing"].any():
        yield (
            f"{LACKING} lacks cells that were planned: points without all of their seeds and folds "
            "are no candidates for the best layer, unless there are no others."
        )


_SPEAKER_CHOICE = (
    "the layer is chosen on some test speakers and scored on the others; in brackets its 95 % "
    "interval over speakers, the choice repeated in every resample."
)
_FOLD_CHOICE = (
    "every fold is scored with the layer that the other folds chose; in brackets its 95 % interval "
    "over folds, the choice repeated without each."
)


def _cca_probes(models: pd.DataFrame) -> list[str]:
    return [str(name) for name in models.loc[models["probe_kind"] == CCA, "probe"].unique()]


def _comparison_rows(
    models: pd.DataFrame, cells: Callable[[Row, float, int], list[Cell]]
) -> Iterator[list[Cell]]:
    for target, group in models.groupby("target", sort=False):
        place = decimals(group["best_mse"])
        for row, cca in _shown_rows(group):
            yield [text(target), *cells(row, cca, place)]


def _shown_rows(group: pd.DataFrame) -> Iterator[tuple[Row, float]]:
    """The rows to show of one target, each with the mean CCA of its model (NaN without)."""
    of_no_model = group["model"].isin(REFERENCES)
    is_cca = group["probe"].isin(_cca_probes(group)[:1]) & ~of_no_model
    cca = group[is_cca].set_index("model")["mean_pearson"]
    others = group[~is_cca & ~of_no_model]
    shown = group[~of_no_model] if others.empty else others
    for row in pd.concat([shown, group[of_no_model]]).to_dict("records"):
        yield row, float(cca.get(row["model"], math.nan))


_MODEL_COLUMNS = {
    NUMBERS: [
        ("Model", False),
        ("Probe", False),
        ("MSE on embedding", True),
        ("Best layer (MSE)", False),
        ("R² of best layer", True),
        ("R² on other speakers [95 %]", True),
        ("Mean CCA over layers", True),
        (f"MSE of {MEAN_PREDICTOR}", True),
    ],
    CLASSES: [
        ("Model", False),
        ("Probe", False),
        ("Accuracy on embedding", True),
        ("Best layer (accuracy)", False),
        ("Balanced accuracy of best layer", True),
        ("Macro F1 of best layer", True),
        ("Accuracy on other speakers [95 %]", True),
        (f"Accuracy of {MAJORITY_CLASS}", True),
    ],
}


def _model_cells(row: Row, cca: float, place: int) -> list[Cell]:
    return [
        *_name_cells(row),
        number(row["embedding_mse"], place),
        _best_cell(row, number(row["best_mse"], place)),
        number(row["best_r2"], 3),
        interval(row, "best_r2_honest"),
        number(cca, 3),
        number(row["mean_mse"], place),
    ]


def _class_cells(row: Row, cca: float, place: int) -> list[Cell]:
    return [
        *_name_cells(row),
        number(row["embedding_accuracy"], 3),
        _best_cell(row, number(row["best_accuracy"], 3)),
        number(row["best_balanced_accuracy"], 3),
        number(row["best_macro_f1"], 3),
        interval(row, "best_accuracy_honest"),
        number(row["majority_accuracy"], 3),
    ]


def _name_cells(row: Row) -> list[Cell]:
    probe = marked(row["probe"], row["missing"] > 0) if row["probe"] else text(MISSING)
    return [text(row["model"]), probe]


def _best_cell(row: Row, score: Cell) -> Cell:
    """The layer beside its score; the score alone of what has no layers."""
    if row["model"] in REFERENCES or pd.isna(row["best_layer"]):
        return score
    return Cell(f"{int(row['best_layer_index'])}: {row['best_layer']} ({score.text})", score.key)
