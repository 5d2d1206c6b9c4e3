"""Checkpoints of transformers: whole ones are read, without network and code; others refused."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from jobs.models import load_model
from jobs.models.describe import weights_digest
from jobs.models.errors import ModelError
from jobs.models.transformers.folders import find_pretrained
from jobs.models.transformers.settings import TransformersSettings
from tests.support.tiny_transformers import save


@pytest.fixture
def hubert(tmp_path):
    """A checkpoint, to be damaged."""
    return save(tmp_path / "hubert", "hubert base")


def change(folder, file, **values):
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def load(folder):
    return load_model(TransformersSettings(name="x", checkpoint=folder))


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no .*config\.json"):
        load(tmp_path)


def test_another_sampling_rate_is_refused(hubert):
    change(hubert, "preprocessor_config.json", sampling_rate=8_000)
    with pytest.raises(ModelError, match="16000 Hz, found sampling_rate 8000"):
        load(hubert)


def test_a_missing_preprocessor_is_refused(hubert):
    (hubert / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"preprocessor_config\.json"):
        load(hubert)


@pytest.mark.parametrize("damage", ["missing", "cut off", "incomplete", "other shape"])
def test_weights_that_are_not_whole_are_refused(hubert, damage):
    path = hubert / "model.safetensors"
    if damage == "missing":
        path.unlink()
    elif damage == "cut off":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "incomplete":
        change(hubert, "config.json", num_hidden_layers=4)
    else:
        change(hubert, "config.json", intermediate_size=64)
    with pytest.raises(ModelError, match=r"weights in .*hubert (cannot be read|do not fit)"):
        load(hubert)


class Payload:
    def __reduce__(self):
        return Path.touch, (Path("touched"),)


def test_weights_that_would_run_code_are_refused(hubert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (hubert / "model.safetensors").unlink()
    torch.save({"weight": Payload()}, hubert / "pytorch_model.bin", pickle_module=pickle)
    with pytest.raises(ModelError, match="cannot be read"):
        load(hubert)
    assert not Path("touched").exists()


def test_code_in_a_checkpoint_is_not_run(hubert):
    (hubert / "evil.py").write_text("raise SystemExit('ran')")
    change(hubert, "config.json", auto_map={"AutoConfig": "evil.Config", "AutoModel": "evil.M"})
    assert load(hubert).architecture == "hubert"


def test_a_name_is_looked_up_in_the_cache_and_nowhere_else(hubert, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", pytest.fail)
    with pytest.raises(ModelError, match="fetch one with: hf download someone/tiny"):
        find_pretrained(Path("someone/tiny"))
    revision = "0" * 40
    entry = tmp_path / "models--someone--tiny"
    (entry / "refs").mkdir(parents=True)
    (entry / "refs/main").write_text(revision)
    (entry / "snapshots").mkdir()
    (entry / "snapshots" / revision).symlink_to(hubert)
    by_name = load(Path("someone/tiny"))
    assert weights_digest(by_name) == weights_digest(load(hubert))


@pytest.mark.parametrize("checkpoint", ["/no/such/folder", "no such folder"])
def test_a_missing_folder_is_not_taken_for_a_name(checkpoint):
    with pytest.raises(ModelError, match=r"no folder .*: expected a folder with config\.json"):
        find_pretrained(Path(checkpoint))
