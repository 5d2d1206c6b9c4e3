"""Self-supervised and Whisper encoders from ``transformers``: loading, and their taps.

Layers are named after transformers' ``hidden_states``: ``layer.0`` is the input of the first
transformer layer, ``layer.i`` the output of the i-th. Networks that normalise after their last
layer also have ``final_norm``; in Whisper, this and not ``layer.N`` is the last hidden state.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from jobs.audio.frames import SAMPLE_RATE
from jobs.models.errors import ModelError
from jobs.models.model import ProbedModel
from jobs.models.taps import Tap, TapLevel
from jobs.models.transformers.encoders import LogMelEncoder, WaveformEncoder
from jobs.models.transformers.folders import CONFIG, PREPROCESSOR, find_pretrained
from jobs.models.transformers.pretrained import (
    quiet_transformers,
    read_config,
    read_extractor,
    read_network,
)
from jobs.models.transformers.settings import TransformersSettings
from jobs.models.waveform import Waveform, describe_waveform


@dataclass(frozen=True)
class ModelType:
    """One ``model_type`` of transformers."""

    network: str
    """Name of the class in ``transformers``."""
    load: Callable[[nn.Module, Any, Path], ProbedModel]
    """(network, configuration, folder) → the model to probe."""


def load_transformers(settings: TransformersSettings) -> ProbedModel:
    """Load the encoder with its taps.

    Raises:
        ModelError: the checkpoint is missing, damaged, incomplete, or of an unsupported type.
    """
    folder = find_pretrained(settings.checkpoint)
    with quiet_transformers() as transformers:
        config = read_config(folder)
        model_type = MODEL_TYPES.get(config.model_type)
        if model_type is None:
            raise ModelError(
                f"{folder / CONFIG}: expected a model_type of {', '.join(MODEL_TYPES)}, "
                f"found {config.model_type}; use kind: python for other networks"
            )
        network_class = getattr(transformers, model_type.network)
        with torch.random.fork_rng(devices=[]):
            # Seed the CPU's generator only: torch.manual_seed would reseed every GPU as well.
            torch.default_generator.manual_seed(settings.seed or 0)
            if settings.untrained:
                network = _build_untrained(network_class, config, folder)
            else:
                network = read_network(network_class, config, folder)
        return model_type.load(network, config, folder)


def _build_untrained(network_class: Any, config: Any, folder: Path) -> nn.Module:
    """Build a network with randomly initialised weights."""
    try:
        network: nn.Module = network_class(config)
    except Exception as error:  # the errors of network constructors have no common base
        raise ModelError(
            f"{folder / CONFIG} does not describe a valid network: {type(error).__name__}: {error}"
        ) from error
    return network


_IGNORED_KEYS = {"transformers_version", "_name_or_path", "architectures", "dtype"}
"""Configuration keys that do not affect the computed values: names, and the file's precision."""


def _args(config: Any, front_end: dict[str, object]) -> dict[str, object]:
    values = json.loads(config.to_json_string(use_diff=False))
    values = {key: value for key, value in values.items() if key not in _IGNORED_KEYS}
    return {"config": values, "front_end": front_end}


def _load_waveform_encoder(network: nn.Module, config: Any, folder: Path) -> ProbedModel:
    """Wrap wav2vec 2.0 or a relative: convolutions over the waveform, then transformer layers."""
    extractor = read_extractor("Wav2Vec2FeatureExtractor", folder)
    normalised = bool(extractor.do_normalize)
    encoder = WaveformEncoder(network)
    convolutions = tuple(zip(config.conv_kernel, config.conv_stride, strict=True))
    front_end = partial(Waveform, normalised=normalised, shortest=shortest_input(convolutions))
    # With a positional embedding of several layers, or with batch norm, the network's own mask is
    # not sufficient: in a batch, values beyond an utterance's end are not zero.
    exact = config.model_type != "data2vec-audio" and not getattr(
        config, "conv_pos_batch_norm", False
    )
    return ProbedModel(
        architecture=config.model_type,
        args=_args(config, {"do_normalize": normalised}),
        module=encoder.eval().requires_grad_(False),
        taps=_waveform_taps(config, convolutions),
        front_end=front_end,
        step=1,
        padding="lengths" if exact else "rules",
        input=describe_waveform(normalised),
    )


def _waveform_taps(config: Any, convolutions: tuple[tuple[int, int], ...]) -> tuple[Tap, ...]:
    frames = partial(convolved, convolutions)
    taps = [
        _tap(
            f"front.{i}",
            f"network.feature_extractor.conv_layers.{i}",
            partial(convolved, convolutions[: i + 1]),
            "input",
            time_axis=-1,
        )
        for i in range(len(convolutions))
    ]
    taps.append(_tap("projection", "network.feature_projection", frames, "input"))
    taps += _layer_taps("network.encoder.layers", config.num_hidden_layers, frames)
    if getattr(config, "do_stable_layer_norm", False):
        taps.append(_tap("final_norm", "network.encoder.layer_norm", frames, "embedding"))
    return tuple(taps)


def _load_whisper(network: nn.Module, config: Any, folder: Path) -> ProbedModel:
    """Wrap Whisper's encoder: log-mel padded with silence to 30 s; taps read the utterance only."""
    extractor = read_extractor("WhisperFeatureExtractor", folder)
    given = {
        "feature_size": config.num_mel_bins,
        "nb_max_frames": 2 * config.max_source_positions,
        "dither": 0.0,
    }
    for name, expected in given.items():
        if getattr(extractor, name) != expected:
            raise ModelError(
                f"{folder / PREPROCESSOR} does not match {CONFIG}: expected {name} "
                f"{expected}, found {getattr(extractor, name)}"
            )
    encoder = LogMelEncoder(
        network.get_submodule("encoder"),
        torch.from_numpy(extractor.mel_filters).float(),
        n_fft=extractor.n_fft,
        hop=extractor.hop_length,
        n_samples=extractor.n_samples,
    )
    mel_frames, frames = (
        partial(strided, extractor.hop_length),
        partial(strided, 2 * extractor.hop_length),
    )
    names = ("feature_size", "n_fft", "hop_length", "n_samples")
    return ProbedModel(
        architecture=config.model_type,
        args=_args(config, {name: getattr(extractor, name) for name in names}),
        module=encoder.eval().requires_grad_(False),
        taps=(
            # The second convolution's output, with positions added, is layer.0.
            Tap("front.0", "front.0", "network.conv2", "input", frames=mel_frames, level="input"),
            *_layer_taps("network.layers", config.encoder_layers, frames),
            _tap("final_norm", "network.layer_norm", frames, "embedding"),
        ),
        front_end=partial(Waveform, longest=extractor.n_samples),
        step=1,
        padding="lengths",
        input=(
            f"{config.num_mel_bins} log-mel bins as WhisperFeatureExtractor computes them, padded "
            f"with silence to {extractor.n_samples / SAMPLE_RATE:g} s, of which only the frames "
            "that begin within the utterance were pooled"
        ),
    )


def _layer_taps(path: str, n_layers: int, frames: Callable[[int], int]) -> list[Tap]:
    first = Tap("layer.0", "layer.0", f"{path}.0", "input", 1, frames, level="input")
    blocks = [
        _tap(f"layer.{i + 1}", f"{path}.{i}", frames, "block output") for i in range(n_layers)
    ]
    return [first, *blocks]


def _tap(
    name: str, module: str, frames: Callable[[int], int], level: TapLevel, time_axis: int = 1
) -> Tap:
    return Tap(name, name, module, "output", time_axis, frames, level)


def convolved(convolutions: tuple[tuple[int, int], ...], length: int) -> int:
    """Return the number of frames of ``length`` samples after unpadded (kernel, stride) layers."""
    for kernel, stride in convolutions:
        length = (length - kernel) // stride + 1
    return length


def shortest_input(convolutions: tuple[tuple[int, int], ...]) -> int:
    """Return the receptive field in samples: the shortest input with one output frame."""
    length = 1
    for kernel, stride in reversed(convolutions):
        length = (length - 1) * stride + kernel
    return length


def strided(stride: int, length: int) -> int:
    """Return the number of frames that begin within ``length`` samples, one every ``stride``."""
    return -(-length // stride)


MODEL_TYPES: dict[str, ModelType] = {
    "wav2vec2": ModelType("Wav2Vec2Model", _load_waveform_encoder),
    "hubert": ModelType("HubertModel", _load_waveform_encoder),
    "wavlm": ModelType("WavLMModel", _load_waveform_encoder),
    "data2vec-audio": ModelType("Data2VecAudioModel", _load_waveform_encoder),
    "unispeech": ModelType("UniSpeechModel", _load_waveform_encoder),
    "unispeech-sat": ModelType("UniSpeechSatModel", _load_waveform_encoder),
    "whisper": ModelType("WhisperModel", _load_whisper),
}
"""``model_type`` in ``config.json`` → class and loader."""
