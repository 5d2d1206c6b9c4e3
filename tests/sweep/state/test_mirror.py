"""The copy of a run that lies on an object store; the store is in this process' memory."""

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.storage.location import RemotePath
from jobs.storage.object_store import exists, list_files, read_bytes, write_text
from sweep.commands.app import app
from sweep.errors import ClusterError, RunIsLocked
from sweep.state import lease, mirror, remote_lease
from sweep.state.lease import Holder
from sweep.state.local_lease import run_lock
from sweep.state.mirror import check_store, fetch, fetch_results, mirrored
from sweep.state.remote_lease import LEASE
from sweep.state.run_folder import RunFolder, run_folder


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RemotePath:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEP_NODE_CACHE", str(tmp_path / "near"))
    return RemotePath(f"memory://{uuid.uuid4().hex}/runs/demo")


@pytest.fixture
def folder(remote: RemotePath) -> RunFolder:
    folder = run_folder(remote)
    folder.root.mkdir(parents=True)
    return folder


@pytest.fixture
def others_lease(remote: RemotePath) -> Iterator[Holder]:
    holder = Holder(host="elsewhere", machine="another", pid=7)
    write_text(remote / LEASE, json.dumps(asdict(holder)))
    yield holder


def test_a_path_is_its_own_folder_and_two_urls_have_two_copies(remote: RemotePath) -> None:
    assert run_folder(Path("results/x")) == RunFolder(Path.cwd() / "results/x")
    one, other = run_folder(remote), run_folder(RemotePath("memory://elsewhere/runs/demo"))
    assert one.root != other.root
    assert one.root.parent == Path.cwd() / "results" / ".remote"
    assert one.root.name.startswith("demo-")


def test_jobs_use_the_store_and_the_driver_the_copy(folder: RunFolder, remote: RemotePath) -> None:
    assert folder.for_jobs(folder.utterances) == remote / "utterances.csv"
    assert folder.for_jobs(folder.root) == remote
    local = RunFolder(Path("x"))
    assert local.for_jobs(local.utterances) is not None
    assert local.for_jobs(local.utterances) == local.utterances


def test_what_the_driver_writes_is_there_when_the_block_ends_and_what_is_its_own_is_not(
    folder: RunFolder, remote: RemotePath
) -> None:
    with mirrored(folder, unlock=False) as push:
        folder.spec.write_text("name: x")
        push()
        assert read_bytes(remote / "spec.yaml") == b"name: x"
        assert exists(remote / LEASE)
        folder.tables.mkdir()
        (folder.tables / "metrics.csv").write_text("a")
        folder.lock.write_text("mine")
        folder.predictions.mkdir()
        (folder.predictions / "a.npz").write_text("came from there")
    assert set(list_files(remote)) == {"spec.yaml", "tables/metrics.csv"}


def test_what_did_not_change_is_not_uploaded_again(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(mirror, "upload", lambda path, place: sent.append(path.name))
    with mirrored(folder, unlock=False) as push:
        folder.spec.write_text("name: x")
        push()
        push()
        folder.spec.write_text("name: longer")
    assert sent == ["spec.yaml", "spec.yaml"]


def test_an_error_in_the_block_goes_on_after_the_last_upload(
    folder: RunFolder, remote: RemotePath
) -> None:
    with pytest.raises(RuntimeError, match="of the run"), mirrored(folder, unlock=False):
        folder.ledger.write_text("line\n")
        raise RuntimeError("of the run")
    assert read_bytes(remote / "ledger.jsonl") == b"line\n"
    assert not exists(remote / LEASE)


def test_the_store_is_ahead_of_an_old_copy(folder: RunFolder, remote: RemotePath) -> None:
    folder.ledger.write_text("old\n")
    write_text(remote / "ledger.jsonl", "new\n")
    write_text(remote / "predictions" / "a.npz", "x")
    with mirrored(folder, unlock=False):
        assert folder.ledger.read_text() == "new\n"
        assert (folder.predictions / "a.npz").read_text() == "x"


def test_results_of_jobs_are_brought_alone(folder: RunFolder, remote: RemotePath) -> None:
    write_text(remote / "predictions" / "a.npz", "x")
    write_text(remote / "ledger.jsonl", "not now\n")
    fetch_results(folder)
    assert (folder.predictions / "a.npz").read_text() == "x"
    assert not folder.ledger.exists()


def test_a_copy_that_is_driven_from_is_ahead_of_the_store(
    folder: RunFolder, remote: RemotePath
) -> None:
    write_text(remote / "ledger.jsonl", "behind\n")
    with run_lock(folder.lock, folder.stop_request):
        folder.ledger.write_text("ahead\n")
        fetch(folder)
        assert folder.ledger.read_text() == "ahead\n"
    fetch(folder)
    assert folder.ledger.read_text() == "behind\n"


def test_names_on_the_store_cannot_escape_from_the_folder(
    folder: RunFolder, remote: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("../out.txt", "a/../../out.txt", "/etc/out.txt", ".lock", "tables/x.csv")
    write_text(remote / "tables" / "x.csv", "x")
    found = list_files(remote)["tables/x.csv"]
    monkeypatch.setattr(mirror, "list_files", lambda place: dict.fromkeys(names, found))
    fetch(folder)
    written = [path for path in Path.cwd().rglob("*") if path.is_file()]
    assert written == [folder.tables / "x.csv"]


def test_another_driver_is_refused_and_the_run_left_alone(
    folder: RunFolder, remote: RemotePath, others_lease: Holder
) -> None:
    write_text(remote / "ledger.jsonl", "x\n")
    with (
        pytest.raises(RunIsLocked, match=r"held by process 7 on elsewhere .*--unlock"),
        mirrored(folder, unlock=False),
    ):
        pass
    assert not folder.ledger.exists()
    assert json.loads(read_bytes(remote / LEASE))["token"] == others_lease.token


def test_a_driver_that_was_told_to_takes_over(
    folder: RunFolder,
    remote: RemotePath,
    others_lease: Holder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote_lease, "STALE_SECONDS", 0.1)
    monkeypatch.setattr(remote_lease, "LOOK_SECONDS", 0.02)
    with mirrored(folder, unlock=True):
        assert json.loads(read_bytes(remote / LEASE))["pid"] == os.getpid()
    assert not exists(remote / LEASE)


def test_a_driver_whose_lease_was_taken_ends(
    folder: RunFolder, remote: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(lease.os, "_exit", ends)
    with pytest.raises(SystemExit) as ended, mirrored(folder, unlock=False):
        holder = Holder(host="elsewhere", machine="another", pid=7)
        write_text(remote / LEASE, json.dumps(asdict(holder)))
        folder.ledger.write_text("not to be uploaded\n")
    assert ended.value.code == 2
    assert not exists(remote / "ledger.jsonl")


def test_a_store_that_cannot_be_written_to_is_found_at_once(
    remote: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(remote / ".preflight-another" / "head", "of a run that begins")
    check_store(remote)
    assert set(list_files(remote)) == {".preflight-another/head"}

    def refuses(place: RemotePath, text: str) -> None:
        raise PermissionError(13, "Access Denied")

    monkeypatch.setattr(mirror, "write_text", refuses)
    with pytest.raises(ClusterError, match=r"cannot write to memory://.*Access Denied.*bucket"):
        check_store(remote)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "x.yaml", "--out", "ftp://a/b"], "expected a path, s3:// or gs://"),
        (["run", "x.yaml", "--cache", "s3://key:secret@a/b"], "credentials come from"),
        (["watch", "s3://a"], "names no folder"),
        (["run", "x.yaml", "--out", "file.txt"], "is a file"),
    ],
)
def test_a_place_on_the_command_line_that_cannot_be_used_is_said(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    Path("file.txt").touch()
    Path("x.yaml").touch()
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
    assert "secret" not in done.output
