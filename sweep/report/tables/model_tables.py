"""The comparison table, with models, baselines and references in rows."""

import math
from collections.abc import Iterator

import pandas as pd

from jobs.statistics.model_table import MAJORITY_CLASS, MEAN_PREDICTOR, REFERENCES, SPEAKER_MEAN
from jobs.statistics.scores import (
    MAIN_SCORE,
    RANKING_SCORE,
    SCORES,
    Score,
    TargetKind,
    scores_for,
)
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
from sweep.report.tables.markup import LACKING, MISSING, Cell, Table

CCA = "cca"
"""The kind of probe whose held-out correlations are a column of the comparison table, as in the
study."""


def models_tables(models: pd.DataFrame) -> list[Table]:
    """Build the comparison table: a row per model and probe, baselines and references among them.

    Targets that are classes have a table of their own. The first CCA has no rows but a column,
    unless it is the only probe; its other numbers are in the CSV.
    """
    tables = []
    for kind, group in by_kind(models):
        rows = [
            [text(target), *_cells(kind, row, cca, of_target)]
            for target, of_target in group.groupby("target", sort=False)
            for row, cca in _shown_rows(of_target)
        ]
        tables.append(assemble(several(models), _columns(kind), rows))
    return tables


def models_notes(models: pd.DataFrame) -> Iterator[str]:
    """Footnotes that explain the columns of the comparison tables."""
    for kind, group in by_kind(models):
        layers = group["n_layers"].max()
        if layers > 1 and kind == CLASSES and len(by_kind(models)) > 1:
            yield (
                "The same holds for targets that are classes: their best layer is chosen by "
                "accuracy, and the selection-corrected accuracy avoids that."
            )
        elif layers > 1:
            scores, score = ("MSE and R²", "R²") if kind == NUMBERS else ("scores", "accuracy")
            yield (
                f"The best layer is chosen on the test split, among up to {layers} layers, so its "
                f"{scores} are too good. The selection-corrected {score} avoids this: "
                f"{_FOLD_CHOICE if by_fold(group) else _SPEAKER_CHOICE}"
            )
        if group["model"].eq(SPEAKER_MEAN).any():
            what = "most frequent class" if kind == CLASSES else "mean"
            yield (
                f"The {SPEAKER_MEAN} predicts the {what} of the speaker's other test utterances: "
                "the score of knowing only who speaks."
            )
        if kind == CLASSES:
            yield (
                f"The {MAJORITY_CLASS} is the most frequent one of the training split, or of all "
                "test utterances where that is right more often; its accuracy is that of always "
                "predicting it."
            )
    if (models["best_layer_index"] >= models["n_layers"]).any():
        yield (
            "The number before a layer is its place among all layers of its network, counted from "
            "0, of which only a part was probed."
        )
    probes = _cca_probes(models)
    if len(probes) > 1:
        yield f"Mean CCA over layers is that of the probe {probes[0]}."
    if models["missing"].any():
        yield (
            f"{LACKING} lacks planned cells. A layer without all of its seeds and folds is a "
            "candidate for the best layer only if there is no other."
        )


_SPEAKER_CHOICE = (
    "the layer is chosen on some test speakers and scored on the others; in brackets, the 95 % "
    "interval over speakers, with the choice repeated in every resample."
)
_FOLD_CHOICE = (
    "each fold is scored with the layer that the other folds choose; in brackets, the 95 % "
    "interval over folds, with the choice repeated without each fold."
)


def _cca_probes(models: pd.DataFrame) -> list[str]:
    return [str(name) for name in models.loc[models["probe_kind"] == CCA, "probe"].unique()]


def _shown_rows(group: pd.DataFrame) -> Iterator[tuple[Row, float]]:
    """Yield the rows of one target to show, each with its model's mean CCA (NaN without)."""
    of_no_model = group["model"].isin(REFERENCES)
    is_cca = group["probe"].isin(_cca_probes(group)[:1]) & ~of_no_model
    cca = group[is_cca].set_index("model")["mean_pearson"]
    others = group[~is_cca & ~of_no_model]
    shown = group[~of_no_model] if others.empty else others
    for row in pd.concat([shown, group[of_no_model]]).to_dict("records"):
        yield row, float(cca.get(row["model"], math.nan))


def _columns(kind: TargetKind) -> list[tuple[str, bool]]:
    ranking, main = SCORES[RANKING_SCORE[kind]], SCORES[MAIN_SCORE[kind]]
    nothing = MAJORITY_CLASS if kind == CLASSES else MEAN_PREDICTOR
    return [
        ("Model", False),
        ("Probe", False),
        (f"{ranking.heading} on embedding", True),
        (f"Best layer ({ranking.label})", False),
        *((f"{score.heading} of best layer", True) for score in _other_scores(kind)),
        (f"Selection-corrected {main.label} [95 %]", True),
        ("Mean CCA over layers", True),
        (f"{ranking.heading} of {nothing}", True),
    ]


def _cells(kind: TargetKind, row: Row, cca: float, group: pd.DataFrame) -> list[Cell]:
    ranking = SCORES[RANKING_SCORE[kind]]
    place = _decimals(ranking, group)
    probe = marked(row["probe"], row["missing"] > 0) if row["probe"] else text(MISSING)
    return [
        text(row["model"]),
        probe,
        number(row[f"embedding_{ranking.name}"], place),
        _best_cell(row, number(row[f"best_{ranking.name}"], place)),
        *(
            number(row[f"best_{score.name}"], _decimals(score, group))
            for score in _other_scores(kind)
        ),
        interval(row, f"best_{MAIN_SCORE[kind]}_honest"),
        number(cca, 3),
        number(row[str(ranking.reference)], place),
    ]


def _other_scores(kind: TargetKind) -> list[Score]:
    """The scores of the best layer, without the one that selects it."""
    return [s for s in scores_for(kind) if s.compared and s.name != RANKING_SCORE[kind]]


def _decimals(score: Score, rows: pd.DataFrame) -> int:
    """Decimals of a score of the best layers of one target."""
    return 3 if score.unit == "none" else decimals(rows[f"best_{score.name}"])


def _best_cell(row: Row, score: Cell) -> Cell:
    """The layer with its score; only the score for a reference, which has no layers."""
    if row["model"] in REFERENCES or pd.isna(row["best_layer"]):
        return score
    return Cell(f"{int(row['best_layer_index'])}: {row['best_layer']} ({score.text})", score.key)
