"""The files of a run are a contract: names of files, of keys and of columns stay what they are.

Runs that are on disk are opened by later versions, and read by people's own scripts.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors import safe_open

from sweep import open_run
from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.state.events import EventLog
from sweep.state.run_folder import RunFolder
from tests.support.golden_columns import COLUMNS
from tests.support.no_figures import draw_nothing

pytest.importorskip("python_stretch")

SPEC: dict[str, Any] = {
    "name": "files",
    "corpus": {"kind": "espeak", "speakers": {"train": 4, "validation": 2, "test": 3},
               "utterances_per_speaker": 5},
    "targets": ["cps", "duration", "sex"],
    "models": [{"name": "a", "kind": "wespeaker", "architecture": "SimAM_ResNet34_ASP",
                "model_args": {"in_planes": 2, "embed_dim": 4}}],
    "layers": ["stem", "embedding"],
    "probes": [{"kind": "ridge"}, {"kind": "cca", "components": 2}, {"kind": "logistic"}],
    "controls": ["shuffled"],
    "baselines": ["mean", "duration"],
    "bootstrap": {"resamples": 100},
    "similarity": {"utterances": 15},
    "tempo": {"factors": [0.8, 1.25], "utterances": 6},
    "save_probes": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    """A finished run of everything that leaves a file, but for the figures."""
    home = tmp_path_factory.mktemp("files")
    spec, run = home / "spec.yaml", home / "run"
    spec.write_text(yaml.safe_dump(SPEC, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch, EventLog() as events:
        draw_nothing(patch)
        options = RunOptions(where="inline", cache=home / "cache", out=run)
        (cache / "corpora").mkdir(exist_ok=True)
        (home / "cache").mkdir()
        (home / "cache" / "corpora").symlink_to(cache / "corpora")
        assert run_sweep(spec, options, events).status == "done"
    yield RunFolder(run)


def keys(value: object, path: str = "") -> dict[str, str]:
    """Of every object in a JSON value, by its path: its keys, those of a list's items together."""
    found: dict[str, str] = {}
    if isinstance(value, dict):
        found[path] = " ".join(value)
        for key, item in value.items():
            found |= keys(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in value:
            for inner, names in keys(item, f"{path}[]").items():
                known = found.get(inner, "").split()
                found[inner] = " ".join(dict.fromkeys([*known, *names.split()]))
    return found


def test_the_files_of_a_run(folder: RunFolder) -> None:
    assert sorted(path.name for path in folder.root.iterdir()) == [
        ".lock", "driver.log", "events.jsonl", "ledger.jsonl", "plan.json", "plots", "predictions",
        "probes", "provenance.json", "report", "report.html", "similarity", "skipped.csv",
        "spec.yaml", "tables", "utterances.csv",
    ]  # fmt: skip
    assert sorted(path.name for path in folder.tables.iterdir()) == [
        "canonical.csv", "differences.csv", "layers.csv", "layers.md", "layers.tex", "metrics.csv",
        "models.csv", "models.md", "models.tex", "residuals.csv", "similarity.csv", "tempo.csv",
        "tempo_changes.csv",
    ]  # fmt: skip
    report = folder.root / "report"
    assert sorted(path.name for path in report.iterdir()) == ["findings.txt", "methods.md"]


def test_the_spec(folder: RunFolder) -> None:
    assert keys(yaml.safe_load(folder.spec.read_text())) == {
        "": (
            "name corpus targets models layers features pooling dtype store probes "
            "protocol protocols controls baselines bootstrap similarity tempo train_fractions "
            "beyond save_probes compute track"
        ),
        "corpus": (
            "kind exclude min_seconds max_seconds seed speakers utterances_per_speaker voices"
        ),
        "corpus.speakers": "train validation test",
        "models[]": "name kind precision checkpoint untrained architecture model_args seed window",
        "models[].model_args": "in_planes embed_dim",
        "features": "max_frames crop pad_to",
        "probes[]": "kind name alphas choose variance components",
        "protocol": "kind train validation test allow_speaker_overlap",
        "protocols": "",
        "bootstrap": "resamples by",
        "similarity": "measures utterances part seed",
        "tempo": "factors utterances targets seed",
        "compute": "extractor probe timeout give_up_after",
        "compute.extractor": "gpus cpus memory",
        "compute.probe": "cpus memory",
    }


def test_the_plan(folder: RunFolder) -> None:
    assert keys(json.loads(folder.plan.read_text())) == {
        "": (
            "name models targets classes probes protocol groups protocols n_folds controls tempo "
            "beyond train_fractions files sum"
        ),
        "files": "spec.yaml utterances.csv",
        "models[]": (
            "name extract architecture digest n_parameters input row_bytes gram_bytes "
            "gram_memory sets stretched recorded layers"
        ),
        "models[].extract": "model features pooling dtype",
        "models[].extract.model": (
            "name kind precision checkpoint untrained architecture model_args seed window what"
        ),
        "models[].extract.model.model_args": "in_planes embed_dim",
        "models[].extract.features": "max_frames crop pad_to",
        "models[].sets[]": "split activation_id model_digest n_utterances shard_size gram unit",
        "models[].stretched[]": (
            "split activation_id model_digest n_utterances shard_size gram unit"
        ),
        "models[].layers[]": "index name study_name width level",
        "targets": "cps duration sex",
        "classes": "sex",
        "probes": "ridge cca logistic",
        "probes.ridge": "kind name alphas choose",
        "probes.cca": "kind name variance components",
        "probes.logistic": "kind name alphas",
        "protocol": "kind train validation test allow_speaker_overlap",
        "protocols": "",
        "tempo": "factors targets utterances",
    }


def test_the_ledger(folder: RunFolder) -> None:
    records = [json.loads(line) for line in folder.ledger.read_text().splitlines()]
    assert keys(records) == {
        "[]": (
            "cell_id status error model layer layer_index target probe seed fold "
            "control n_train n_test scores details seconds predictions made_from left_out "
            "sum"
        ),
        "[].scores": (
            "mse mae rmse r2 pearson spearman within_speaker mean_mse mean_mae validation_mse "
            "accuracy balanced_accuracy macro_f1 majority_accuracy validation_error"
        ),
        "[].details": (
            "alpha alpha_at_edge components saturated in_sample iterations converged unconverged"
        ),
        "[].made_from": "activations labels probe protocol version",
    }
    assert {record["status"] for record in records} == {"done"}
    assert {record["control"] for record in records} == {"none", "shuffled"}


def test_the_events(folder: RunFolder) -> None:
    events = [json.loads(line) for line in folder.events.read_text().splitlines()]
    found = {event["kind"]: " ".join(list(event)[2:]) for event in events}
    found.pop("stage_progress", None)
    assert found == {
        "stage_started": "stage",
        "stage_finished": "stage seconds",
        "planned": "run models totals done targets work",
        "began": "stage model",
        "resources": "nodes jobs places",
        "shard_done": "model shard utterances skipped copied seconds forward_seconds",
        "cells_done": "model layer layer_index cells failed seconds best best_accuracy scores",
        "compared": "seconds analysis",
        "run_finished": "status done failed seconds",
    }
    assert [event["stage"] for event in events if event["kind"] == "stage_started"] == [
        "prepare",
        "report",
    ]
    assert [" ".join(event)[:9] for event in events] == ["time kind"] * len(events)


def test_the_provenance(folder: RunFolder) -> None:
    found = keys(json.loads(folder.provenance.read_text()))
    found.pop("runs[].git", None)
    assert found == {
        "": "cache models data audio columns runs",
        "models": "a baseline:duration",
        "models.a": "architecture weights parameters seed",
        "models.baseline:duration": "architecture weights parameters seed",
        "data": "labels activations",
        "data.labels": "cps duration sex",
        "data.activations": "a baseline:duration",
        "data.activations.a": "train validation test #tempo=0.8 #tempo=1.25",
        "data.activations.baseline:duration": "train validation test #tempo=0.8 #tempo=1.25",
        "runs[]": "started arguments executor git python packages hardware",
        "runs[].packages": (
            "probing-sweep torch ray wespeaker-unofficial lhotse numpy scipy "
            "scikit-learn pandas soundfile espeakng-loader transformers praat-parselmouth "
            "silero-vad python-stretch"
        ),
        "runs[].hardware": "platform processor cores memory_gib gpus",
    }


def test_the_columns_of_the_tables(folder: RunFolder) -> None:
    paths = [folder.utterances, folder.skipped, *sorted(folder.tables.glob("*.csv"))]
    assert {
        path.name: " ".join(path.read_text().splitlines()[0].replace('"', "").split(","))
        for path in paths
    } == COLUMNS


def test_the_arrays_of_predictions_components_and_comparisons(folder: RunFolder) -> None:
    found = {}
    for path in [*folder.predictions.glob("*.npz"), *folder.similarity.glob("*.npz")]:
        special = [name for name in ("tempo", "canonical") if f"--{name}-" in path.name]
        kind = special[0] if special else path.parent.name
        of_cells = kind in ("predictions", "tempo")
        with np.load(path, allow_pickle=False) as file:
            names = {name.split("/")[0] if of_cells else name for name in file.files}
        found[kind] = " ".join(sorted(names))
    assert found == {
        "predictions": "cell_id fold rows sum train_mean utterance_id y_pred y_true",
        "tempo": "cell_id fold rows sum train_mean utterance_id y_pred y_true",
        "canonical": (
            "0/0/activations 0/0/in_sample 0/0/n_train 0/0/saturated 0/0/targets "
            "0/0/utterance_id probes sum"
        ),
        "similarity": (
            "cka/backward cka/chance cka/flagged cka/forward complete n_utterances "
            "pwcca/backward pwcca/chance pwcca/flagged pwcca/forward sum"
        ),
    }


def test_saved_probes(folder: RunFolder) -> None:
    cards = [json.loads(path.read_text()) for path in folder.probes.glob("*.json")]
    cards.sort(key=lambda card: ["ridge", "cca", "logistic"].index(card["probe"]["kind"]))
    assert keys(cards) == {
        "[]": (
            "format cell_id model extract model_digest layer width target unit classes "
            "probe_name probe seed fold n_train scores weights_sum sum"
        ),
        "[].extract": "model features pooling dtype",
        "[].extract.model": (
            "name kind what precision checkpoint untrained architecture model_args seed window"
        ),
        "[].extract.model.model_args": "in_planes embed_dim",
        "[].extract.features": "max_frames crop pad_to",
        "[].probe": "kind name alphas choose variance components",
        "[].scores": (
            "mse mae rmse r2 pearson spearman within_speaker mean_mse mean_mae validation_mse "
            "accuracy balanced_accuracy macro_f1 majority_accuracy validation_error"
        ),
    }
    assert {card["format"] for card in cards} == {1}
    weights = {}
    for card in cards:
        with safe_open(folder.probes / f"{card['cell_id']}.safetensors", "numpy") as file:
            weights[card["probe"]["kind"]] = " ".join(sorted(file.keys()))
            assert file.metadata() is None
    assert weights == {
        "ridge": "bias weight",
        "logistic": "bias classes weight",
        "cca": "bias weight",
    }


def test_shards_of_activations(folder: RunFolder) -> None:
    planned = open_run(folder.root).plan.models[0].sets[0]
    shard = folder.root.parent / "cache" / "activations" / planned.activation_id
    assert sorted(path.name for path in shard.iterdir()) == [
        "index.json",
        "shard-00000.json",
        "shard-00000.safetensors",
    ]
    manifest = json.loads((shard / "shard-00000.json").read_text())
    assert keys(manifest) == {
        "": "checksum index utterance_ids skipped n_bytes layers info skipped_files",
        "info": "load_seconds forward_seconds batches",
    }
    with safe_open(shard / "shard-00000.safetensors", "numpy") as file:
        assert set(file.keys()) == {layer for layer, *_ in manifest["layers"]}
        assert file.metadata() is None


def test_the_values_that_python_gets(folder: RunFolder) -> None:
    run = open_run(folder.root)
    assert list(run.predictions("a", "stem").columns) == [
        "utterance_id", "speaker_id", "probe", "target", "control", "seed", "fold", "y_true",
        "y_pred",
    ]  # fmt: skip
    values = {name: getattr(run, name) for name in ("metrics", "layers", "models", "differences")}
    values |= {name: run.table(name) for name in ("similarity", "canonical", "tempo")}
    for name, value in values.items():
        written = pd.read_csv(folder.tables / f"{name}.csv", nrows=0)
        assert list(value.columns) == list(written.columns), name
