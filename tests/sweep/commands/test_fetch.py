"""`sweep fetch`: corpora and checkpoints from a real server on loopback."""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from jobs.corpus.librispeech import read_librispeech
from jobs.corpus.librispeech_settings import LibriSpeechSettings
from jobs.downloads import catalogue
from jobs.downloads.archives import ArchiveError
from jobs.downloads.catalogue import Archive
from jobs.downloads.connection import FetchError
from jobs.models.wespeaker.folders import INCLUDED
from jobs.models.wespeaker.model import load_wespeaker
from jobs.models.wespeaker.settings import WespeakerSettings
from sweep.commands import fetch_named as fetch
from sweep.commands.app import app
from sweep.commands.fetch_named import fetch_corpus, fetch_model
from tests.support.loopback import Server

WRONG_MD5 = "0" * 32


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


def tar_gz(entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def flac(seed):
    samples = np.random.default_rng(seed).integers(-3000, 3000, 8000).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def subset():
    """An archive in the shape of dev-clean.tar.gz."""
    entries = {
        "LibriSpeech/SPEAKERS.TXT": b"; ID |SEX\n84 | F\n",
        "LibriSpeech/LICENSE.TXT": b"CC\n",
    }
    for number in range(3):
        entries[f"LibriSpeech/dev-clean/84/1/84-1-000{number}.flac"] = flac(number)
    lines = "".join(f"84-1-000{number} A WORD\n" for number in range(3))
    return tar_gz(entries | {"LibriSpeech/dev-clean/84/1/84-1.trans.txt": lines.encode()})


def silent(action, done, total):
    pass


def dev_clean(server, body):
    server.files["/dev-clean.tar.gz"] = body
    md5 = hashlib.md5(body).hexdigest()
    return Archive("dev-clean", "dev-clean.tar.gz", base=server.url, size=len(body), md5=md5)


def visible(folder):
    return sorted(p.name for p in folder.iterdir() if p.name != ".fetch")


def test_a_subset_arrives_where_the_reader_finds_it(server, subset, tmp_path):
    folder = fetch_corpus(dev_clean(server, subset), tmp_path, None, silent)
    assert folder == tmp_path / "dev-clean"
    assert visible(tmp_path) == ["LICENSE.TXT", "SPEAKERS.TXT", "dev-clean"]
    settings = LibriSpeechSettings(root=tmp_path, splits={"test": "dev-clean"})
    corpus = read_librispeech(settings)
    assert len(corpus.utterances) == 3
    assert corpus.skipped == ()
    assert not list((tmp_path / ".fetch" / "dev-clean").iterdir())  # the archive is gone
    fetch_corpus(dev_clean(server, subset), tmp_path, None, silent)
    assert len(server.ranges) == 1


def test_a_cut_transfer_of_a_subset_is_counted_once(server, subset, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    server.behaviour = ["cut"]
    told = []
    fetch_corpus(dev_clean(server, subset), tmp_path, None, lambda *args: told.append(args))
    received = [done for action, done, _ in told if action.startswith("fetching")]
    assert received == sorted(received)
    assert received[-1] == server.sent == len(subset)
    assert [action for action, *_ in told][-1] == "unpacking dev-clean.tar.gz"


def test_an_archive_that_was_loaded_but_not_unpacked_is_used(server, subset, tmp_path):
    archive = dev_clean(server, subset)
    downloads = tmp_path / ".fetch" / "dev-clean"
    (downloads / "unpacking-killed").mkdir(parents=True)
    (downloads / "dev-clean.tar.gz").write_bytes(subset)
    fetch_corpus(archive, tmp_path, None, silent)
    assert server.ranges == []
    assert not list(downloads.iterdir())


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({"LibriSpeech/dev-clean/a": b"1", "../../../escaped": b"2"}, "leads out of its folder"),
        ({"LibriSpeech/test-clean/a": b"1"}, "found 0 folders CORPUS/dev-clean"),
    ],
)
def test_a_wrong_archive_leaves_nothing(server, tmp_path, entries, problem):
    to = tmp_path / "raw"
    with pytest.raises((ArchiveError, FetchError), match=problem):
        fetch_corpus(dev_clean(server, tar_gz(entries)), to, None, silent)
    assert visible(to) == []
    assert not list((to / ".fetch" / "dev-clean").iterdir())
    assert not list(tmp_path.rglob("escaped"))


def test_wrong_bytes_of_a_subset_leave_nothing(server, subset, tmp_path):
    archive = replace(dev_clean(server, subset), md5=WRONG_MD5)
    with pytest.raises(FetchError, match=f"expected MD5 {WRONG_MD5}"):
        fetch_corpus(archive, tmp_path, None, silent)
    assert visible(tmp_path) == []


def test_two_at_once_are_kept_apart(server, subset, tmp_path):
    archive = dev_clean(server, subset)
    with (
        fetch._exclusive(tmp_path, archive),
        pytest.raises(FetchError, match="by another process"),
    ):
        fetch_corpus(archive, tmp_path, None, silent)


@pytest.fixture(scope="module")
def checkpoint():
    """An archive in the shape of voxblink2_samresnet34.zip, with what macOS adds."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name in ("config.yaml", "avg_model.pt"):
            data = (INCLUDED / "demo_samresnet34" / name).read_bytes()
            packed.writestr(f"voxblink2_samresnet34/{name}", data)
            packed.writestr(f"__MACOSX/{name}", b"shadow")
            packed.writestr(f"__MACOSX/voxblink2_samresnet34/._{name}", b"shadow")
    return buffer.getvalue()


def hub_model(server, body, name="voxblink2_samresnet34"):
    """As on WeSpeaker's hub: a list with signed addresses."""
    server.files[f"/signed/{name}.zip"] = body
    entry = {"Key": f"{name}.zip", "Url": f"{server.url}/signed/{name}.zip?Expires=1&Signature=x"}
    listing = {"Code": 200, "Data": [{"Key": "other.onnx", "Url": "x"}, entry]}
    server.files["/tree"] = json.dumps(listing).encode()
    return Archive(name, f"{name}.zip", listing=f"{server.url}/tree")


def test_a_checkpoint_arrives_and_is_loaded_by_its_name(server, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = hub_model(server, checkpoint)
    folder = fetch_model(archive, catalogue.MODELS_FOLDER, None, silent)
    assert sorted(path.name for path in folder.iterdir()) == ["avg_model.pt", "config.yaml"]
    fetched = load_wespeaker(WespeakerSettings(name="vb", checkpoint="voxblink2_samresnet34"))
    original = load_wespeaker(WespeakerSettings(name="vb", checkpoint="demo_samresnet34"))
    for name, tensor in original.module.state_dict().items():
        assert torch.equal(fetched.module.state_dict()[name], tensor)


def test_the_record_of_a_checkpoint_is_what_sha256sum_reads(server, checkpoint, tmp_path):
    folder = fetch_model(hub_model(server, checkpoint), tmp_path, None, silent)
    record = tmp_path / "voxblink2_samresnet34.sha256"
    assert [line.split("  ")[1] for line in record.read_text().splitlines()] == [
        "voxblink2_samresnet34/config.yaml",
        "voxblink2_samresnet34/avg_model.pt",
    ]
    check = ["sha256sum", "--check", "--strict", record.name]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    digest = hashlib.sha256((folder / "config.yaml").read_bytes()).hexdigest()
    assert record.read_text().startswith(digest)


def test_a_checkpoint_that_changes_later_is_refused(server, checkpoint, tmp_path):
    archive = hub_model(server, checkpoint)
    folder = fetch_model(archive, tmp_path, None, silent)
    assert fetch_model(archive, tmp_path, None, silent) == folder
    config = folder / "config.yaml"
    config.write_text(config.read_text() + "\n# changed\n")
    with pytest.raises(FetchError, match="not what came first"):
        fetch_model(archive, tmp_path, None, silent)
    # The same when another comes from the server.
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as packed:
        packed.writestr("m/config.yaml", config.read_bytes())
        packed.writestr("m/avg_model.pt", b"another")
    shutil.rmtree(folder)
    with pytest.raises(FetchError, match=r"delete .*voxblink2_samresnet34\.sha256"):
        fetch_model(hub_model(server, changed.getvalue()), tmp_path, None, silent)
    assert not folder.exists()
    assert fetch_model(hub_model(server, checkpoint), tmp_path, None, silent) == folder


@pytest.mark.parametrize(
    ("listing", "problem"),
    [
        (b'{"Data": []}', "does not name voxblink2_samresnet34.zip"),
        (b"<html>moved</html>", "cannot read the list of addresses"),
        (b'{"Data": null}', "cannot read the list of addresses"),
        (None, "cannot read the list of addresses .*404"),
    ],
)
def test_a_list_that_does_not_help_is_said(server, checkpoint, tmp_path, listing, problem):
    archive = hub_model(server, checkpoint)
    server.files["/tree"] = listing
    with pytest.raises(FetchError, match=problem):
        fetch_model(archive, tmp_path, None, silent)


def test_an_archive_without_a_checkpoint_leaves_nothing(server, subset, tmp_path):
    with pytest.raises(FetchError, match=r"no WeSpeaker checkpoint: found 0 files config\.yaml"):
        fetch_model(hub_model(server, subset), tmp_path, None, silent)
    assert visible(tmp_path) == []


# --- the command line


def test_the_verbs_bring_from_a_mirror(server, subset, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        fetch, "CORPORA", {"dev-clean": replace(dev_clean(server, subset), base="http://x")}
    )
    server.files["/voxblink2_samresnet34.zip"] = checkpoint
    result = CliRunner().invoke(app, ["fetch", "corpus", "dev-clean", "--mirror", server.url + "/"])
    assert (result.exit_code, result.stdout) == (0, "data/raw/LibriSpeech/dev-clean\n")
    assert "fetching dev-clean.tar.gz: 100 %" in result.stderr
    result = CliRunner().invoke(
        app,
        ["fetch", "model", "voxblink2_samresnet34", "--to", "here"],
        env={"SWEEP_MIRROR": server.url},
    )
    assert (result.exit_code, result.stdout) == (0, "here/voxblink2_samresnet34\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["corpus", "dev-claen"], 2, "did you mean 'dev-clean'"),
        (["model", "voxblink2"], 2, "did you mean 'voxblink2_samresnet34'"),
        (["corpus", "dev-clean"], 1, "HTTP 404"),
    ],
)
def test_exit_codes(server, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["fetch", *arguments, "--mirror", server.url])
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""


def test_a_folder_that_cannot_be_written_is_said(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    arguments = ["fetch", "corpus", "dev-clean", "--to", str(tmp_path / "file")]
    result = CliRunner().invoke(app, [*arguments, "--mirror", server.url])
    assert result.exit_code == 1
    assert "cannot write to" in result.stderr


def test_control_c_ends_with_130_and_the_next_call_goes_on(server, checkpoint, tmp_path):
    server.files["/voxblink2_samresnet34.zip"] = checkpoint
    server.behaviour = ["hang"]
    arguments = ["fetch", "model", "voxblink2_samresnet34", "--to", str(tmp_path)]
    command = [sys.executable, "-m", "sweep", *arguments, "--mirror", server.url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        part = tmp_path / ".fetch/voxblink2_samresnet34/voxblink2_samresnet34.zip.part"
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size == len(checkpoint) // 2):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=600)
    assert process.returncode == 130
    assert CliRunner().invoke(app, ["fetch", *arguments[1:], "--mirror", server.url]).exit_code == 0
    assert server.ranges == [None, f"bytes={len(checkpoint) // 2}-"]
