"""A miniature of the whole study: its specs run, and the export has all files of the study."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sweep import open_run
from sweep.export.study import export_run
from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.state.events import EventLog
from tests.support.study_stand_in import (
    SPEAKERS,
    SPEC_FOLDER,
    STUDY_MODELS,
    UTTERANCES_PER_SPEAKER,
    make_checkpoints,
    make_corpus,
    path_overrides,
)

LAYERS, EMBEDDINGS = SPEC_FOLDER / "layers.yaml", SPEC_FOLDER / "embeddings.yaml"
FOLDERS = [name.replace(" ", "-").replace("+", "-") for name in STUDY_MODELS]
N_TRAIN, N_DEV, N_TEST = (count * UTTERANCES_PER_SPEAKER for count in SPEAKERS.values())


@pytest.fixture(scope="session")
def corpus(cache):
    return make_corpus(cache)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    return make_checkpoints(tmp_path_factory.mktemp("models"))


def run(spec, tmp_path, overrides, cache):
    options = RunOptions(where="inline", out=tmp_path / "run", cache=cache, overrides=overrides)
    with EventLog() as events:
        result = run_sweep(spec, options, events)
    assert (result.status, result.failed) == ("done", 0)
    return open_run(tmp_path / "run")


def check_layer_files(root, part, n_layers_of=STUDY_MODELS):
    """Every file of the digest's task 3, and its table of task 4."""
    assert {path.name for path in root.iterdir() if path.is_dir()} == set(FOLDERS)
    for name, folder in zip(STUDY_MODELS, FOLDERS, strict=True):
        n_layers = n_layers_of[name]
        model = root / folder
        index = pd.read_csv(model / "activations" / "layers.csv")
        assert len(index) == n_layers
        assert index["layer"].tolist()[:3] == ["first relu", "layer1 relu 1", "layer1 SimAM 1"]
        for row in index.itertuples():
            values = np.load(model / "activations" / row.file, allow_pickle=False)
            assert (values.shape, values.dtype) == ((N_DEV, row.width), np.float32)
            assert np.isfinite(values).all()
        assert len(pd.read_csv(model / "activations" / "utterances.csv")) == N_DEV
        metrics = pd.read_csv(model / "layer_metrics.txt", sep="\t")
        assert set(metrics["probe"]) == {"study-mlp", "mlp", "ridge", "cca"}
        assert len(metrics) == n_layers * 4
        assert metrics[["mse", "mae", "mean_mse"]].notna().all(axis=None)
        with (model / "cca" / f"cca_{part}_cps.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        assert header == ["layer", "cca_corr"]
        assert [layer for layer, _ in rows] == index["layer"].tolist()
        assert all(-1 <= float(value) <= 1 for _, value in rows)
        for figure in ("layer_metrics", f"cca_{part}_cps"):
            check_png(model / f"{figure}.png")
    comparison = pd.read_csv(root / "comparison.csv")
    assert set(STUDY_MODELS) | {"mean predictor", "baseline:fbank"} <= set(comparison["model"])
    assert set(comparison["probe"].dropna()) >= {"study-mlp", "mlp"}
    text = (root / "comparison.md").read_text()
    assert all(name in text for name in [*STUDY_MODELS, "mean predictor"])


def check_embedding_files(root, n_utterances, n_predictions):
    """Every file of the digest's task 2."""
    for folder in FOLDERS:
        model = root / folder
        with np.load(model / "embeddings.npz", allow_pickle=False) as arrays:
            assert arrays["embeddings"].shape == (n_utterances, 16)
            assert len(set(arrays["ids"])) == n_utterances == len(arrays["labels"])
            assert all(Path(path).is_file() for path in arrays["paths"])
        metrics = pd.read_csv(model / "metrics.txt", sep="\t")
        assert metrics[["mse", "mae", "r2", "mean_mse"]].notna().all(axis=None)
        predictions = pd.read_csv(model / "predictions.csv")
        assert len(predictions) == n_predictions
        assert predictions[["true", "pred"]].notna().all(axis=None)
        for figure in ("tsne", "true_vs_predicted", "errors", "metrics"):
            check_png(model / f"{figure}.png")


def check_png(path):
    with Image.open(path) as image:
        image.verify()
        assert image.format == "PNG"


@pytest.fixture
def no_report(monkeypatch):
    """The run's own report has tests of its own, and the export does not read it."""
    monkeypatch.setattr("sweep.running.run.build_report", lambda run: None)


@pytest.mark.usefixtures("no_report")
def test_the_layers_spec_of_the_study_gives_its_files(corpus, checkpoints, cache, tmp_path):
    """All probes; fewer layers, folds and epochs than the spec has, for speed alone."""
    overrides = path_overrides(LAYERS, corpus, checkpoints)
    fewer = ["protocol.folds=2", "bootstrap.resamples=100", "probes.0.seeds=1",
             "probes.1.seeds=1", "probes.1.epochs=2",
             "layers=[first relu, layer1 relu 1, layer1 SimAM 1, -1]"]  # fmt: skip
    study = run(LAYERS, tmp_path, [*overrides, *fewer], cache)
    exported = export_run(study, None, None)
    assert exported.folder == tmp_path / "run" / "export"
    assert len(pd.read_csv(exported.folder / "dev_cps.csv")) == N_DEV
    check_layer_files(exported.folder, "dev", dict.fromkeys(STUDY_MODELS, 4))
    check_embedding_files(exported.folder, N_DEV, N_DEV * 4)


@pytest.mark.slow
def test_the_layers_of_the_study_run_with_only_paths_changed(corpus, checkpoints, cache, tmp_path):
    study = run(LAYERS, tmp_path, path_overrides(LAYERS, corpus, checkpoints), cache)
    assert len(study.metrics) == (2 * 51 + 2 * 150 + 2) * 5 * (3 + 3 + 1 + 1)
    exported = export_run(study, None, None)
    check_layer_files(exported.folder, "dev")
    check_embedding_files(exported.folder, N_DEV, N_DEV * (3 + 3 + 1 + 1))


@pytest.mark.usefixtures("no_report")
def test_the_embeddings_of_the_study_run_with_only_paths_changed(
    corpus, checkpoints, cache, tmp_path
):
    overrides = path_overrides(EMBEDDINGS, corpus, checkpoints)
    study = run(EMBEDDINGS, tmp_path, overrides, cache)
    exported = export_run(study, None, None, activations=False)
    counts = {"train": N_TRAIN, "dev": N_DEV, "test": N_TEST}
    for part, count in counts.items():
        table = pd.read_csv(exported.folder / f"{part}_cps.csv")
        assert table.columns.tolist() == [
            "audio_path", "text", "cps", "speaker_id", "chapter_id", "audio_id", "duration",
        ]  # fmt: skip
        assert len(table) == count
    check_embedding_files(exported.folder, sum(counts.values()), N_TEST * (3 + 1))
    assert not (exported.folder / FOLDERS[0] / "activations").exists()
