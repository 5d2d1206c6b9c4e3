"""Fits of learning curves that fail."""

import dataclasses

import pytest

from jobs.job import Worker
from jobs.probes import MlpSettings, RidgeSettings
from jobs.probing.learning import LearningJob, cells_of_draw, learning_key
from jobs.protocol.cells import Cell
from jobs.protocol.predictions import read_predictions
from jobs.protocol.settings import Protocols, SplitsProtocol
from tests.jobs.probing.test_job import activations, corpus, job  # noqa: F401


def learning_job(tmp_path, table, **changes):
    made = job(tmp_path, table, activations(table, 0.5))
    given = LearningJob(
        model="m",
        layer="layer",
        activations=made.activations,
        table=made.table,
        protocols=Protocols(SplitsProtocol()),
        classes={},
        probes={"ridge": RidgeSettings()},
        cells=(Cell("a", "ridge", "cps", 0, 0, "none"),),
        fractions=(0.2,),
        file=tmp_path / "found.npz",
    )
    return dataclasses.replace(given, **changes)


def test_a_fit_that_fails_is_a_warning_and_the_others_are_kept(corpus, tmp_path):  # noqa: F811
    cells = tuple(Cell(name, "ridge", name, 0, 0, "none") for name in ("cps", "lacking"))
    asked = learning_job(tmp_path, corpus, cells=cells)
    report = asked.run(Worker())
    (warning,) = report.warnings
    assert "3 fits failed" in warning and "no target 'lacking'" in warning
    assert set(read_predictions(asked.file)) == {learning_key("cps", 0.2, i) for i in range(3)}


def test_a_layer_without_any_fit_fails(corpus, tmp_path):  # noqa: F811
    cells = (Cell("a", "ridge", "lacking", 0, 0, "none"),)
    with pytest.raises(ValueError, match="3 fits failed"):
        learning_job(tmp_path, corpus, cells=cells).run(Worker())


def test_every_draw_of_speakers_takes_one_seed_and_no_control():
    probes = {"ridge": RidgeSettings(), "mlp": MlpSettings(seeds=2)}
    cells = tuple(
        Cell(f"{probe}{seed}{control}", probe, "cps", seed, 0, control)
        for probe, seeds in (("ridge", 1), ("mlp", 2))
        for seed in range(seeds)
        for control in ("none", "shuffled")
    )
    found = [[cell.cell_id for cell in cells_of_draw(cells, probes, draw)] for draw in range(3)]
    assert found == [["ridge0none", f"mlp{seed}none"] for seed in (0, 1, 0)]
