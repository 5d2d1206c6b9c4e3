"""`sweep export`: the study's files from a run, and the study's own embeddings read back."""

import importlib.util
import io
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from jobs.storage.atomic import file_names
from sweep import open_run
from sweep.commands.app import app
from sweep.errors import RunError
from sweep.export import activations as activations_module
from sweep.export.embeddings import read_embeddings
from sweep.export.names import split_names
from sweep.export.study import export_run
from sweep.export.study_embeddings import read_study_embeddings
from sweep.export.tables import write_split_tables
from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.state.events import EventLog

SPEC = {
    "name": "tiny",
    "corpus": {
        "kind": "espeak",
        "speakers": {"train": 6, "validation": 4, "test": 4},
        "utterances_per_speaker": 5,
    },
    "targets": ["cps", "duration"],
    "models": [
        {"name": "a b", "kind": "wespeaker", "architecture": "SimAM_ResNet34_ASP",
         "model_args": {"in_planes": 2, "embed_dim": 16}, "seed": 0},
        {"name": "a+b", "kind": "wespeaker", "architecture": "SimAM_ResNet34_ASP",
         "model_args": {"in_planes": 2, "embed_dim": 8}, "seed": 1},
    ],
    "layers": ["stem", "layer1.0.*", "embedding"],
    "probes": [
        {"kind": "ridge"},
        {"kind": "mlp", "hidden": [8], "epochs": 2, "seeds": 2},
        {"kind": "cca"},
    ],
    "controls": ["shuffled"],
    "baselines": ["mean", "duration"],
    "bootstrap": {"resamples": 100},
}  # fmt: skip
LAYERS = ["first relu", "layer1 relu 1", "layer1 SimAM 1", "layer1 relu 2", "embedding"]
N, N_TEST = 14 * 5, 4 * 5
WITHOUT_CHROMA = importlib.util.find_spec("chromadb") is None


@pytest.fixture(scope="module")
def run_folder(cache, tmp_path_factory):
    """A finished run of two models and two targets."""
    folder = tmp_path_factory.mktemp("run")
    spec = folder / "spec.yaml"
    spec.write_text(yaml.safe_dump(SPEC, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch, EventLog() as events:
        patch.setattr("sweep.running.run.build_report", lambda run: None)
        options = RunOptions(where="inline", out=folder / "run", cache=cache)
        assert run_sweep(spec, options, events).status == "done"
    return folder / "run"


@pytest.fixture(scope="module")
def run(run_folder):
    return open_run(run_folder)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    return export_run(run, tmp_path_factory.mktemp("export"), None)


@pytest.fixture(scope="module")
def model(exported):
    """The folder of the first model."""
    return exported.folder / "a-b"


def test_split_tables_have_the_names_and_columns_of_the_study(run, exported):
    names = {path.name for path in exported.folder.glob("*.csv")} - {"comparison.csv"}
    parts = {"train": "train", "dev": "validation", "test": "test"}
    assert names == {f"{part}_{target}.csv" for part in parts for target in ("cps", "duration")}
    for part, split in parts.items():
        table = pd.read_csv(exported.folder / f"{part}_cps.csv", dtype={"audio_id": str})
        assert table.columns.tolist() == [
            "audio_path", "text", "cps", "speaker_id", "chapter_id", "audio_id", "duration",
        ]  # fmt: skip
        rows = run.utterances[run.utterances["split"] == split]
        assert table["audio_id"].tolist() == rows["utterance_id"].tolist()
        letters = table["text"].map(lambda text: sum(map(str.isalnum, text)))
        np.testing.assert_allclose(table["cps"], letters / table["duration"], rtol=1e-12)
    duration = pd.read_csv(exported.folder / "dev_duration.csv")
    assert duration.columns.tolist().count("duration") == 1


def test_activations_equal_those_of_the_run_row_by_row(run, model):
    index = pd.read_csv(model / "activations" / "layers.csv")
    assert index["layer"].tolist() == LAYERS
    assert index["tap"].tolist() == [
        "stem", "layer1.0.relu1", "layer1.0.simam", "layer1.0.relu2", "embedding",
    ]  # fmt: skip
    rows = pd.read_csv(model / "activations" / "utterances.csv", dtype={"audio_id": str})
    for entry in index.itertuples():
        values = np.load(model / "activations" / entry.file, allow_pickle=False)
        ids, expected = run.activations("a b", entry.tap)
        assert rows["audio_id"].tolist() == ids
        np.testing.assert_array_equal(values, expected)
        assert values.shape == (N, entry.width)
    cps = run.utterances.set_index("utterance_id")["cps"]
    np.testing.assert_allclose(rows["cps"], cps[rows["audio_id"]], rtol=1e-15)


def test_layer_metrics_agree_with_the_layers_table(run, model):
    metrics = pd.read_csv(model / "layer_metrics.txt", sep="\t")
    expected = run.layers[run.layers["model"] == "a b"]
    assert len(metrics) == len(LAYERS) * 2 * 3
    assert metrics["layer"].unique().tolist() == LAYERS
    for column in ("mse", "mae", "r2", "mean_mse", "mean_mae"):
        np.testing.assert_allclose(metrics[column], expected[column], rtol=1e-12)


def test_cca_is_the_held_out_correlation_of_the_predictions(run, model):
    table = pd.read_csv(model / "cca" / "cca_test_cps.csv")
    assert table.columns.tolist() == ["layer", "cca_corr"]
    assert table["layer"].tolist() == LAYERS
    for layer, found in zip(("stem", "embedding"), table["cca_corr"].iloc[[0, -1]], strict=True):
        cell = run.predictions("a b", layer, probe="cca", target="cps")
        expected = np.corrcoef(cell["y_true"], cell["y_pred"])[0, 1]
        assert found == pytest.approx(expected, abs=1e-5)  # predictions are stored as float32
    assert (model / "cca" / "cca_test_duration.csv").exists()


def test_predictions_give_the_metrics(model):
    predictions = pd.read_csv(model / "predictions.csv", dtype={"audio_id": str})
    metrics = pd.read_csv(model / "metrics.txt", sep="\t")
    assert len(predictions) == N_TEST * 2 * (1 + 2 + 1)
    assert len(metrics) == 2 * 3
    assert all(Path(path).stem == name for path, name in predictions[["audio_path", "audio_id"]]
               .itertuples(index=False))  # fmt: skip
    for row in metrics.itertuples():
        cells = predictions[predictions["probe"] == row.probe]
        cells = cells[cells["target"] == row.target]
        errors = cells["pred"] - cells["true"]
        assert row.mse == pytest.approx((errors**2).mean(), rel=1e-4)
        assert row.mae == pytest.approx(errors.abs().mean(), rel=1e-4)
        assert row.n_test == N_TEST


def test_embeddings_are_loaded_without_pickles(run, model):
    ids, expected = run.activations("a b", "embedding")
    with np.load(model / "embeddings.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"ids", "parts", "paths", "embeddings", "labels", "labels_duration"}
        assert arrays["ids"].tolist() == ids
        np.testing.assert_array_equal(arrays["embeddings"], expected)
        rows = run.utterances.set_index("utterance_id").loc[ids]
        np.testing.assert_array_equal(arrays["labels"], rows["cps"])
        np.testing.assert_array_equal(arrays["labels_duration"], rows["duration"])
        assert arrays["paths"].tolist() == rows["audio_path"].tolist()


def test_parquet_has_the_same_embeddings_or_its_absence_is_reported(run, exported, model):
    if importlib.util.find_spec("pyarrow") is None:
        assert not (model / "embeddings.parquet").exists()
        assert any("pip install pyarrow" in note for note in exported.notes)
        return
    from pyarrow import parquet

    table = parquet.read_table(model / "embeddings.parquet").to_pydict()
    ids, expected = run.activations("a b", "embedding")
    assert table["id"] == ids
    np.testing.assert_array_equal(np.array(table["embedding"], dtype=np.float32), expected)
    assert set(table) == {"id", "part", "path", "label", "label_duration", "embedding"}


def test_every_figure_is_drawn_for_every_target(model):
    figures = {path.stem for path in model.glob("*.png")}
    kinds = ("layer_metrics", "cca_test", "tsne", "true_vs_predicted", "errors", "metrics")
    assert figures == {f"{kind}_{target}" for kind in kinds for target in ("cps", "duration")}
    text = (model / "layer_metrics_cps.svg").read_text()
    for label in ("MSE", "MAE", "held-out canonical correlation", "mean predictor", "ridge", "mlp"):
        assert label in text, label
    assert "R² " in (model / "true_vs_predicted_cps.svg").read_text()


def test_models_with_similar_names_have_separate_folders(exported):
    folders = {path.name for path in exported.folder.iterdir() if path.is_dir()}
    assert folders == {"a-b", "a-b-2"}


def test_the_comparison_table_is_exported_with_its_baselines(exported):
    models = set(pd.read_csv(exported.folder / "comparison.csv")["model"])
    assert models == {"a b", "a+b", "baseline:duration", "speaker mean", "mean predictor"}
    assert "mean predictor" in (exported.folder / "comparison.md").read_text()


def test_a_second_export_leaves_the_same_bytes(run, exported):
    files = [path for path in exported.folder.rglob("*") if path.suffix in (".csv", ".txt", ".npy")]
    before = {path: path.read_bytes() for path in files}
    shutil.rmtree(exported.folder / "a-b" / "cca")
    export_run(run, exported.folder, None)
    assert {path: path.read_bytes() for path in files} == before


# --- what cannot be exported


def test_missing_activations_are_reported_with_the_command_to_restore_them(
    run_folder, tmp_path, monkeypatch
):
    run = open_run(run_folder)
    run.provenance["cache"] = str(tmp_path / "gone")
    with pytest.raises(RunError, match=r"missing.*sweep run .*spec\.yaml --out .* --fresh"):
        export_run(run, tmp_path / "export", None)


def test_a_full_disk_is_reported_before_anything_is_written(run, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(activations_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(RunError, match=r"no room in .*--no-activations"):
        export_run(run, tmp_path / "export", None)
    assert not (tmp_path / "export").exists()


def test_the_command_writes_into_the_run_folder_and_can_omit_activations(run_folder):
    result = CliRunner().invoke(app, ["export", str(run_folder), "--no-activations"])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{run_folder / 'export'}\n"
    assert "synthetic speech" in result.stderr
    assert (run_folder / "export" / "a-b" / "metrics.txt").exists()
    assert not list(run_folder.glob("export/**/*.npy"))


def test_a_folder_that_is_not_a_run_exits_with_2(tmp_path):
    result = CliRunner().invoke(app, ["export", str(tmp_path)])
    assert result.exit_code == 2
    assert "is not a run" in result.stderr


# --- names


def test_split_names_follow_the_study_unless_they_are_taken():
    assert split_names(["train", "validation", "test"]) == {
        "train": "train", "validation": "dev", "test": "test",
    }  # fmt: skip
    assert split_names(["validation", "dev"]) == {"validation": "validation", "dev": "dev"}
    assert split_names(["a/b", "a b"]) == {"a b": "a-b", "a/b": "a-b-2"}


def test_file_names_differ_on_case_insensitive_file_systems():
    assert file_names(["x", "X", "x!"]) == {"x": "x", "X": "X-2", "x!": "x-3"}


def test_split_tables_keep_text_in_any_script(run, tmp_path):
    table = run.utterances.head(1).assign(text='он сказал, "да"\nи ушёл', split="train")
    [path] = write_split_tables(tmp_path, table, ["cps"])
    assert pd.read_csv(path)["text"].tolist() == ['он сказал, "да"\nи ушёл']


# --- ChromaDB


@pytest.mark.skipif(not WITHOUT_CHROMA, reason="ChromaDB is installed")
def test_missing_chromadb_is_reported_with_the_command_to_install_it(run_folder, tmp_path):
    arguments = ["export", str(run_folder), "--to", str(tmp_path / "e"), "--chroma", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "pip install chromadb" in result.stderr
    assert not (tmp_path / "e").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_embeddings_can_be_queried_in_chromadb(run, tmp_path):
    chromadb = pytest.importorskip("chromadb")
    for _ in range(2):  # the second replaces the first
        export_run(run, tmp_path / "export", tmp_path / "chroma", activations=False)
    client = chromadb.PersistentClient(
        path=str(tmp_path / "chroma"), settings=chromadb.Settings(anonymized_telemetry=False)
    )
    collection = client.get_collection("speech_speed_embeddings", embedding_function=None)
    found = read_embeddings(run, "a b")
    assert collection.count() == N
    answer = collection.query(query_embeddings=found.embeddings[7:8], n_results=1)
    assert answer["ids"] == [[f"a b/{found.ids[7]}"]]
    metadata = answer["metadatas"][0][0]
    for name, labels in (("label", "labels"), ("label_duration", "labels_duration")):
        # ChromaDB changes the last digit of some numbers.
        assert metadata.pop(name) == pytest.approx(found.labels[labels][7], rel=1e-15)
    assert metadata == {"path": str(found.paths[7]), "model": "a b", "part": str(found.splits[7])}
    other = client.get_collection("speech_speed_embeddings_8", embedding_function=None)
    assert other.count() == N


# --- the study's pickled embeddings


ENTRIES = [
    {"path": "/x/1.flac", "embedding": np.arange(4, dtype=np.float32), "label": 11.5},
    {"path": "/x/2.flac", "embedding": np.arange(4, 8, dtype=np.float32), "label": np.float64(9.0)},
]


def saved(path, entries):
    np.save(path, np.array(entries, dtype=object), allow_pickle=True)
    return path


def npy_of_pickle(path, data):
    """An ``.npy`` header for an object array, and any pickle after it."""
    buffer = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": (1,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    path.write_bytes(buffer.getvalue() + data)
    return path


def test_the_studys_embeddings_are_read(tmp_path):
    found = read_study_embeddings(saved(tmp_path / "e.npy", ENTRIES))
    assert found.paths == ("/x/1.flac", "/x/2.flac")
    np.testing.assert_array_equal(found.embeddings, np.arange(8).reshape(2, 4))
    assert found.embeddings.dtype == np.float32
    np.testing.assert_array_equal(found.labels, [11.5, 9.0])


@pytest.mark.parametrize(
    "embedding",
    [
        np.array([1.5, -2.0, 3.0]),
        np.array([1.5, -2.0, 3.0], dtype=">f4"),
        np.array([[1.5, -2.0, 3.0]], dtype=np.float16),
        [1.5, -2.0, 3.0],
        np.array([1.5, -2.0, 3.0], dtype=object),
    ],
    ids=["float64", "big-endian", "batch of one", "list", "objects"],
)
def test_embeddings_of_other_types_are_read(tmp_path, embedding):
    entry = {"path": "a", "embedding": embedding, "label": np.float32(2)}
    found = read_study_embeddings(saved(tmp_path / "e.npy", [entry]))
    np.testing.assert_array_equal(found.embeddings, [[1.5, -2.0, 3.0]])


@pytest.mark.parametrize("protocol", [3, 4])
def test_pickles_of_older_and_newer_numpy_are_read(tmp_path, protocol):
    array = np.array(ENTRIES, dtype=object)
    data = pickle.dumps(array, protocol=protocol)
    new, old = b"numpy._core.multiarray", b"numpy.core.multiarray"
    if protocol == 3:  # names are lines there, so that an older numpy's can be put in
        data = data.replace(new, old)
        assert old in data
    assert read_study_embeddings(npy_of_pickle(tmp_path / "e.npy", data)).labels[0] == 11.5


class Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        (os.system, "touch PROOF"),
        (eval, "open('PROOF', 'w').close()"),
        (exec, "open('PROOF', 'w').close()"),
        (np.fromfile, "/etc/hostname"),
        (getattr, "x", "upper"),
        (importlib.import_module, "antigravity"),
        (np.load, "PROOF"),
    ],
    ids=lambda call: call[0].__name__,
)
def test_a_malicious_pickle_is_rejected_without_running_it(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    entry = {"path": "a", "embedding": np.zeros(2, np.float32), "label": Malicious(*call)}
    path = saved(tmp_path / "e.npy", [entry])
    with pytest.raises(ValueError, match="which is refused"):
        read_study_embeddings(path)
    assert [file.name for file in tmp_path.iterdir()] == ["e.npy"]


@pytest.mark.parametrize("name", ["_reconstruct", "scalar"])
def test_a_pickle_cannot_modify_the_reader(tmp_path, name):
    """BUILD with a state of slots sets attributes, on classes too, where it is let."""
    get = f"cnumpy._core.multiarray\n{name}\n".encode()
    with pytest.raises(ValueError, match="is not a file of the study's embeddings"):
        read_study_embeddings(npy_of_pickle(tmp_path / "bad.npy", get + b"(N}Vvalue\nVx\nstb."))
    assert read_study_embeddings(saved(tmp_path / "e.npy", ENTRIES)).labels[0] == 11.5


def test_an_ordinary_unpickler_would_run_such_a_pickle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "e.npy", [Malicious(os.system, "touch PROOF")])
    np.load(path, allow_pickle=True)
    assert (tmp_path / "PROOF").exists()


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([{"path": "a", "label": 1.0}], "entry 0 has no embedding"),
        ([{"path": 3, "embedding": [1.0], "label": 1.0}], "is not text"),
        ([ENTRIES[0], {**ENTRIES[1], "embedding": np.zeros(5)}], "embeddings of the shapes"),
        ([{**ENTRIES[0], "label": {1, 2}}], "refused|a set"),
        ([{**ENTRIES[0], "path": Path("a")}], "pathlib"),
        ([{**ENTRIES[0], "embedding": np.zeros(2, "M8[s]")}], "values of the type"),
        (["a"], "not a list of dicts"),
    ],
)
def test_unexpected_contents_are_reported(tmp_path, entries, problem):
    with pytest.raises(ValueError, match=problem) as error:
        read_study_embeddings(saved(tmp_path / "e.npy", entries))
    assert "e.npy is not a file of the study's embeddings: expected" in str(error.value)


def test_damaged_files_and_other_arrays_are_reported(tmp_path):
    whole = saved(tmp_path / "e.npy", ENTRIES).read_bytes()
    for length in range(0, len(whole) - 1, 7):
        (tmp_path / "cut.npy").write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is not a file of the study's embeddings"):
            read_study_embeddings(tmp_path / "cut.npy")
    np.save(tmp_path / "plain.npy", np.zeros((2, 3)))
    with pytest.raises(ValueError, match="an array of float64"):
        read_study_embeddings(tmp_path / "plain.npy")
    with pytest.raises(FileNotFoundError):
        read_study_embeddings(tmp_path / "none.npy")


def test_random_bytes_raise_a_clear_error(tmp_path):
    rng = np.random.default_rng(0)
    good = pickle.dumps(np.array(ENTRIES, dtype=object), protocol=4)
    for _ in range(300):
        data = bytearray(good)
        for place in rng.integers(0, len(data), 3):
            data[place] = rng.integers(0, 256)
        try:
            read_study_embeddings(npy_of_pickle(tmp_path / "e.npy", bytes(data)))
        except ValueError as error:
            assert "is not a file of the study's embeddings" in str(error)


def test_classes_are_exported_by_name_and_with_their_scores(cache, tmp_path):
    spec = SPEC | {
        "targets": ["sex", "cps"],
        "models": SPEC["models"][:1],
        "layers": ["stem", "embedding"],
        "probes": [{"kind": "logistic"}, {"kind": "ridge"}],
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    options = RunOptions(where="inline", cache=cache, out=tmp_path / "run")
    with EventLog() as events:
        run_sweep(tmp_path / "spec.yaml", options, events)
    folder = export_run(open_run(tmp_path / "run"), tmp_path / "to", None).folder
    part = pd.read_csv(folder / "test_sex.csv")
    assert set(part["sex"]) == {"F", "M"}
    model = folder / "a-b"
    predictions = pd.read_csv(model / "predictions.csv")
    assert set(predictions[predictions["target"] == "sex"]["true"]) == {"F", "M"}
    scores = pd.read_csv(model / "layer_metrics.txt", sep="\t").set_index("target")
    assert scores.loc["sex", "accuracy"].notna().all() and scores.loc["sex", "mse"].isna().all()
    with np.load(model / "embeddings.npz", allow_pickle=False) as arrays:
        assert set(arrays["labels"]) == {"F", "M"}
        assert arrays["labels_cps"].dtype == np.float64
    names = {path.name for path in model.glob("*.png")}
    assert {"tsne_sex.png", "layer_metrics_sex.png", "true_vs_predicted_cps.png"} <= names
    assert not names & {"true_vs_predicted_sex.png", "errors_sex.png", "metrics_sex.png"}
