"""A run as Python values, including damaged runs and folders that are not runs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from jobs.activations.manifest import CorruptShard
from jobs.corpus.table import CorpusError
from jobs.protocol.predictions import PredictionsError
from sweep import open_run
from sweep.errors import RunError
from sweep.plan.plan import layer_tasks
from sweep.results.metrics import metric_columns
from sweep.results.run import Run
from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.state.events import EventLog
from tests.support.no_figures import draw_nothing

SPEC: dict[str, Any] = {
    "name": "results",
    "corpus": {"kind": "espeak", "speakers": {"train": 4, "validation": 2, "test": 3},
               "utterances_per_speaker": 5},
    "targets": ["cps", "sex"],
    "models": [{"name": "a", "kind": "wespeaker", "architecture": "SimAM_ResNet34_ASP",
                "model_args": {"in_planes": 2, "embed_dim": 4}}],
    "layers": ["stem", "embedding"],
    "probes": [{"kind": "ridge"}, {"kind": "linear", "epochs": 2, "seeds": 2},
               {"kind": "logistic"}],
    "controls": ["shuffled"],
    "baselines": ["mean", "duration"],
    "bootstrap": {"resamples": 100},
}  # fmt: skip
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def finished(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that tests only read."""
    home = tmp_path_factory.mktemp("results")
    (home / "spec.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch, EventLog() as events:
        draw_nothing(patch)
        options = RunOptions(where="inline", cache=cache, out=home / "run")
        assert run_sweep(home / "spec.yaml", options, events).status == "done"
    return home / "run"


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def ledger(folder: Path) -> list[dict[str, Any]]:
    """The records, without the checksums of their lines."""
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "sum"} for line in lines]


def write_ledger(folder: Path, records: list[dict[str, Any]]) -> None:
    text = "".join(f"{json.dumps(record)}\n" for record in records)
    (folder / "ledger.jsonl").write_text(text)


def as_written(name: str, folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "tables" / f"{name}.csv")


def test_tables_equal_those_on_disk(finished: Path) -> None:
    run = open_run(finished)
    for name in ("metrics", "layers", "models", "differences"):
        found = getattr(run, name).map(lambda cell: np.nan if cell in (None, "") else cell)
        pd.testing.assert_frame_equal(
            found.astype(object), as_written(name, finished).astype(object),
            check_dtype=False, check_categorical=False, obj=name,
        )  # fmt: skip


def test_metrics_are_the_done_cells_of_the_ledger_in_the_order_of_the_plan(finished: Path) -> None:
    run = open_run(str(finished))
    planned = [cell.cell_id for task in layer_tasks(run.plan) for cell in task.cells]
    assert list(run.metrics["cell_id"]) == planned
    by_id = {record["cell_id"]: record for record in ledger(finished)}
    for row in run.metrics.to_dict("records"):
        record = by_id[row["cell_id"]]
        assert (row["model"], row["layer"], row["probe"]) == (
            record["model"], record["layer"], record["probe"],
        )  # fmt: skip
        for name, score in record["scores"].items():
            assert row[name] == score or (score is None and pd.isna(row[name])), name


def test_the_spec_includes_the_defaults_of_the_run(finished: Path) -> None:
    spec = open_run(finished).spec
    written = yaml.safe_load((finished / "spec.yaml").read_text())
    assert spec.model_dump(mode="json") == written
    assert (spec.pooling, spec.dtype, spec.bootstrap.resamples) == ("mean", "float32", 100)


@pytest.mark.parametrize("what", ["missing", "empty", "a file", "somebody else's"])
def test_a_folder_that_is_not_a_run_is_rejected(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "thing"
    if what == "a file":
        folder.write_text("text")
    elif what != "missing":
        folder.mkdir()
    if what == "somebody else's":
        (folder / "spec.yaml").write_text("name: other")
        (folder / "data.csv").write_text("a,b\n")
    with pytest.raises(RunError, match=r"thing is not a run: expected plan\.json in it; give the"):
        open_run(folder)


@pytest.mark.parametrize("url", ["ftp://host/run", "s3://user:word@bucket/run", "s3://bucket"])
def test_an_unsupported_url_is_rejected(url: str) -> None:
    with pytest.raises(RunError, match=r"expected (a path, s3|BUCKET/FOLDER|s3://BUCKET)"):
        open_run(url)


def spoil(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def add_key(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "of a later version": 1}))


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("plan.json", lambda path: spoil(path, b"")),
        ("plan.json", lambda path: spoil(path, path.read_bytes()[:-100])),
        ("plan.json", lambda path: spoil(path, b"[]")),
        ("plan.json", add_key),
        ("spec.yaml", lambda path: spoil(path, b"name: [")),
        ("spec.yaml", lambda path: spoil(path, b"name: other\n")),
        ("spec.yaml", lambda path: spoil(path, b"\xff\xfe\x00")),
        ("spec.yaml", lambda path: spoil(path, path.read_bytes() + b"of_a_later_version: 1\n")),
        ("spec.yaml", Path.unlink),
    ],
)
def test_an_unreadable_plan_or_spec_is_reported_with_its_remedy(
    file: str, change: Change, folder: Path
) -> None:
    change(folder / file)
    run = open_run(folder)
    with pytest.raises(RunError, match=rf"{file} cannot be read .*run its spec again") as raised:
        _ = run.plan if file == "plan.json" else run.spec
    assert "\n" not in str(raised.value)


def test_scores_and_predictions_are_readable_despite_a_damaged_spec(folder: Path) -> None:
    spoil(folder / "spec.yaml", b"{")
    run = open_run(folder)
    assert len(run.metrics) == run.plan.n_cells
    assert not run.predictions("a", "stem").empty


@pytest.mark.parametrize("change", [Path.unlink, lambda path: spoil(path, b"")])
def test_a_run_without_scores_has_tables_without_rows(change: Change, folder: Path) -> None:
    change(folder / "ledger.jsonl")
    run = open_run(folder)
    assert run.records == {}
    assert list(run.metrics.columns) == metric_columns()
    assert len(run.metrics) == len(run.layers) == 0
    with pytest.raises(RunError, match=r"no finished cell for model 'a'.*`\.metrics` lists"):
        run.predictions("a", "stem")


def test_failed_cells_and_cells_of_another_plan_are_in_no_table(folder: Path) -> None:
    failed, *others, foreign = ledger(folder)
    failed |= {"status": "failed", "error": "it went wrong", "scores": {}}
    foreign["cell_id"] = "0" * 16
    write_ledger(folder, [failed, *others, foreign])
    run = open_run(folder)
    assert [one.status for one in run.records.values()].count("failed") == 1
    assert set(run.metrics["cell_id"]) == {record["cell_id"] for record in others}
    point = run.curves.layers.query(
        f"model == '{failed['model']}' and layer == '{failed['layer']}' and "
        f"target == '{failed['target']}' and probe == '{failed['probe']}'"
    )
    assert point["missing"].tolist() == [1]


def test_the_last_of_several_records_of_a_cell_counts(folder: Path) -> None:
    records = ledger(folder)
    again = {**records[0], "seconds": 1234.5}
    write_ledger(folder, [*records, again])
    metrics = open_run(folder).metrics.set_index("cell_id")
    assert metrics.loc[again["cell_id"], "seconds"] == 1234.5
    assert len(metrics) == len(records)


def test_reopening_a_running_sweep_shows_its_new_cells(folder: Path) -> None:
    records = ledger(folder)
    write_ledger(folder, records[:1])
    before = open_run(folder)
    assert len(before.metrics) == 1
    write_ledger(folder, records)
    assert len(before.metrics) == 1
    assert len(open_run(folder).metrics) == len(records)


def test_predictions_are_selected_by_target_probe_and_control(finished: Path) -> None:
    run = open_run(finished)
    found = run.predictions("a", "embedding", target="cps", probe="linear")
    assert {tuple(row) for row in found[["target", "probe", "control", "seed"]].to_numpy()} == {
        ("cps", "linear", "none", 0), ("cps", "linear", "none", 1),
    }  # fmt: skip
    assert len(found) == 2 * 3 * 5
    table = run.utterances.set_index("utterance_id")
    np.testing.assert_allclose(found["y_true"], table.loc[found["utterance_id"], "cps"], rtol=1e-6)
    assert list(found["speaker_id"]) == list(table.loc[found["utterance_id"], "speaker_id"])
    shuffled = run.predictions("a", "embedding", target="cps", probe="ridge", control="shuffled")
    assert sorted(shuffled["y_true"]) == sorted(found.query("seed == 0")["y_true"])
    assert set(run.predictions("a", "stem")["probe"]) == {"ridge", "linear", "logistic"}


@pytest.mark.parametrize(
    "question",
    [
        {"model": "z"}, {"layer": "layer2"}, {"probe": "mlp"}, {"target": "f0_mean"},
        {"control": "speaker"},
    ],
)  # fmt: skip
def test_requesting_predictions_of_unknown_names_raises(
    question: dict[str, str], finished: Path
) -> None:
    asked = {"model": "a", "layer": "stem", **question}
    ((what, name),) = question.items()
    with pytest.raises(RunError, match=f"the run has no {what} {name!r}"):
        open_run(finished).predictions(**asked)


def test_requesting_absent_predictions_raises(finished: Path) -> None:
    with pytest.raises(RunError, match=r"no finished cell.*'ridge'.*'sex'"):
        open_run(finished).predictions("a", "stem", probe="ridge", target="sex")


def test_damaged_or_missing_predictions_do_not_affect_scores(folder: Path) -> None:
    run = open_run(folder)
    stem, embedding = (
        next((folder / "predictions").glob(f"a--{layer}--*.npz")) for layer in ("stem", "embedding")
    )
    spoil(stem, stem.read_bytes()[:500])
    embedding.unlink()
    with pytest.raises(PredictionsError, match="delete it and run again"):
        run.predictions("a", "stem")
    with pytest.raises(FileNotFoundError):
        run.predictions("a", "embedding")
    assert len(open_run(folder).metrics) == run.plan.n_cells


def test_activations_cover_all_splits_of_any_layer(finished: Path) -> None:
    run = open_run(finished)
    ids, values = run.activations("a", "embedding")
    assert values.shape == (9 * 5, 4) and values.dtype == np.float32
    by_part = run.utterances.set_index("utterance_id").loc[ids, "split"]
    assert list(dict.fromkeys(by_part)) == ["train", "validation", "test"]
    other_ids, other = run.activations("a", "layer1.0.relu1")
    assert other_ids == ids and len(other) == len(ids)
    seconds = run.activations("baseline:duration", "duration")
    expected = run.utterances.set_index("utterance_id").loc[seconds[0], "seconds"]
    np.testing.assert_allclose(seconds[1][:, 0], expected, rtol=1e-6)


def test_requesting_absent_activations_raises(folder: Path, tmp_path: Path) -> None:
    run = open_run(folder)
    with pytest.raises(RunError, match="no model 'z'; expected one of a, baseline:duration"):
        run.activations("z", "stem")
    with pytest.raises(KeyError, match="no layer 'nowhere' in the shard: found stem"):
        run.activations("a", "nowhere")
    provenance = json.loads((folder / "provenance.json").read_text())
    provenance["cache"] = str(tmp_path / "emptied")
    (folder / "provenance.json").write_text(json.dumps(provenance))
    with pytest.raises(CorruptShard, match=r"shard-00000.*is missing"):
        open_run(folder).activations("a", "stem")


def test_skipped_utterances_are_listed_with_reasons(folder: Path) -> None:
    assert open_run(folder).skipped == []
    (folder / "skipped.csv").write_text("utterance_id,path,reason\nu,/a.flac,empty file\n")
    [skipped] = open_run(folder).skipped
    assert (skipped.utterance_id, skipped.path, skipped.reason) == ("u", "/a.flac", "empty file")
    (folder / "skipped.csv").unlink()
    assert open_run(folder).skipped == []


def test_a_foreign_utterance_table_names_its_missing_columns(folder: Path) -> None:
    (folder / "utterances.csv").write_text("utterance_id,text\nu,A\n")
    with pytest.raises(CorpusError, match="missing are audio_path, speaker_id"):
        _ = open_run(folder).utterances


def test_tables_of_analyses_that_were_not_run_are_empty(finished: Path) -> None:
    run = Run.open(finished)
    assert run.table("similarity").empty and run.table("canonical").empty
    assert run.table("tempo").empty
    assert not run.differences.empty
