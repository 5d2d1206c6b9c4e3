"""State dicts as other programs save them, in a network of one layer."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from jobs.models.errors import ModelError
from jobs.models.wespeaker.arguments import network_args
from jobs.models.wespeaker.checkpoint import load_weights, read_weights

SOURCE = Path("avg_model.pt")


@pytest.fixture
def weights() -> dict[str, Tensor]:
    return {"weight": torch.arange(6.0).reshape(3, 2), "bias": torch.ones(3)}


def loaded(weights: dict[str, Tensor]) -> nn.Module:
    network = nn.Sequential(nn.Linear(2, 3))[0]
    network = nn.ModuleDict({"front": network})
    load_weights(network, weights, SOURCE)
    return network


def named(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}front.{key}": value for key, value in weights.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "model.module.", "speaker_net."])
def test_a_prefix_of_all_names_is_removed(weights: dict[str, Tensor], prefix: str) -> None:
    given = named(weights, prefix) | {f"{prefix}projection.weight": torch.zeros(7, 3)}
    state = loaded(given).state_dict()
    assert torch.equal(state["front.weight"], weights["weight"])


def test_what_stands_beside_the_prefix_is_named(weights: dict[str, Tensor]) -> None:
    given = named(weights, "module.") | {"other.weight": torch.zeros(1)}
    with pytest.raises(ModelError, match=r"it also has module\.front\.weight"):
        loaded(given)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.to_sparse(), "is sparse"),
        (lambda t: t.to("meta"), "has no data"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "is quantised"),
        (lambda t: t.to(torch.complex64), "has the type complex64"),
        (lambda t: t > 0, "has the type bool"),
        (lambda t: t.to(torch.int8), "has the type int8"),
    ],
)
def test_only_dense_floating_point_weights_are_taken(
    weights: dict[str, Tensor], change: Callable[[Tensor], Tensor], message: str
) -> None:
    given = named(weights, "")
    given["front.weight"] = change(given["front.weight"])
    with pytest.raises(ModelError, match=message):
        loaded(given)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_weights_are_converted(
    weights: dict[str, Tensor], dtype: torch.dtype
) -> None:
    given = {key: value.to(dtype) for key, value in named(weights, "").items()}
    assert loaded(given).state_dict()["front.weight"].dtype == torch.float32


def test_the_keys_of_a_training_state_are_named(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    torch.save({"model": weights, "epoch": 3}, tmp_path / "avg_model.pt")
    with pytest.raises(ModelError, match="a mapping with the keys model, epoch"):
        read_weights(tmp_path / "avg_model.pt")


@pytest.mark.parametrize("key", [1, None])
def test_names_of_arguments_are_text(key: object) -> None:
    with pytest.raises(ModelError, match="expected names of arguments"):
        network_args("SimAM_ResNet34_ASP", {key: 2})  # type: ignore[dict-item]
