"""Reader of checkpoint folders in WeSpeaker's format: ``config.yaml`` and ``avg_model.pt``.

Folders are untrusted: the safe YAML loader and ``weights_only=True`` execute nothing in them.
"""

import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from jobs.audio.frames import FRAME_LENGTH, FRAME_SHIFT, SAMPLE_RATE
from jobs.audio.settings import Window
from jobs.models.errors import ModelError
from jobs.models.wespeaker.folders import CONFIG, WEIGHTS
from jobs.yaml_reader import PlainYamlError, read_yaml

_CLASSIFIER = "projection."
"""Prefix of the classifier, which only training needs."""


@dataclass(frozen=True)
class Description:
    """Contents of ``config.yaml``, before they are compared with a network."""

    architecture: str
    model_args: dict[str, object]
    mel_bins: object
    """Mel bins of the features that the network was trained on; None if not given."""
    window: Window | None
    """Window of these features; None if not given."""


def read_description(folder: Path) -> Description:
    """Read ``config.yaml`` of a folder that has both files.

    Raises:
        ModelError: a file is missing or malformed, or the network was trained on features other
            than those of `jobs.audio.features.Fbank`.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            found = "a folder without it" if folder.is_dir() else "no such folder"
            raise ModelError(
                f"no {folder / name}: found {found}; expected a WeSpeaker checkpoint folder "
                f"with {CONFIG} and {WEIGHTS}"
            )
    config = _read_config(folder / CONFIG)
    architecture, model_args = config.get("model"), config.get("model_args")
    if not isinstance(architecture, str) or not isinstance(model_args, dict):
        raise ModelError(
            f"{folder / CONFIG}: expected 'model' (a name) and 'model_args' (a mapping), "
            f"found {architecture!r} and {model_args!r}"
        )
    dataset_args = config.get("dataset_args")
    _check_front_end(dataset_args, folder / CONFIG)
    mel_bins = _look_up(dataset_args, ("fbank_args", "num_mel_bins"))
    window = _look_up(dataset_args, ("fbank_args", "window_type"))
    return Description(architecture, model_args, mel_bins, window)


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Load ``weights`` into ``network``, converted to its dtypes.

    Averaged and half-precision checkpoints have other dtypes than the network.

    Args:
        network: may be on the meta device; afterwards its state is on the CPU.
        weights: every key of the network's state dict with its shape, and no other key; the
            counters of batch normalisation, unused in evaluation mode, may be missing.
        source: path of the weights, for error messages.

    Raises:
        ModelError: a key is missing, unexpected, or of another shape.
    """
    expected = network.state_dict()
    counters = {
        key: torch.zeros(tensor.shape, dtype=tensor.dtype)
        for key, tensor in expected.items()
        if key.endswith(".num_batches_tracked")
    }
    weights = _without_prefix(weights, expected)
    weights = {key: value for key, value in weights.items() if not key.startswith(_CLASSIFIER)}
    weights = {**counters, **weights}
    problems = [
        f"{key}: expected {_shape(expected.get(key))}, found {_shape(weights.get(key))}"
        for key in [*expected, *(key for key in weights if key not in expected)]
        if key not in weights or key not in expected or weights[key].shape != expected[key].shape
    ]
    if problems:
        unexpected = [key for key in weights if key not in expected]
        others = f"; it also has {', '.join(unexpected[:3])}" if unexpected else ""
        raise ModelError(
            f"{source} does not fit the network of its {CONFIG} in {len(problems)} of "
            f"{len(expected)} tensors: {'; '.join(problems[:3])}{others}; check 'model' and "
            "'model_args'"
        )
    odd = [problem for key in expected if (problem := _unusable(key, weights[key], expected[key]))]
    if odd:
        raise ModelError(
            f"{source}: {'; '.join(odd[:3])}; expected dense floating-point weights, as "
            "torch.save(model.state_dict()) writes them"
        )
    converted = {key: weights[key].to(expected[key].dtype).contiguous() for key in expected}
    network.load_state_dict(converted, strict=True, assign=True)


def _without_prefix(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Remove the prefix that wrappers put before all names, such as ``module.`` of DataParallel and
    ``model.`` of Lightning, if that leaves the names that the network has."""
    first = next(iter(expected))
    ends = [key.removesuffix(first) for key in weights if key.endswith(f".{first}")]
    for prefix in ends if first not in weights else ():
        bare = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        if len(bare) == len(weights):
            return bare
    return dict(weights)


def _unusable(key: str, found: Tensor, expected: Tensor) -> str | None:
    """Say why a tensor cannot be a weight; None if it can."""
    if found.is_meta:
        return f"{key} has no data (meta)"
    if found.is_quantized or found.layout != torch.strided:
        return f"{key} is {'quantised' if found.is_quantized else 'sparse'}"
    if expected.is_floating_point() and not found.is_floating_point():
        return f"{key} has the type {str(found.dtype).removeprefix('torch.')}"
    return None


def _noun(value: object) -> str:
    if not isinstance(value, dict):
        return f"a {type(value).__name__}"
    keys = ", ".join(map(str, list(value)[:5]))
    return f"a mapping with the keys {keys}; save the network's own state dict alone"


def _shape(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else str(tuple(tensor.shape))


def _read_config(path: Path) -> dict[str, object]:
    try:
        _, config = read_yaml(path.read_text(encoding="utf-8"))
    except (PlainYamlError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not plain YAML: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path}: expected a mapping, found {type(config).__name__}")
    return config


_FRONT_END: dict[tuple[str, ...], object] = {
    ("frontend",): "fbank",
    ("resample_rate",): SAMPLE_RATE,
    ("cmvn",): True,
    ("cmvn_args", "norm_mean"): True,
    ("cmvn_args", "norm_var"): False,
    ("fbank_args", "frame_length"): 1000 * FRAME_LENGTH // SAMPLE_RATE,
    ("fbank_args", "frame_shift"): 1000 * FRAME_SHIFT // SAMPLE_RATE,
}
"""``dataset_args`` that change the features, with the values of `jobs.audio.features.Fbank`. Dither
and the others apply to training only: WeSpeaker extracts embeddings without them."""


def _check_front_end(dataset_args: object, path: Path) -> None:
    problems = []
    window = _look_up(dataset_args, ("fbank_args", "window_type"))
    if window is not None and window not in get_args(Window):
        names = " or ".join(get_args(Window))
        problems.append(f"fbank_args.window_type: expected {names}, found {window}")
    for keys, expected in _FRONT_END.items():
        found = _look_up(dataset_args, keys)
        if found is not None and found != expected:
            problems.append(f"{'.'.join(keys)}: expected {expected}, found {found}")
    if problems:
        raise ModelError(
            f"{path}: dataset_args specifies features that are not supported: "
            f"{'; '.join(problems)}; only mean-normalised fbank at 16 kHz is supported"
        )


def _look_up(value: Any, keys: tuple[str, ...]) -> Any:
    """Return the value under nested ``keys``; None if there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _check_crcs(path: Path) -> None:
    """Check the CRC-32 of every member of a torch.save file, which is a ZIP archive.

    torch.load does not, so a flipped bit would change a weight unnoticed. Files from PyTorch before
    1.6 are not ZIP archives and are not checked.

    Raises:
        ModelError: a member is damaged.
    """
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, LookupError, OSError,
            NotImplementedError, RuntimeError, OverflowError, struct.error) as error:  # fmt: skip
        raise ModelError(
            f"{path} is damaged or not a PyTorch file: {type(error).__name__}: {error}"
        ) from error
    if damaged is not None:
        raise ModelError(
            f"{path} is damaged: the CRC-32 of {damaged} in it is wrong; fetch or copy it again"
        )


def _name_forbidden(error: pickle.UnpicklingError) -> str:
    """Name the forbidden global in ``error``, leaving out torch's advice to allow it."""
    asked = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f" (it references {asked[1]})" if asked else ""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the state dict in ``avg_model.pt``.

    Raises:
        ModelError: the file is damaged, or contains objects other than tensors.
    """
    _check_crcs(path)
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} contains objects other than tensors, or is damaged, and was not loaded: "
            f"unpickling it could execute code{_name_forbidden(error)}; "
            "expected a plain state dict, as torch.save(model.state_dict()) writes it"
        ) from error
    except Exception as error:  # torch raises many types for files that it did not write
        raise ModelError(
            f"{path} is damaged or not a PyTorch file: {type(error).__name__}: {error}"
        ) from error
    if isinstance(weights, dict) and isinstance(weights.get("state_dict"), dict):
        # WeSpeaker's load_checkpoint unwraps this key as well.
        weights = weights["state_dict"]
    if not isinstance(weights, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in weights.items()
    ):
        raise ModelError(
            f"{path}: expected a state dict (names to tensors), found {_noun(weights)}"
        )
    return weights
