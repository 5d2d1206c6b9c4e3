"""The folder of a run: files that are not a run's, and files that are being read, stay."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.tiny_run import TinyRun, tiny_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyRun]:
    with tiny_run(tmp_path_factory.mktemp("out") / "home") as run:
        assert run.run().exit_code == 0
        run.save()
        yield run


@pytest.fixture
def run(finished: TinyRun) -> TinyRun:
    finished.restore()
    return finished


@pytest.mark.parametrize("more", [(), ("--fresh",)])
def test_a_folder_with_other_files_is_refused_and_left_alone(
    run: TinyRun, more: tuple[str, ...]
) -> None:
    before = {path: path.read_bytes() for path in run.home.glob("*.*") if path.is_file()}
    (run.home / "predictions").mkdir(exist_ok=True)
    (run.home / "predictions" / "mine.txt").write_text("mine")
    done = run.sweep("run", "spec.yaml", "--inline", "--out", ".", "--cache", "cache", *more)
    assert done.exit_code == 2
    assert "neither empty nor a run" in done.output
    assert {path: path.read_bytes() for path in before} == before
    assert (run.home / "predictions" / "mine.txt").exists()


def test_a_run_whose_plan_is_damaged_is_still_a_run(run: TinyRun) -> None:
    run.folder.plan.write_text("{")
    assert run.run().exit_code == 0


def test_the_table_that_is_read_is_not_replaced(run: TinyRun) -> None:
    table = run.folder.utterances
    values = yaml.safe_load((run.home / "spec.yaml").read_text())
    values["corpus"]["path"] = "run/utterances.csv"
    (run.home / "other.yaml").write_text(yaml.safe_dump(values))
    before = table.read_bytes()
    done = run.sweep("run", "other.yaml", "--inline", "--out", "run", "--cache", "cache")
    assert done.exit_code == 2
    assert "is being read" in done.output
    assert table.read_bytes() == before


def test_the_spec_of_a_run_can_be_run_and_stays_as_it_is(run: TinyRun) -> None:
    before = run.folder.spec.read_bytes()
    arguments = ("run", "run/spec.yaml", "--inline", "--out", "run", "--cache", "cache")
    assert run.sweep(*arguments).exit_code == 0
    assert run.folder.spec.read_bytes() == before
    done = run.sweep(*arguments, "--set", "bootstrap.resamples=200")
    assert done.exit_code == 2
    assert run.folder.spec.read_bytes() == before


@pytest.mark.parametrize("name", ["events.jsonl", "ledger.jsonl", "driver.log", ".lock"])
def test_a_file_that_somebody_replaced_by_a_link_is_not_written_through(
    run: TinyRun, name: str
) -> None:
    (run.home / "theirs").write_text("theirs")
    (run.folder.root / name).unlink()
    (run.folder.root / name).symlink_to(run.home / "theirs")
    done = run.run()
    assert done.exit_code == 1
    assert "is a link" in done.output
    assert (run.home / "theirs").read_text() == "theirs"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to give files away")
def test_a_file_that_cannot_be_read_is_reported_without_a_traceback(
    run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuses(path: object, *arguments: int, **options: int) -> int:
        if str(path).endswith("ledger.jsonl"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)  # type: ignore[arg-type]

    os.chown(run.folder.ledger, 65534, 65534)
    monkeypatch.setattr(os, "open", refuses)
    done = run.sweep("report", "run")
    assert done.exit_code == 1
    assert "ledger.jsonl: Permission denied; it is not yours to read" in done.output


def test_status_of_a_place_without_a_run_copies_nothing(run: TinyRun) -> None:
    (run.home / "bucket").mkdir(exist_ok=True)
    (run.home / "bucket" / "private.bin").write_bytes(bytes(1000))
    done = run.sweep("status", f"file://{run.home}/bucket")
    assert done.exit_code == 2
    assert "is not a run" in done.output
    assert not (run.home / "results").exists()


def test_status_copies_only_what_it_reads(run: TinyRun) -> None:
    (run.folder.root / "private.bin").write_bytes(bytes(1000))
    assert run.sweep("status", f"file://{run.folder.root}").exit_code == 0
    [copy] = (run.home / "results" / ".remote").iterdir()
    names = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    assert names == {
        "spec.yaml", "plan.json", "ledger.jsonl", "events.jsonl", "provenance.json",
        str(Path("report") / "findings.txt"),
    }  # fmt: skip
