"""The loss of a fitted probe on the validation split, kept with the scores of its cell."""

import dataclasses

import numpy as np
import pytest

from jobs.probes import (
    PROBES,
    CcaSettings,
    KnnSettings,
    LogisticSettings,
    MdlSettings,
    MlpSettings,
    RidgeSettings,
)
from jobs.probing.job import probe_layer
from jobs.protocol.cells import Cell
from jobs.protocol.folds import make_folds
from jobs.protocol.settings import KFoldProtocol, Protocols, SplitsProtocol
from tests.jobs.probing.test_job import activations, corpus, job

__all__ = ["corpus"]

NUMBERS = {
    "ridge": RidgeSettings(),
    "cca": CcaSettings(),
    "mlp": MlpSettings(epochs=5),
    "knn": KnnSettings(),
}
CLASSES = {"logistic": LogisticSettings(), "neighbours": KnnSettings()}


def with_sex(table):
    """Every other speaker is a woman."""
    return table.assign(sex=np.where(table["speaker_id"].str[1:].astype(int) % 2, "m", "f"))


def cells(folds=1, controls=("none",)):
    return tuple(
        Cell(f"{probe}-{control}-{fold}", probe, target, 0, fold, control)
        for target, probes in (("cps", NUMBERS), ("sex", CLASSES))
        for probe in probes
        for fold in range(folds)
        for control in controls
    )


@pytest.mark.parametrize("protocol", [SplitsProtocol(), KFoldProtocol(folds=3)])
def test_it_is_that_of_the_predictions_of_the_same_fit_for_validation_rows(
    tmp_path, corpus, protocol
):  # fmt: skip
    table, X = with_sex(corpus), activations(corpus, 0.5)
    n_folds = 1 if isinstance(protocol, SplitsProtocol) else 3
    given = job(
        tmp_path, table, X, probes=NUMBERS | CLASSES, protocols=Protocols(protocol),
        cells=cells(n_folds), classes={"sex": ("f", "m")},
    )  # fmt: skip
    folds = {
        "cps": make_folds(protocol, table),
        "sex": make_folds(protocol, table, table["sex"].to_numpy(dtype=np.str_)),
    }
    groups = table["speaker_id"].to_numpy(dtype=np.str_)
    truths = {"cps": table["cps"].to_numpy(), "sex": (table["sex"] == "m").to_numpy(dtype=float)}
    for cell, result in zip(given.cells, probe_layer(given), strict=True):
        fold, settings, y = (
            folds[cell.target][cell.fold],
            given.probes[cell.probe],
            truths[cell.target],
        )
        swapped = dataclasses.replace(fold, test=fold.validation)
        kind = "classification" if cell.target == "sex" else "regression"
        fit = PROBES[settings.kind].fit(kind)
        predicted = fit(settings, X, y[:, None], swapped, groups, [0]).predictions[:, 0]
        known = y[fold.validation]
        if kind == "regression":
            expected, column = np.mean((known - predicted) ** 2), "validation_mse"
        else:
            expected, column = np.mean(known != predicted), "validation_error"
        assert result.scores[column] == pytest.approx(expected, rel=1e-6), cell.cell_id


def test_controls_and_probes_that_cannot_be_applied_have_none(tmp_path, corpus):
    given = job(
        tmp_path, corpus, activations(corpus, 0.5),
        probes={"ridge": RidgeSettings(), "mdl": MdlSettings()},
        cells=(
            Cell("shuffled", "ridge", "cps", 0, 0, "shuffled"),
            Cell("mdl", "mdl", "cps", 0, 0, "none"),
        ),
    )  # fmt: skip
    for result in probe_layer(given):
        assert result.status == "done" and "validation_mse" not in result.scores


def test_without_a_validation_split_there_is_none(tmp_path, corpus):
    given = job(
        tmp_path, corpus, activations(corpus, 0.5),
        probes={"ridge": RidgeSettings()},
        protocols=Protocols(SplitsProtocol(validation=None)),
        cells=(Cell("ridge", "ridge", "cps", 0, 0, "none"),),
    )  # fmt: skip
    [result] = probe_layer(given)
    assert result.status == "done" and "validation_mse" not in result.scores
