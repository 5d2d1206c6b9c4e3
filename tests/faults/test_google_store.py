"""A run on Google Cloud Storage: the parts of `test_object_store` that depend on the store."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.storage.location import RemotePath, parse_location
from jobs.storage.object_store import (
    create,
    download,
    exists,
    list_files,
    read_bytes,
    read_parts,
    read_uncached,
    remove,
    remove_folder,
    rename,
    stat,
    upload,
    whole_object,
    write_text,
)
from sweep.state.run_folder import run_folder
from tests.faults.sweeps import Sweep

pytest.importorskip("gcsfs")
pytest.importorskip("gcp_storage_emulator")

from tests.support.google_store import BUCKET, google_store

pytestmark = pytest.mark.usefixtures("no_plots")


@pytest.fixture
def bucket(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Iterator[RemotePath]:
    monkeypatch.setenv("SWEEP_NODE_CACHE", str(tmp_path / "near"))
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.ERROR, "gcp_storage_emulator")
    with google_store(monkeypatch):
        place = parse_location(f"gs://{BUCKET}/study")
        assert isinstance(place, RemotePath)
        yield place


def test_files_are_written_read_renamed_and_removed(bucket: RemotePath, tmp_path: Path) -> None:
    place = bucket / "deep" / "a.txt"
    assert not exists(place)
    write_text(place, "hëllo")
    before = stat(place)
    assert read_bytes(place) == "hëllo".encode()
    assert read_uncached(place, 1, 3) == "ë".encode()
    write_text(place, "hallo!")
    assert stat(place).version != before.version
    assert read_bytes(place) == b"hallo!"
    moved = rename(place, "b.txt")
    assert {name: one.n_bytes for name, one in list_files(bucket).items()} == {"deep/b.txt": 6}
    with pytest.raises(FileNotFoundError):
        read_bytes(place)
    remove(moved)
    remove(moved)
    assert list_files(bucket) == {}


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # gcsfs does so
def test_a_large_file_is_the_same_when_it_comes_back(bucket: RemotePath, tmp_path: Path) -> None:
    data = bytes(range(256)) * (24 * 2**12)  # 24 MiB: in several requests
    (tmp_path / "large").write_bytes(data)
    upload(tmp_path / "large", bucket / "large")
    download(bucket / "large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    assert read_parts([whole_object(bucket / "large")]) == [data]
    remove_folder(bucket)
    assert not exists(bucket / "large")


def test_of_several_that_create_an_object_one_succeeds(bucket: RemotePath) -> None:
    create(bucket / "lease", b"mine")
    with pytest.raises(FileExistsError):
        create(bucket / "lease", b"yours")
    assert read_bytes(bucket / "lease") == b"mine"


def test_a_run_gives_the_tables_of_a_local_one_and_a_second_finds_all_done(
    bucket: RemotePath, undisturbed: Sweep
) -> None:
    folder = run_folder(bucket / "runs" / "demo")
    sweep = Sweep(undisturbed.spec, undisturbed.cache, folder)
    corpora = Path("results/.cache/corpora")
    corpora.parent.mkdir(parents=True)
    corpora.symlink_to(undisturbed.cache / "corpora")
    places = {"out": bucket / "runs" / "demo", "cache": bucket / "cache"}
    result = sweep.here(**places)
    assert (result.status, result.failed) == ("done", 0)
    assert sweep.tables() == undisturbed.tables()
    assert not exists(bucket / "runs" / "demo" / ".lease")
    again = sweep.here(**places)
    assert (again.ran_shards, again.ran_cells) == (0, 0)
