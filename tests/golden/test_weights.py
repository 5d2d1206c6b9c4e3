"""Models have the digests that they had when they were first computed: see `test_golden_ids`.

The weights are numbers written out here, since those that torch draws may change with its version,
and of a configuration of transformers, which has a new key in every version, nothing counts. What
is pinned is the rest: names of architectures, their arguments and defaults, and the name of every
tensor, in which stand the attributes of the classes here that wrap a network.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from jobs.models import AnyModelSettings, load_model
from jobs.models.describe import weights_digest
from jobs.models.model import ProbedModel
from tests.support.tiny_transformers import save

FACTORY = """\
from torch import nn


def network(width: int = 2) -> nn.Module:
    return nn.Sequential(nn.Linear(80, width), nn.ReLU(), nn.Linear(width, 1))
"""


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Imported once in a process, like any module, so that all tests share it."""
    path = tmp_path_factory.mktemp("factory") / "golden_factory.py"
    path.write_text(FACTORY)
    return path


def load(**settings: Any) -> ProbedModel:
    return load_model(TypeAdapter[Any](AnyModelSettings).validate_python({"name": "x", **settings}))


def digest(model: ProbedModel) -> str:
    """Of the model with weights that count up from 0, tensor by tensor."""
    with torch.no_grad():
        for tensor in model.module.state_dict().values():
            tensor.copy_(torch.arange(tensor.numel()).reshape(tensor.shape))
    return weights_digest(model)


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.tensor(7))
        self.weight = nn.Parameter(torch.tensor([[1.0, -2.0], [0.5, 0.0]]))


def test_a_network_written_out_by_hand() -> None:
    args: dict[str, object] = {"width": 2, "names": ["é", None], "rate": 0.1}
    model = ProbedModel("Tiny", args, Tiny(), (), lambda settings: torch.from_numpy)
    assert (
        weights_digest(model) == "2a498f36171dd349518030354a0baac56ce9dacf8bc757ef02462b27ccac372a"
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"kind": "baseline", "what": "duration"},
            "ccc3331e2c0e5e37f260661065e0b38e457216b29859b1abdcb18679fa1bd330",
        ),
        (
            {"kind": "baseline", "what": "fbank"},
            "a7849a6a73354853b8e906115a8ff9eba919db6abc7ad462488cce3287cd6dc5",
        ),
        (
            {
                "kind": "wespeaker",
                "architecture": "SimAM_ResNet34_ASP",
                "model_args": {"in_planes": 2, "embed_dim": 16},
            },
            "bfac35c8ca957ee4e14d911c6cdf9e9f3fe0658756da990de6abbe0d48eb9cc9",
        ),
        (
            {
                "kind": "wespeaker",
                "architecture": "ECAPA_TDNN_c512",
                "model_args": {"embed_dim": 16},
            },
            "283d59588398f714cff70990fc9bb8c1ae4bbd57586849382b3d53e105b6b6f7",
        ),
        (
            {"kind": "wespeaker", "checkpoint": "demo_samresnet34"},
            "f1d230c75782b3d2d0fbd479a7d5562c1dbd5f11856f24144075588af543724c",
        ),
    ],
)
def test_baselines_and_networks_of_wespeaker(settings: dict[str, Any], expected: str) -> None:
    assert digest(load(**settings)) == expected


def test_the_included_checkpoint_with_its_own_weights() -> None:
    assert (
        weights_digest(load(kind="wespeaker", checkpoint="demo_samresnet34"))
        == "05b867c472089f6bc8e1c6b89638a9b6c0ec07f43b6cfacacd2fdee4c34b3b16"
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"input": "fbank", "taps": ["*"]},
            "3a271ffd8cd3af8a04b05e49bee832448d95f340ac7ac0ef07be1511a24e1864",
        ),
        (
            {"input": "fbank", "taps": ["0", "output"], "args": {"width": 3}, "time_axis": 1},
            "7b6f738147febc94b1ae6255a093e92dc97f68dd205e1af4fdae9d9ed44be683",
        ),
        (
            {"input": "fbank", "taps": ["*"], "untrained": True, "seed": 5},
            "3a271ffd8cd3af8a04b05e49bee832448d95f340ac7ac0ef07be1511a24e1864",
        ),
    ],
)
def test_networks_of_a_function(settings: dict[str, Any], expected: str, factory: Path) -> None:
    model = load(
        kind="python", factory=f"{factory.stem}:network", folder=factory.parent, **settings
    )
    assert digest(model) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wav2vec2 base", "fad1d28191841bf01f9df1257b76c17dcaac71c704f539a4d9c3c78f4922e51f"),
        ("hubert large", "fc05a20dc2fe05922539e521fd528f9ff8c7606049614de012dd4ae2a140ca0b"),
        ("whisper", "c3c36fa7bb730d326a1dd0f1ad53f51edbd050c0e2cd88df70cc19c7854a6c4f"),
    ],
)
def test_networks_of_transformers(name: str, expected: str, tmp_path: Path) -> None:
    model = load(kind="transformers", checkpoint=save(tmp_path / "m", name))
    assert set(model.args) == {"config", "front_end"}
    assert digest(replace(model, args={**model.args, "config": {}})) == expected
