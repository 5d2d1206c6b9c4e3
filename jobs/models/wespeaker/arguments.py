"""The ``model_args`` of WeSpeaker's architectures: names, types, bounds and defaults.

Names and defaults are read from the signature of the network's builder; types and bounds are in
`ARGUMENTS`. The bounds are far above every published network; they catch typing errors that would
exhaust the memory.
"""

import difflib
import inspect
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
)

from jobs.audio.frames import N_BINS
from jobs.models.errors import ArgumentError, ModelError
from jobs.models.wespeaker.architectures import find_group
from jobs.models.wespeaker.package import import_network_module
from jobs.optional_packages import MissingPackageError

Value = bool | int | float | str | list[int] | None
"""Value of an argument in a spec."""

_Base = Annotated[int, Field(ge=1, le=1_024)]
_Channels = Annotated[int, Field(ge=1, le=8_192)]
_Factor = Annotated[int, Field(ge=1, le=64)]
_Blocks = Annotated[
    list[Annotated[int, Field(ge=1, le=256)]], Field(min_length=4, max_length=4)
]  # fmt: skip
_Bins = Annotated[int, Field(ge=8, le=256)]

ARGUMENTS: Mapping[str, Any] = {
    # Input and output.
    "feat_dim": _Bins,  # mel bins; the front end computes this many
    "acoustic_dim": _Bins,  # the same in SimAM-ResNets
    "embed_dim": Annotated[int, Field(ge=1, le=65_536)],
    # Channels of the first layer (later ones have up to eight times as many), or of all.
    "in_planes": _Base,
    "m_channels": _Base,
    "C": _Base,
    "growth_rate": _Base,
    "init_channels": _Base,
    "baseWidth": _Base,
    "channels": _Channels,
    "hid_dim": _Channels,
    "stats_dim": _Channels,
    "out_channels": _Channels | None,
    "dims": Annotated[list[_Channels], Field(min_length=5, max_length=5)],
    "bn_size": _Factor,
    "expansion": _Factor,
    "scale": _Factor,
    "group_divisor": Annotated[int, Field(ge=1, le=1_024)] | None,
    # Blocks of each layer.
    "num_blocks": _Blocks,
    "depths": _Blocks,
    "block_1d_type": Literal["fc", "gru", "att", "conv+att"],
    "block_2d_type": Literal["convnext_like", "basic_resnet", "basic_resnet_fwse"],
    "config_str": Literal["batchnorm-relu", "batchnorm-prelu", "batchnorm_-relu", "batchnorm"],
    # Pooling over time, and the layers after it.
    "pooling_func": Literal["TAP", "TSDP", "TSTP", "ASTP", "MHASTP", "MQMHASTP", "XI"],
    "global_context_att": bool,
    "two_emb_layer": bool,
    "emb_bn": bool,
    # RepVGG: branches fused into one convolution; squeeze and excitation.
    "deploy": bool,
    "use_se": bool,
    "dropout": Annotated[float, Field(ge=0, lt=1)],  # only in training
}
"""Name → type. An argument that is not listed keeps WeSpeaker's default."""

_DEFAULTS: Mapping[str, object] = {"feat_dim": N_BINS, "embed_dim": 256}
"""Defaults where WeSpeaker has none: the values in most of its recipes."""


def network_builder(architecture: str) -> Any:
    """Return WeSpeaker's class or function that builds ``architecture`` from keyword arguments.

    Raises:
        ModelError: unknown architecture, or WeSpeaker is not installed.
    """
    group = find_group(architecture)
    try:
        return getattr(import_network_module(group.source), architecture)
    except MissingPackageError as error:
        raise ModelError(f"{architecture}: {error}") from None


def are_plausible(given: Mapping[str, object]) -> bool:
    """Return whether some architecture takes these arguments; unlike `network_args`, this does not
    import the networks, and torch."""
    for name, value in given.items():
        if name not in ARGUMENTS:
            return False
        try:
            TypeAdapter(ARGUMENTS[name], config=ConfigDict(strict=True)).validate_python(value)
        except ValidationError:
            return False
    return True


def network_args(architecture: str, given: Mapping[str, object]) -> dict[str, object]:
    """Validate ``given`` and fill in the defaults; return plain JSON values.

    Raises:
        ModelError: the architecture or an argument is unknown, an argument has the wrong type or
            range, or a required argument is missing.
    """
    arguments = _arguments(architecture)
    expected = ", ".join(arguments.model_fields)
    unknown = []
    for name in given:
        if not isinstance(name, str):
            unknown.append(f"model_args: expected names of arguments, found the key {name!r}")
        elif name not in arguments.model_fields:
            near = difflib.get_close_matches(name, arguments.model_fields, n=1, cutoff=0.0)
            unknown.append(f"model_args.{name}: unknown argument; nearest: {near[0]}")
    if unknown:
        problems = "; ".join(unknown)
        raise ArgumentError(f"{problems}; the arguments of {architecture} are {expected}")
    try:
        return arguments.model_validate(dict(given)).model_dump(mode="json")
    except ValidationError as error:
        problems = "; ".join(
            f"model_args.{'.'.join(map(str, problem['loc']))}: {problem['msg']}, "
            f"found {'nothing' if problem['type'] == 'missing' else repr(problem['input'])}"
            for problem in error.errors()
        )
        raise ArgumentError(
            f"{problems}; the arguments of {architecture} are {expected}"
        ) from error


def n_bins(args: Mapping[str, object]) -> int:
    """Return the number of mel bins in the input of a network with these arguments."""
    bins = args.get("feat_dim", args.get("acoustic_dim"))
    assert isinstance(bins, int)
    return bins


@cache
def _arguments(architecture: str) -> type[BaseModel]:
    """Create a model with one field per argument of the architecture."""
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(network_builder(architecture)).parameters.items():
        default = parameter.default
        if default is parameter.empty:
            default = _DEFAULTS.get(name, ...)
        if name in ARGUMENTS:
            fields[name] = (ARGUMENTS[name], default)
    config = ConfigDict(strict=True, extra="forbid", validate_default=True)
    return create_model(architecture, __config__=config, **fields)
