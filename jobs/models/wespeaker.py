"""WeSpeaker's SimAM-ResNets with attentive statistics pooling: load one, and where to read it."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from types import MethodType
from typing import Literal

import torch
from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator
from torch import Tensor, nn

from jobs.catalogue import MODELS, MODELS_FOLDER
from jobs.features import Fbank
from jobs.models.model import ModelError, ProbedModel
from jobs.models.taps import Tap
from jobs.models.wespeaker_checkpoint import CONFIG, WEIGHTS, load_weights, read_checkpoint
from jobs.models.wespeaker_package import import_network_module
from jobs.settings import Settings

INCLUDED = Path(__file__).parent / "checkpoints"
"""Checkpoints that come with this package."""
ARCHITECTURES = ("SimAM_ResNet34_ASP", "SimAM_ResNet100_ASP")


class NetworkArgs(Settings):
    """The arguments of both architectures, with WeSpeaker's defaults."""

    model_config = ConfigDict(strict=True)

    in_planes: int = Field(default=64, ge=1, le=1_024)
    """Channels of the stem; layer 4 has eight times as many."""
    embed_dim: int = Field(default=256, ge=1, le=65_536)
    """Width of the embedding."""
    acoustic_dim: Literal[80] = 80
    """Mel bins of the input."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the embedding, in training only."""


class WespeakerSettings(Settings):
    """A trained network from a folder, or an untrained one of a given architecture."""

    name: str = Field(min_length=1)
    """What tables and plots call it."""
    kind: Literal["wespeaker"] = "wespeaker"
    checkpoint: Path | None = None
    """Folder with ``config.yaml`` and ``avg_model.pt``, or the name of one that comes along or that
    ``sweep fetch model`` has brought."""
    architecture: str | None = None
    """Of an untrained network: one of `ARCHITECTURES`."""
    model_args: dict[str, int | float] = Field(default_factory=dict)
    """Of an untrained network: see `NetworkArgs`."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Of an untrained network's weights; 0 if not given."""

    @field_validator("architecture")
    @classmethod
    def _known(cls, architecture: str | None) -> str | None:
        if architecture is not None:
            check_architecture(architecture)
        return architecture

    @field_validator("model_args")
    @classmethod
    def _valid(cls, model_args: dict[str, int | float]) -> dict[str, int | float]:
        network_args(model_args)
        return model_args

    @model_validator(mode="after")
    def _one_source(self) -> "WespeakerSettings":
        if (self.checkpoint is None) == (self.architecture is None):
            found = "neither" if self.checkpoint is None else "both"
            raise ValueError(f"expected either checkpoint or architecture, found {found}")
        if self.checkpoint is not None and (self.model_args or self.seed is not None):
            raise ValueError(
                "model_args and seed are for an untrained network; "
                "those of a checkpoint are in its config.yaml: remove them here"
            )
        return self


def load_wespeaker(settings: WespeakerSettings) -> ProbedModel:
    """The network, ready to be read at every tap.

    Raises:
        ModelError: the folder is not a checkpoint, or its weights do not fit its ``config.yaml``.
    """
    if settings.checkpoint is None:
        assert settings.architecture is not None
        architecture, args = settings.architecture, network_args(settings.model_args)
        network = build_network(architecture, args, seed=settings.seed or 0)
    else:
        folder = find_checkpoint(settings.checkpoint)
        checkpoint = read_checkpoint(folder)
        architecture = checkpoint.architecture
        try:
            check_architecture(architecture)
            args = network_args(checkpoint.model_args)
        except ModelError as error:
            raise ModelError(f"{folder / CONFIG}: {error}") from error
        with torch.device("meta"):
            network = _network_class(architecture)(**args.model_dump())
        load_weights(network, checkpoint.weights, folder / WEIGHTS)
    network.eval().requires_grad_(False)
    for module in network.modules():
        if hasattr(module, "SimAM"):
            # On the instance alone; nn.Module keeps what is no module or tensor in __dict__.
            module.__dict__["SimAM"] = MethodType(_simam, module)
    return ProbedModel(architecture, args.identity(), network, network_taps(network), Fbank)


def find_checkpoint(checkpoint: Path) -> Path:
    """The folder ``checkpoint``, or, where there is none, the included or fetched one of this name.

    Raises:
        ModelError: it is one that can be fetched, and has not been.
    """
    if checkpoint.is_dir() or checkpoint != Path(checkpoint.name):
        return checkpoint
    name = checkpoint.name
    for folder in (INCLUDED / name, MODELS_FOLDER / name):
        if folder.is_dir():
            return folder
    if name in MODELS:
        raise ModelError(
            f"the checkpoint {name} is not here: expected the folder {name} or "
            f"{MODELS_FOLDER / name}; fetch it with: sweep fetch model {name}"
        )
    return checkpoint


def build_network(architecture: str, args: NetworkArgs, seed: int) -> nn.Module:
    """WeSpeaker's own network, untouched, in training mode, with weights drawn from ``seed``.

    The weights depend on the arguments and on nothing else, and no global random state changes.

    Raises:
        ModelError: unknown architecture.
    """
    check_architecture(architecture)
    with torch.random.fork_rng(devices=[]):
        # The CPU's generator alone: torch.manual_seed would reseed every GPU as well.
        torch.default_generator.manual_seed(seed)
        return _network_class(architecture)(**args.model_dump())


def check_architecture(architecture: str) -> None:
    """Raise `ModelError`, with the nearest name, unless ``architecture`` can be loaded."""
    if architecture not in ARCHITECTURES:
        near = difflib.get_close_matches(architecture, ARCHITECTURES, n=1, cutoff=0.0)
        raise ModelError(
            f"unknown architecture {architecture!r}: expected one of {', '.join(ARCHITECTURES)}; "
            f"nearest: {near[0]}"
        )


def network_args(given: Mapping[str, object]) -> NetworkArgs:
    """``given`` with the defaults filled in.

    Raises:
        ModelError: an unknown argument, or one of the wrong type or range.
    """
    try:
        return NetworkArgs.model_validate(dict(given))
    except ValidationError as error:
        problems = "; ".join(
            f"model_args.{'.'.join(map(str, problem['loc']))}: {problem['msg']}, "
            f"found {problem['input']!r}"
            for problem in error.errors()
        )
        expected = ", ".join(NetworkArgs.model_fields)
        raise ModelError(f"{problems}; the arguments are {expected}") from error


def _network_class(architecture: str) -> type[nn.Module]:
    network: type[nn.Module] = getattr(import_network_module("samresnet"), architecture)
    return network


def network_taps(network: nn.Module) -> tuple[Tap, ...]:
    """Every tap of a SimAM-ResNet in depth order: the stem, three a block, pooling, embedding.

    The three of a block are the input of its second convolution (what its first ReLU made), the
    result of SimAM before the residual is added, and its output (its last ReLU).
    """
    taps = [Tap("stem", "first relu", "front.relu", "output")]
    for layer in ("layer1", "layer2", "layer3", "layer4"):
        blocks = network.get_submodule(f"front.{layer}")
        for block in range(len(list(blocks.children()))):
            name, path = f"{layer}.{block}", f"front.{layer}.{block}"
            taps += [
                Tap(f"{name}.relu1", f"{layer} relu {2 * block + 1}", f"{path}.conv2", "input"),
                Tap(f"{name}.simam", f"{layer} SimAM {block + 1}", path, "SimAM"),
                Tap(f"{name}.relu2", f"{layer} relu {2 * block + 2}", path, "output"),
            ]
    taps.append(Tap("pooling", "pooling", "pooling", "output"))
    taps.append(Tap("embedding", "embedding", "", "output"))
    return tuple(taps)


def _simam(block: nn.Module, X: Tensor, lambda_p: float = 1e-4) -> Tensor:
    """SimAM, the parameter-free attention (Yang et al., ICML 2021), as WeSpeaker computes it.

    With d = (x − x̄)², n = F·T − 1 and v = Σd / n over each channel's F × T values:
    x · sigmoid(d / (4 (v + λ)) + ½). The same operations in the same order as the method that it
    stands for, hence the same bits, but in one buffer instead of seven.

    Args:
        block: unused; the method's ``self``.
        X: (B, C, F, T), left as it is.
        lambda_p: λ.

    Returns:
        (B, C, F, T).
    """
    n = X.shape[2] * X.shape[3] - 1
    d = (X - X.mean(dim=[2, 3], keepdim=True)).pow_(2)
    v = d.sum(dim=[2, 3], keepdim=True) / n
    return d.div_(4 * (v + lambda_p)).add_(0.5).sigmoid_().mul_(X)
