"""The study's tables: utterances of a split, scores of layers, scores on the embedding."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from jobs.storage.atomic import file_names
from sweep.export.names import split_names
from sweep.report.tables.files import write_csv

STUDY_COLUMNS = {
    "audio_path": "audio_path",
    "text": "text",
    "speaker_id": "speaker_id",
    "chapter_id": "chapter_id",
    "utterance_id": "audio_id",
    "seconds": "duration",
}
"""Column of the utterance table → the study's name for it."""
_SCORES = ["mse", "mae", "r2", "pearson", "mean_mse", "mean_mae"]
_CLASS_SCORES = ["accuracy", "balanced_accuracy", "macro_f1", "majority_accuracy"]
"""Columns added if a target is categorical."""


def write_split_tables(folder: Path, table: pd.DataFrame, targets: Iterable[str]) -> list[Path]:
    """Write ``<split>_<target>.csv`` for every split of an utterance table, as ``dev_cps.csv``.

    Args:
        folder: where to write.
        table: the utterance table, with the targets as columns.
        targets: the columns that are targets.

    Returns:
        The files, with one row per utterance and columns ``audio_path, text, <target>, speaker_id,
        chapter_id, audio_id, duration`` (seconds; the corpus' own column if it has one).
    """
    paths = []
    targets = file_names(targets)
    own = "duration" if "duration" in table.columns else "seconds"
    names = {own if column == "seconds" else column: name for column, name in STUDY_COLUMNS.items()}
    for split, stem in split_names(table["split"]).items():
        rows = table[table["split"] == split]
        for target, name in targets.items():
            columns = rows[list(names)].rename(columns=names)
            if target not in columns:
                columns.insert(2, target, rows[target])
            paths.append(write_csv(folder / f"{stem}_{name}.csv", columns))
    return paths


def write_layer_table(path: Path, curves: pd.DataFrame, study_names: Mapping[str, str]) -> None:
    """Write ``layer_metrics.txt``: tab-separated, one row per layer × target × probe.

    Args:
        path: the file.
        curves: the rows of ``layers.csv`` of one model.
        study_names: tap name → the study's name of the layer.
    """
    names = curves["layer"].map(study_names).rename("layer")
    places = curves[["layer_index", "target", "probe"]]
    write_csv(path, pd.concat([names, places, curves[_scores(curves)]], axis=1), separator="\t")


def write_embedding_table(path: Path, curves: pd.DataFrame) -> None:
    """Write ``metrics.txt``: tab-separated, one row per target × probe on the embedding."""
    write_csv(path, curves[["target", "probe", "n_test", *_scores(curves)]], separator="\t")


def _scores(curves: pd.DataFrame) -> list[str]:
    of_classes = (curves["target_kind"] == "classification").any()
    return [*_SCORES, *(_CLASS_SCORES if of_classes else [])]


def write_cca(path: Path, curves: pd.DataFrame, study_names: Mapping[str, str]) -> None:
    """Write ``layer,cca_corr``: held-out canonical correlations, empty where undefined."""
    names = curves["layer"].map(study_names)
    write_csv(path, pd.DataFrame({"layer": names, "cca_corr": curves["pearson"]}))


def write_predictions(path: Path, predictions: pd.DataFrame, table: pd.DataFrame) -> None:
    """Write ``predictions.csv``: one row per test utterance × target × probe × seed.

    Args:
        path: the file.
        predictions: the result of ``Run.predictions``.
        table: the utterance table.
    """
    paths = predictions["utterance_id"].map(table.set_index("utterance_id")["audio_path"])
    columns = {"utterance_id": "audio_id", "y_true": "true", "y_pred": "pred"}
    kept = ["utterance_id", "speaker_id", "target", "probe", "seed", "fold", "y_true", "y_pred"]
    frame = predictions[kept].rename(columns=columns)
    frame.insert(0, "audio_path", paths)
    write_csv(path, frame)
