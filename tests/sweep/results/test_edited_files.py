"""A result that somebody, or a disk, changed after it was written is found and never shown."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from jobs.storage.npz_files import load_npz
from sweep import load_probe, open_run
from sweep.errors import RunError
from tests.fuzz.state_files import remove_sums, rewrite_arrays
from tests.support.tiny_run import TinyRun, tiny_run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyRun]:
    with tiny_run(tmp_path_factory.mktemp("edited") / "home") as run:
        assert run.run().exit_code == 0
        run.save()
        yield run


@pytest.fixture
def run(home: TinyRun) -> TinyRun:
    home.restore()
    return home


def edit(path: Path, pattern: str, value: str) -> None:
    text = path.read_text()
    changed = re.sub(pattern, value, text, count=1)
    assert changed != text
    path.write_text(changed)


def predictions(run: TinyRun) -> Path:
    return sorted(run.folder.predictions.glob("b--0--*.npz"))[0]


def shift_predictions(run: TinyRun) -> None:
    path = predictions(run)
    arrays, _ = load_npz(path.read_bytes())
    with np.load(path) as file:
        found = dict(file)  # with their checksum
    name = next(name for name in arrays if name.startswith("y_pred/"))
    np.savez_compressed(path, **{**found, name: found[name] + 1})


EDITS: dict[str, tuple[Callable[[TinyRun], None], str]] = {
    "score": (
        lambda run: edit(run.folder.ledger, r'"r2":-?\d\.\d', '"r2":0.9'),
        "line 1: its checksum is wrong",
    ),
    "no number": (
        lambda run: edit(run.folder.ledger, r'"r2":[^,]+', '"r2":NaN'), "line 1: ",
    ),
    "speaker": (
        lambda run: edit(run.folder.utterances, '"test0"', '"test1"'), "utterances.csv",
    ),
    "resamples": (
        lambda run: edit(run.folder.spec, "resamples: 100", "resamples: 900"), "spec.yaml",
    ),
    "plan": (
        lambda run: edit(run.folder.plan, r'"n_folds": 1', '"n_folds": 2'), "plan.json",
    ),
    "predictions": (shift_predictions, "checksum is wrong"),
}  # fmt: skip


@pytest.mark.parametrize("what", EDITS)
def test_an_edited_file_is_named_and_the_tables_stay(run: TinyRun, what: str) -> None:
    change, said = EDITS[what]
    before = {path: path.read_bytes() for path in run.folder.tables.iterdir()}
    change(run)
    done = run.sweep("report", "run")
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert {path: path.read_bytes() for path in run.folder.tables.iterdir()} == before


@pytest.mark.parametrize("what", sorted(EDITS.keys() - {"predictions"}))
def test_the_next_run_repairs_an_edited_file(run: TinyRun, what: str) -> None:
    tables = run.tables()
    EDITS[what][0](run)
    assert run.run().exit_code == 0
    assert run.tables() == tables
    assert run.sweep("report", "run").exit_code == 0


def test_a_damaged_line_is_moved_beside_the_ledger_and_reported_once(run: TinyRun) -> None:
    n_lines = run.folder.ledger.read_bytes().count(b"\n")
    edit(run.folder.ledger, r'"r2":-?\d\.\d', '"r2":0.9')
    run.run()
    assert b'"r2":0.9' in (run.folder.root / "ledger.jsonl.damaged").read_bytes()
    assert run.folder.ledger.read_bytes().count(b"\n") == n_lines
    assert open_run("run").damaged == []


def test_fewer_records_do_not_make_shorter_tables(run: TinyRun) -> None:
    tables = run.tables()
    lines = run.folder.ledger.read_bytes().splitlines(keepends=True)
    run.folder.ledger.write_bytes(b"".join(lines[1:]))
    done = run.sweep("report", "run")
    assert done.exit_code == 2
    assert "rows, and would have" in done.output
    assert run.tables() == tables


def test_a_run_of_before_checksums_opens_and_says_so_once(
    run: TinyRun, caplog: pytest.LogCaptureFixture
) -> None:
    tables = run.tables()
    remove_sums(run)
    assert run.sweep("report", "run").exit_code == 0
    assert run.tables() == tables
    said = [one for one in caplog.messages if "before there were checksums" in one]
    assert len(said) == 1


@pytest.mark.parametrize("score", ["r2", "mse"])
def test_a_score_of_before_checksums_has_to_be_that_of_its_predictions(
    run: TinyRun, score: str
) -> None:
    remove_sums(run)
    edit(run.folder.ledger, rf'"{score}": [^,]+', f'"{score}": 0.125')
    done = run.sweep("report", "run")
    assert done.exit_code == 2
    assert f"ledger.jsonl has {score} 0.125" in done.output


def test_predictions_without_a_checksum_have_to_give_the_score(run: TinyRun) -> None:
    path = predictions(run)
    arrays, _ = load_npz(path.read_bytes())
    name = next(name for name in arrays if name.startswith("y_pred/"))
    rewrite_arrays(path, **{name: arrays[name] * 1.5})
    with pytest.raises(RunError, match="its predictions give"):
        _ = open_run("run").layers


def test_edited_probes_and_weights_are_not_used(run: TinyRun) -> None:
    card = sorted(run.folder.probes.glob("*.json"))[0]
    load_probe(card)
    weights = card.with_suffix(".safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="was changed after it was written"):
        load_probe(card)
    run.restore()
    edit(card, r'"n_train": \d+', '"n_train": 7')
    with pytest.raises(ValueError, match="its checksum is wrong"):
        load_probe(card)


def test_an_edited_measured_value_is_named(run: TinyRun) -> None:
    [path] = (run.cache / "measured").glob("*.jsonl")
    first = json.loads(path.read_text().splitlines()[0])
    edit(path, re.escape(json.dumps(first)), json.dumps([first[0], [first[1][0] + 1]]))
    done = run.sweep("plan", "spec.yaml", "--cache", "cache")
    assert done.exit_code == 1
    assert f"{path.name}:1 is damaged" in done.output
