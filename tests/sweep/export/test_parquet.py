"""`sweep export --to parquet`: what other programs read of it is what is in the run."""

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from pyarrow import parquet
from safetensors.numpy import load_file

from jobs.optional_packages import PYARROW
from sweep import open_run
from sweep.export.parquet.folder import MARKER
from sweep.export.parquet.licences import model_licence
from tests.support.tiny_run import TinyRun, tiny_run

GRAM = (
    "--set", "store=gram", "--set", "protocol={kind: kfold, folds: 3}", "--set", "targets=[energy]",
    "--set", "probes=[{kind: ridge}]", "--set", "save_probes=false", "--set", "controls=[]",
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyRun]:
    """A finished run of a number and a class, and its export."""
    with tiny_run(tmp_path_factory.mktemp("parquet") / "home") as tiny:
        with Path("corpus.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        with Path("corpus.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0], "mood"])
            writer.writeheader()
            writer.writerows({**row, "mood": "ab"[i % 2]} for i, row in enumerate(rows))
        more = ("targets=[energy, mood]", "probes=[{kind: ridge}, {kind: logistic}]")
        done = tiny.run(*(part for value in more for part in ("--set", value)))
        assert done.exit_code == 0, done.output
        exported = tiny.sweep("export", "run", "--to", "parquet", "--license", "cc-by-4.0")
        assert exported.exit_code == 0, exported.output
        assert exported.stdout == "run/parquet\n"
        yield tiny


@pytest.fixture
def folder(tiny: TinyRun) -> Path:
    """The export."""
    return tiny.folder.root / "parquet"


def test_activations_are_those_of_the_run_bit_for_bit(tiny: TinyRun, folder: Path) -> None:
    run = open_run(tiny.folder.root)
    files = pd.read_parquet(folder / "activations/layers.parquet")
    planned = {(model.name, layer.name) for model in run.plan.models for layer in model.layers}
    assert set(files[["model", "layer"]].itertuples(index=False, name=None)) == planned
    for row in files.itertuples():
        ids, expected = run.activations(row.model, row.layer)
        values = load_file(folder / row.file)["activations"]
        assert (values.dtype, values.shape) == (np.float32, (row.rows, row.width))
        assert values.tobytes() == expected.tobytes()
        index = pd.read_parquet(folder / row.index)
        assert index["row"].tolist() == list(range(len(ids)))
        assert index["utterance_id"].tolist() == ids
        table = run.utterances.set_index("utterance_id").loc[ids]
        for column in ("speaker_id", "split", "energy", "mood"):
            assert index[column].tolist() == table[column].tolist()


def test_tables_and_predictions_are_those_of_the_run(tiny: TinyRun, folder: Path) -> None:
    run = open_run(tiny.folder.root)
    for name in ("metrics", "layers", "models", "differences"):
        found, expected = pd.read_parquet(folder / f"tables/{name}.parquet"), getattr(run, name)
        assert found.columns.tolist() == expected.columns.tolist()
        pd.testing.assert_frame_equal(
            found.astype(object).where(found.notna(), None),
            expected.astype(object).where(expected.notna(), None),
            check_column_type=False,
        )
    found = parquet.read_table(folder / "predictions.parquet").to_pandas()
    assert len(found) == sum(run.metrics["n_test"])
    for target, probe, columns in (
        ("energy", "ridge", ("y_true", "y_pred")),
        ("mood", "logistic", ("true_class", "predicted_class")),
    ):
        expected = run.predictions("b", "1", probe=probe, target=target)
        rows = found.query(
            "model == 'b' and layer == '1' and target == @target and control == 'none'"
        )
        assert rows["utterance_id"].tolist() == expected["utterance_id"].tolist()
        for column, of in zip(columns, ("y_true", "y_pred"), strict=True):
            assert rows[column].tolist() == expected[of].tolist()


def test_the_card_names_what_it_was_made_from_and_the_checksums_hold(
    tiny: TinyRun, folder: Path
) -> None:
    text = (folder / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    values = yaml.safe_load(front)
    assert values["license"] == "cc-by-4.0"
    assert values["probing_sweep"]["models"][0] == "b"
    for config in values["configs"]:
        assert (folder / config["data_files"]).exists()
    for part in ("## Methods", "## Spec", "@software{", "## Checksums", "tiny_run_network:build"):
        assert part in body
    assert str(tiny.home) not in text
    sums = dict(
        reversed(line.split("  ", 1)) for line in (folder / "SHA256SUMS").read_text().splitlines()
    )
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert sums.keys() == files - {"SHA256SUMS", MARKER}
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_a_second_export_replaces_its_own_files_and_nothing_else(
    tiny: TinyRun, folder: Path
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.safetensors")}
    (folder / "mine.txt").write_text("a note")
    again = tiny.sweep("export", "run", "--to", "parquet", "--no-activations")
    assert again.exit_code == 0, again.output
    assert "--no-activations" in again.stderr
    assert not list(folder.rglob("*.safetensors"))
    assert (folder / "mine.txt").read_text() == "a note"
    (folder / "mine.txt").unlink()
    assert tiny.sweep("export", "run", "--to", "parquet").exit_code == 0
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("marker", [None, '{"format": "other"}', "{", "another run"])
def test_a_folder_of_somebody_else_is_refused_and_left_alone(
    tiny: TinyRun, folder: Path, tmp_path: Path, marker: str | None
) -> None:
    (tmp_path / "README.md").write_text("mine")
    if marker == "another run":
        marker = json.dumps(json.loads((folder / MARKER).read_text()) | {"run": "other"})
    if marker is not None:
        (tmp_path / MARKER).write_text(marker)
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    done = tiny.sweep("export", "run", "--to", "parquet", "--out", str(tmp_path))
    assert done.exit_code == 2
    assert "choose another folder with --out" in done.stderr
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before


def test_a_run_of_sums_says_that_it_has_no_activations(tiny: TinyRun, tmp_path: Path) -> None:
    done = tiny.sweep(
        "run", "spec.yaml", "--inline", "--out", str(tmp_path / "gram"), "--cache", "cache",
        "--display", "none", *GRAM,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    exported = tiny.sweep("export", str(tmp_path / "gram"), "--to", "parquet")
    assert exported.exit_code == 0, exported.output
    assert "store: gram with kfold keeps none" in exported.stderr
    files = {path.name for path in (tmp_path / "gram/parquet").rglob("*") if path.is_file()}
    assert "metrics.parquet" in files
    assert not {"predictions.parquet", "index.parquet"} & files
    assert "store: gram with kfold keeps none" in (tmp_path / "gram/parquet/README.md").read_text()


def test_what_is_missing_is_named_before_anything_is_written(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(PYARROW), "missing", lambda self: f"pip install {self.name}")
    done = tiny.sweep("export", "run", "--to", "parquet", "--out", str(tmp_path / "new"))
    assert (done.exit_code, "pip install pyarrow" in done.stderr) == (2, True)
    assert not (tmp_path / "new").exists()


def test_the_licence_of_a_model_is_read_from_the_card_in_its_folder(
    tiny: TinyRun, tmp_path: Path
) -> None:
    from jobs.models.transformers.settings import TransformersSettings

    settings = TransformersSettings(name="m", checkpoint=tmp_path)
    assert model_licence(settings) == "unknown"
    card = tmp_path / "README.md"
    for text, licence in (
        ("---\nlicense: mit\n---\n# A model\n", "mit"),
        ("---\nlicense: [a, b]\n---\n", "unknown"),
        ("---\nlicense: mit\n", "unknown"),
        ("# A model\n", "unknown"),
    ):
        card.write_text(text)
        assert model_licence(settings) == licence
    assert model_licence(settings.model_copy(update={"untrained": True})) == "random weights"
