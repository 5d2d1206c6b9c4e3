"""Find the taps of any network: the modules that match globs, in the order in which they run."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from jobs.models.errors import ModelError
from jobs.models.model import FrontEnd, dummy_input
from jobs.models.python.settings import PythonSettings
from jobs.models.tap_reader import first_tensor
from jobs.models.taps import Tap, TapLevel, with_ends
from jobs.process import ran_out_of_memory
from jobs.user_code import described

NETWORK = "output"
"""Name of the layer that is the whole network's output."""
_DUMMY_FRAMES = (100, 200)
"""One and two seconds: enough for most networks to make a frame."""
_BATCH = 2


def find_taps(network: nn.Module, settings: PythonSettings, front_end: FrontEnd) -> tuple[Tap, ...]:
    """Return a tap for each chosen module, in the order in which they first finish."""
    modules = dict(network.named_modules())
    modules[NETWORK] = modules.get(NETWORK, modules.pop(""))
    chosen: dict[str, nn.Module] = {}
    for glob in settings.taps:
        found = {path: m for path, m in modules.items() if path_matches(path, glob)}
        if not found:
            near = difflib.get_close_matches(glob, modules, n=3, cutoff=0.0)
            raise ModelError(
                f"taps: {glob!r} matches none of {len(modules)} modules; nearest: {', '.join(near)}"
            )
        chosen |= found
    short, long = (
        _output_shapes(network, chosen, dummy_input(front_end, n)) for n in _DUMMY_FRAMES
    )
    paths = {id(module): path for path, module in network.named_modules()}
    return tuple(
        Tap(
            name=name,
            study_name=name,
            module=paths[id(chosen[name])],
            point="output",
            time_axis=_time_axis(name, short[name], long[name], settings.time_axis),
            level=level,
        )
        for name, level in zip(short, levels(list(short)), strict=True)
    )


def levels(names: Sequence[str]) -> list[TapLevel]:
    """Return the level of each tap, from the dotted paths of their modules in execution order.

    Numbered modules, such as ``blocks.0`` and ``blocks.1``, or ``layer1.0`` and ``layer2.0``, are
    blocks if they are not nested in another block and at least two of them have taps. If there are
    no blocks, all levels are ``unspecified``.
    """
    numbered = [name for name in names if name.rpartition(".")[2].isdecimal()]
    outermost = [name for name in numbered if not _is_inside(name, numbered)]
    alike = Counter(map(_without_digits, outermost))
    blocks = {name for name in outermost if alike[_without_digits(name)] > 1}
    if not blocks:
        return ["unspecified"] * len(names)
    found: list[TapLevel] = []
    for name in names:
        if name in blocks:
            found.append("block output")
        else:
            found.append("inside a block" if _is_inside(name, blocks) else "between blocks")
    return with_ends(found)


def _without_digits(name: str) -> str:
    return re.sub(r"\d", "", name)


def _is_inside(name: str, modules: Iterable[str]) -> bool:
    return any(name.startswith(f"{module}.") for module in modules)


def path_matches(path: str, glob: str) -> bool:
    """Return whether a dotted path matches: ``*`` within one name, ``**`` any number of names."""
    return _matches(path.split("."), glob.split("."))


def _matches(names: Sequence[str], globs: Sequence[str]) -> bool:
    if not globs:
        return not names
    if globs[0] == "**":
        return any(_matches(names[start:], globs[1:]) for start in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], globs[0]) and _matches(names[1:], globs[1:])


def _output_shapes(
    network: nn.Module, chosen: Mapping[str, nn.Module], input: Tensor
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the modules' outputs for a batch of `_BATCH`, in execution order."""
    shapes: dict[str, tuple[int, ...]] = {}

    def record(name: str, output: Any) -> None:
        if name in shapes:
            raise ModelError(
                f"the module {name!r} runs more than once in a forward pass: a layer is read at "
                "one point of the network; choose modules that run once"
            )
        shapes[name] = tuple(first_tensor(name, output).shape)

    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: record(name, output))
        for name, module in chosen.items()
    ]
    batch = torch.stack([input] * _BATCH)
    try:
        with torch.inference_mode():
            network(batch)
    except ModelError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's network does
        if ran_out_of_memory(error):
            raise  # not the network's fault
        raise ModelError(
            f"the network failed on an input of shape {tuple(batch.shape)}: {described(error)}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    missed = [name for name in chosen if name not in shapes]
    if missed:
        raise ModelError(
            f"the forward pass did not reach {len(missed)} of {len(chosen)} modules: "
            f"{', '.join(missed[:3])}; choose modules that it calls"
        )
    return shapes


def _time_axis(
    name: str, short: tuple[int, ...], long: tuple[int, ...], declared: int | None
) -> int:
    """Return the axis whose size depends on the input's length.

    Args:
        name: name of the layer.
        short: its output's shape for the shorter input, `_BATCH` utterances.
        long: its output's shape for the longer input.
        declared: the user's choice, for values of more than two axes.

    Raises:
        ModelError: there is no such axis, or more than one.
    """
    found = f"layer {name!r}: found outputs {short} and {long} for a short and a long input"
    n_axes = len(short)
    changed = [axis for axis in range(n_axes) if short[axis : axis + 1] != long[axis : axis + 1]]
    if n_axes == 2 and short == long and short[0] == _BATCH:
        return -1
    if n_axes <= 2 or n_axes != len(long):
        raise ModelError(
            f"{found}; expected one vector per utterance (B, D), or features over time"
        )
    if declared is not None:
        if not -n_axes <= declared < n_axes:
            raise ModelError(f"{found}; time_axis {declared} is not one of their axes")
        axis = declared % n_axes
    elif len(changed) != 1:
        raise ModelError(
            f"{found}; expected one axis that changes, found {len(changed)}; declare time_axis, or "
            "choose other modules"
        )
    else:
        axis = changed[0]
    if short[1 if axis == 0 else 0] != _BATCH:
        raise ModelError(
            f"{found}; expected the batch of {_BATCH} first among the axes that are not time "
            f"(axis {axis})"
        )
    return axis
