"""Damaged checkpoints, shards and predictions: each is as it was written, or refused by name."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from jobs.activations.manifest import CorruptShard
from jobs.activations.store import read_layer, write_shard
from jobs.models import describe_model
from jobs.models.errors import ModelError
from jobs.models.wespeaker.model import build_network
from jobs.models.wespeaker.settings import WespeakerSettings
from jobs.protocol.predictions import (
    CellPredictions,
    PredictionsError,
    read_predictions,
    write_predictions,
)
from tests.fuzz.files import damaged
from tests.fuzz.patience import patience

ARGS = {"in_planes": 2, "embed_dim": 16}
CONFIG = {"model": "SimAM_ResNet34_ASP", "model_args": ARGS}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    torch.save(
        build_network("SimAM_ResNet34_ASP", ARGS, seed=3).state_dict(), folder / "avg_model.pt"
    )
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


def try_files(
    path: Path,
    seeds: range,
    refusal: type[Exception],
    read: Callable[[], object],
) -> Counter[str]:
    """Damage ``path`` once a seed; what is read all the same must be what was written."""
    content, undamaged = path.read_bytes(), read()
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        path.write_bytes(damaged(content, random.Random(seed)))
        try:
            with patience(f"seed {seed}"):
                assert read() == undamaged, f"seed {seed}: something else was read"
        except AssertionError:
            raise
        except refusal as error:
            outcomes["refused"] += 1
            assert str(path.parent) in str(error), (seed, error)
        except Exception as error:
            raise AssertionError(f"seed {seed}: no {refusal.__name__}") from error
        else:
            outcomes["read"] += 1
    return outcomes


def weights_of(folder: Path) -> Callable[[], object]:
    settings = WespeakerSettings(name="m", checkpoint=folder, seed=None)
    return lambda: describe_model(settings, "mean")


def test_60_damaged_files_of_weights_are_refused(checkpoint: Path) -> None:
    outcomes = try_files(checkpoint / "avg_model.pt", range(60), ModelError, weights_of(checkpoint))
    assert outcomes["refused"] > 40


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 2000, 250))
def test_1000_damaged_files_of_weights_are_refused(checkpoint: Path, first: int) -> None:
    seeds = range(first, first + 250)
    path = checkpoint / "avg_model.pt"
    assert try_files(path, seeds, ModelError, weights_of(checkpoint)).total() == 250


def test_60_damaged_configurations_are_refused(checkpoint: Path) -> None:
    outcomes = try_files(checkpoint / "config.yaml", range(60), ModelError, weights_of(checkpoint))
    assert outcomes["refused"] > 40


def test_a_flipped_weight_is_refused_by_its_checksum(checkpoint: Path) -> None:
    path = checkpoint / "avg_model.pt"
    content = bytearray(path.read_bytes())
    weight = torch.load(path)["front.layer3.0.conv1.weight"].numpy().tobytes()
    content[content.index(weight) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"avg_model\.pt is damaged: the CRC-32 of .* is wrong"):
        weights_of(checkpoint)()


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
def test_300_damaged_shards_are_refused(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    layers = {"a": rng.normal(size=(8, 16)).astype(np.float32), "b": np.ones((8, 3), np.float32)}
    write_shard(tmp_path, 0, layers, [f"u{n}" for n in range(8)], [], {})

    def read() -> object:
        ids, values = read_layer(tmp_path, 1, "a")
        return ids, values.tobytes()

    outcomes = try_files(tmp_path / f"shard-00000.{suffix}", range(300), CorruptShard, read)
    assert outcomes["refused"] > 250


def test_300_damaged_files_of_predictions_are_refused(tmp_path: Path) -> None:
    ids = np.array(["a", "b", "c"])
    values = np.arange(3, dtype=np.float32)
    path = tmp_path / "p.npz"
    write_predictions(path, {"c1": CellPredictions(0, 1.5, ids, values, values + 1)})

    def read() -> object:
        cells = read_predictions(path)
        return [(k, c.fold, c.train_mean, *map(bytes, (c.utterance_id, c.y_true, c.y_pred)))
                for k, c in cells.items()]  # fmt: skip

    outcomes = try_files(path, range(300), PredictionsError, read)
    assert outcomes["refused"] > 200
