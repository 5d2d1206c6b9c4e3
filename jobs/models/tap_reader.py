"""Read a network at its taps in one forward pass.

A value is pooled as soon as it is computed and never kept: later operations may change it in place
(a residual addition, an in-place ReLU), and all activations of one utterance together would take
hundreds of megabytes.

Legend: B utterances, T frames, D pooled width.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from jobs.models.taps import Tap


def first_tensor(name: str, value: Any) -> Tensor:
    """Return the value of tap ``name``: a tensor, or the first item of a tuple.

    Raises:
        TypeError: it is not a tensor.
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

    The hooks are installed once and never removed: a reader lives as long as its network.

    Args:
        module: the network, in evaluation mode.
        taps: taps in the order in which values are returned.
        pool: applied to a value, its time axis moved last, as soon as it is computed. Its result
            must not be a view of the value if the network may change that in place later.

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
        """Run one forward pass.

        Args:
            batch: the network's input, (B, T, ...).
            lengths: lengths of the rows of a padded batch, for a network that takes (B,) lengths as
                its second argument; None: the batch has no padding.

        Returns:
            The pooled value (B, D) of every tap, in order, without padding.

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

            # On the instance, not the class: other networks keep the original method.
            setattr(module, tap.point, recorded)

    def _record(self, tap: Tap, value: Any) -> None:
        if tap.name in self._values:
            raise RuntimeError(
                f"the forward pass reached tap {tap.name!r} twice: a tap is one point of the "
                "network; choose a module or method that runs once"
            )
        self._values[tap.name] = self._pooled(tap, first_tensor(tap.name, value))

    def _pooled(self, tap: Tap, value: Tensor) -> Tensor:
        """Pool a value without its padding, normally to (B, D)."""
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
