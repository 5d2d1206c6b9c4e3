"""Build and load WeSpeaker's networks, trained or not.

The architectures and their taps are listed in `jobs.models.wespeaker.architectures`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from traceback import extract_tb
from types import MethodType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from jobs.audio.features import Fbank, describe_fbank
from jobs.audio.read import AudioError
from jobs.audio.settings import FeatureSettings, Window
from jobs.models.errors import ModelError
from jobs.models.model import FrontEnd, ProbedModel
from jobs.models.tap_patterns import taps_at
from jobs.models.wespeaker.architectures import find_group
from jobs.models.wespeaker.arguments import n_bins, network_args, network_builder
from jobs.models.wespeaker.checkpoint import load_weights, read_description, read_weights
from jobs.models.wespeaker.folders import CONFIG, WEIGHTS, find_checkpoint
from jobs.models.wespeaker.settings import WespeakerSettings


def load_wespeaker(settings: WespeakerSettings) -> ProbedModel:
    """Load a network with its taps.

    Raises:
        ModelError: the folder is not a checkpoint, its weights do not fit its ``config.yaml``, or
            no network can be built with the arguments.
    """
    if settings.checkpoint is None:
        assert settings.architecture is not None
        architecture = settings.architecture
        args = network_args(architecture, settings.model_args)
        declared: Window | None = None
        network = build_network(architecture, args, settings.seed or 0)
    else:
        folder = find_checkpoint(settings.checkpoint)
        architecture, args, declared = _read_architecture(folder)
        if settings.untrained:
            network = build_network(architecture, args, settings.seed or 0)
        else:
            network = _run_on_meta(architecture, args)
            load_weights(network, read_weights(folder / WEIGHTS), folder / WEIGHTS)
    network.eval().requires_grad_(False)
    for module in network.modules():
        if hasattr(module, "SimAM"):
            # On the instance, not the class; nn.Module keeps plain attributes in __dict__.
            module.__dict__["SimAM"] = MethodType(_simam, module)
    group = find_group(architecture)
    window = settings.window or declared or "hamming"
    guessed = settings.checkpoint is not None and not (settings.window or declared)
    return ProbedModel(
        architecture,
        args if window == "hamming" else {**args, "window": window},
        network,
        taps_at(network, group.patterns),
        _front_end(n_bins(args), group.min_frames, window),
        padding="rules",
        notes=(_WINDOW_IS_GUESSED,) if guessed and group.source in _OFTEN_POVEY else (),
        input=describe_fbank(n_bins(args), window),
    )


_OFTEN_POVEY = ("campplus", "eres2net")
_WINDOW_IS_GUESSED = (
    f"its {CONFIG} does not say with which window its features were made, and hamming is assumed; "
    "the CAM++ and ERes2Net of WeSpeaker's hub and of 3D-Speaker need window: povey. Give window: "
    "hamming if that is right"
)


def build_network(architecture: str, model_args: Mapping[str, object], seed: int) -> nn.Module:
    """Build WeSpeaker's network, unmodified and in training mode, with weights drawn from ``seed``.

    The weights depend only on the arguments, and no global random state changes.

    Args:
        architecture: one of `jobs.models.wespeaker.architectures.ARCHITECTURES`.
        model_args: see `network_args`.
        seed: seed of the weights.

    Raises:
        ModelError: unknown architecture, or arguments that do not make a network.
    """
    args = network_args(architecture, model_args)
    _run_on_meta(architecture, args)
    with torch.random.fork_rng(devices=[]):
        # Seed only the CPU's generator: torch.manual_seed would reseed every GPU as well.
        torch.default_generator.manual_seed(seed)
        network: nn.Module = network_builder(architecture)(**args)
    return network


_META_FRAMES = 64
"""More than the minimum of any architecture."""


def _run_on_meta(architecture: str, args: Mapping[str, object]) -> nn.Module:
    """Build the network on the meta device, in evaluation mode, and run it once.

    This takes no time or memory, and fails for arguments that do not fit together: strides that do
    not divide the mel bins, or a pooling that expects another layout.
    """
    try:
        with torch.device("meta"):
            network: nn.Module = network_builder(architecture)(**args).eval()
            with torch.inference_mode():
                network(torch.empty(1, _META_FRAMES, n_bins(args)))
    except Exception as error:  # whatever WeSpeaker's constructors and torch's operators raise
        raise ModelError(
            f"{architecture} cannot be built with model_args "
            f"{', '.join(f'{name}: {value}' for name, value in args.items())}: "
            f"{type(error).__name__}: {str(error) or extract_tb(error.__traceback__)[-1].line}"
        ) from error
    return network


def _read_architecture(folder: Path) -> tuple[str, dict[str, object], Window | None]:
    """Return a checkpoint's architecture, the arguments of its network, and the window of its
    features, if it is given."""
    description = read_description(folder)
    try:
        args = network_args(description.architecture, description.model_args)
    except ModelError as error:
        raise ModelError(f"{folder / CONFIG}: {error}") from error
    if description.mel_bins not in (None, n_bins(args)):
        raise ModelError(
            f"{folder / CONFIG}: dataset_args.fbank_args.num_mel_bins: expected {n_bins(args)} as "
            f"the network of its model_args takes, found {description.mel_bins}"
        )
    return description.architecture, args, description.window


def _front_end(bins: int, min_frames: int, window: Window) -> Callable[[FeatureSettings], FrontEnd]:
    """Return the mean-normalised fbank of ``bins`` bins, refusing shorter utterances."""

    def for_settings(settings: FeatureSettings) -> FrontEnd:
        fbank = Fbank(settings, bins, window)

        def features(wave: npt.NDArray[np.float32]) -> Tensor:
            features_TF = fbank(wave)
            if len(features_TF) < min_frames:
                raise AudioError(
                    f"too short for this model: expected at least {min_frames} frames, found "
                    f"{len(features_TF)}"
                )
            return features_TF

        return features

    return for_settings


def _simam(block: nn.Module, X: Tensor, lambda_p: float = 1e-4) -> Tensor:
    """Compute SimAM, the parameter-free attention (Yang et al., ICML 2021), as WeSpeaker does.

    With d = (x − x̄)², n = F·T − 1 and v = Σd / n over each channel's F × T values:
    x · sigmoid(d / (4 (v + λ)) + ½). The operations and their order are those of the method
    that it replaces, so the result is bit-identical, but it takes one buffer instead of seven.

    Args:
        block: unused; the method's ``self``.
        X: (B, C, F, T), not modified.
        lambda_p: λ.

    Returns:
        (B, C, F, T).
    """
    n = X.shape[2] * X.shape[3] - 1
    d = (X - X.mean(dim=[2, 3], keepdim=True)).pow_(2)
    v = d.sum(dim=[2, 3], keepdim=True) / n
    return d.div_(4 * (v + lambda_p)).add_(0.5).sigmoid_().mul_(X)
