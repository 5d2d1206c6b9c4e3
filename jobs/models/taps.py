"""Reading a network at named places in one forward pass.

Where a layer is read is data (`Tap`); nothing here knows an architecture. A value is pooled at the
moment it is reached and never kept: what follows may change it in place (a residual addition, an
in-place ReLU), and all activations of one utterance together would be hundreds of megabytes.

Legend: B utterances, C channels, F frequency bins, T frames, D pooled width.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import Tensor, nn

Pooling = Literal["mean", "mean+std", "channels"]


@dataclass(frozen=True)
class Tap:
    """Where a layer is read."""

    name: str
    """Stable name, such as ``layer1.0.relu1``."""
    study_name: str
    """The reference study's name, such as ``layer1 relu 1``."""
    module: str
    """Dotted path of the module in the network; empty for the network itself."""
    point: str
    """``input``, ``output``, or the name of a method of the module whose result is the value; of a
    tuple, its first item."""
    time_axis: int | None = -1
    """The axis of time in the value, batch included: -1 in (B, C, F, T) and (B, C, T), 1 in
    (B, T, D); None: there is none. A value (B, D) has none, whatever this says."""
    frames: Callable[[int], int] | None = None
    """Length of the input's first axis → frames of the value that come from it, the first ones, the
    rest being padding; None: all of them. Needed where the network pads, or is given padding."""


@dataclass(frozen=True)
class TapShape:
    """What a tap yields, for one utterance."""

    index: int
    """Position in depth order, from 0."""
    name: str
    study_name: str
    shape: tuple[int | str, ...]
    """Before pooling, time written as ``T``, ``T/2``, ...: (64, 80, "T"), or (256,)."""
    width: int
    """After pooling."""


# Poolings are ordinary operations on the value, its last axis being time, so that a batch that
# carries its lengths (`jobs.models.padding`) is pooled over its own frames by the same code.


def mean_over_time(value: Tensor) -> Tensor:
    """(B, ..., T) to (B, D): the mean over T, the rest flattened. (B, D) is returned as it is."""
    return value if value.ndim == 2 else value.mean(dim=-1).flatten(1)


def mean_and_std_over_time(value: Tensor) -> Tensor:
    """(B, ..., T) to (B, 2·D): all means over T, then all SDs. (B, D) is returned as it is.

    The SD is the population's, √(Σ(x − x̄)² / T): an utterance of one frame has SD 0, where the
    sample's, with T − 1, has none.
    """
    if value.ndim == 2:
        return value
    mean = value.mean(dim=-1, keepdim=True)
    std = (value - mean).square_().mean(dim=-1).sqrt_()
    return torch.cat([mean.flatten(1), std.flatten(1)], dim=1)


def mean_over_time_and_bins(value: Tensor) -> Tensor:
    """(B, C, F, T) to (B, C): the mean over T and F. (B, C, T) to (B, C): the mean over T.

    (B, D) is returned as it is.
    """
    if value.ndim == 2:
        return value
    mean = value.mean(dim=-1)
    return mean if mean.ndim == 2 else mean.flatten(2).mean(dim=-1)


POOLINGS: Mapping[Pooling, Callable[[Tensor], Tensor]] = {
    "mean": mean_over_time,
    "mean+std": mean_and_std_over_time,
    "channels": mean_over_time_and_bins,
}


def first_tensor(name: str, value: Any) -> Tensor:
    """The value of tap ``name``: a tensor, or of a tuple the first item.

    Raises:
        TypeError: that is something else.
    """
    if isinstance(value, tuple | list) and value:
        value = value[0]
    if not isinstance(value, Tensor):
        raise TypeError(
            f"layer {name!r}: expected a tensor, or a tuple that begins with one, found "
            f"{type(value).__name__}; choose a module inside or around it that returns a tensor"
        )
    return value


class TapReader:
    """Reads every tap of a network in one forward pass.

    The hooks are installed once and stay: a reader lives as long as its network.

    Args:
        module: the network, in evaluation mode.
        taps: in the order in which the values are to be returned.
        pool: applied to a value, its time axis moved last, at the moment it is reached. What it
            returns must not be a view of what it is given, unless nothing changes that later.

    Raises:
        AttributeError: a tap names a module or a method that the network does not have.
    """

    def __init__(
        self, module: nn.Module, taps: Sequence[Tap], pool: Callable[[Tensor], Tensor]
    ) -> None:
        self._module = module
        self._taps = tuple(taps)
        self._pool = pool
        self._values: dict[str, Tensor] = {}
        self._lengths: Sequence[int] = ()
        self._padded = False
        for tap in self._taps:
            self._install(tap, module.get_submodule(tap.module))

    def read(self, batch: Tensor, lengths: Sequence[int] | None = None) -> dict[str, Tensor]:
        """One forward pass.

        Args:
            batch: the network's input, (B, T, ...).
            lengths: of a padded batch, how much of T is each row's own, for a network that takes
                (B,) lengths as its second argument; None: nothing in the batch is padding.

        Returns:
            For every tap, in order, its pooled value (B, D), padding left out.

        Raises:
            RuntimeError: the pass reached a tap twice, or not at all; or a batch is padded, and a
                tap does not say which of its frames are.
            TypeError: a value is not a tensor.
        """
        self._values = {}
        self._padded = lengths is not None
        self._lengths = [batch.shape[1]] * len(batch) if lengths is None else lengths
        with torch.inference_mode():
            if lengths is None:
                self._module(batch)
            else:
                self._module(batch, torch.as_tensor(lengths, device=batch.device))
        values, self._values = self._values, {}
        missed = [tap.name for tap in self._taps if tap.name not in values]
        if missed:
            raise RuntimeError(
                f"the forward pass did not reach {len(missed)} of {len(self._taps)} taps: "
                f"{', '.join(missed[:3])}; correct their module or point"
            )
        return {tap.name: values[tap.name] for tap in self._taps}

    def _install(self, tap: Tap, module: nn.Module) -> None:
        if tap.point == "input":
            module.register_forward_pre_hook(lambda _, args: self._record(tap, args[0]))
        elif tap.point == "output":
            module.register_forward_hook(lambda _, __, output: self._record(tap, output))
        else:
            method = getattr(module, tap.point)

            def recorded(*args: Any, **kwargs: Any) -> Any:
                value = method(*args, **kwargs)
                self._record(tap, value)
                return value

            # On the instance alone: other networks of the class keep the plain method.
            setattr(module, tap.point, recorded)

    def _record(self, tap: Tap, value: Any) -> None:
        if tap.name in self._values:
            raise RuntimeError(
                f"the forward pass reached tap {tap.name!r} twice: a tap is one point of the "
                "network; choose a module or method that runs once"
            )
        self._values[tap.name] = self._pooled(tap, first_tensor(tap.name, value))

    def _pooled(self, tap: Tap, value: Tensor) -> Tensor:
        """(B, D) of a value, or whatever else ``pool`` makes of it."""
        if value.ndim <= 2:
            return self._pool(value)
        if tap.time_axis is None:
            return self._pool(value.flatten(1))
        value = value.movedim(tap.time_axis, -1)
        if tap.frames is None:
            if self._padded:
                raise RuntimeError(
                    f"tap {tap.name!r} cannot tell its own frames from padding: read equal lengths"
                )
            return self._pool(value)
        counts = [tap.frames(length) for length in self._lengths]
        assert max(counts) <= value.shape[-1], f"{tap.name}: {max(counts)} of {value.shape[-1]}"
        if len(set(counts)) == 1:
            return self._pool(value[..., : counts[0]])
        rows = [value[row : row + 1, ..., :count] for row, count in enumerate(counts)]
        return torch.cat([self._pool(row) for row in rows])


def select_taps(
    patterns: Literal["all"] | Iterable[str | int], taps: Sequence[Tap] | Sequence[TapShape]
) -> list[str]:
    """The names of the taps that ``patterns`` choose, in depth order, each once.

    Args:
        patterns: ``all``, or globs (case matters) and positions (negative: from the end). A glob
            is compared with the stable names; with the study's names if it matches none of those.
        taps: in depth order.

    Raises:
        ValueError: a pattern matches nothing; the message has the nearest names.
    """
    if patterns == "all":
        return [tap.name for tap in taps]
    names = [tap.name for tap in taps]
    study_names = [tap.study_name for tap in taps]
    chosen: set[int] = set()
    for pattern in patterns:
        if isinstance(pattern, int):
            chosen.add(_at(pattern, len(taps)))
        else:
            chosen |= _matching(pattern, names, study_names)
    return [name for position, name in enumerate(names) if position in chosen]


def _at(position: int, n: int) -> int:
    if not -n <= position < n:
        raise ValueError(
            f"layer {position} does not exist: expected a position from {-n} to {n - 1}"
        )
    return position % n


def _matching(glob: str, names: Sequence[str], study_names: Sequence[str]) -> set[int]:
    for candidates in (names, study_names):
        found = {position for position, name in enumerate(candidates) if fnmatchcase(name, glob)}
        if found:
            return found
    near = difflib.get_close_matches(glob, [*names, *study_names], n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}" if near else f"the layers are {names[0]} to {names[-1]}"
    raise ValueError(f"layer pattern {glob!r} matches none of {len(names)} layers; {hint}")
