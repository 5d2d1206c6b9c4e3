"""Any ``torch.nn.Module`` that a function of the user's makes.

Layers are named by their dotted module path, in the order in which they are first finished. Which
axis of a layer's output is time is found by running two lengths, unless it is declared.

The id of its activations covers the weights, the factory's name and arguments, and the text of the
file that defines the factory; not of other files that this one imports.
"""

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
from pydantic import Field, JsonValue, field_validator
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from jobs.audio.features import FRAME_SHIFT, Fbank, FeatureSettings
from jobs.identity import file_digest
from jobs.models.model import FrontEnd, ModelError, ProbedModel, dummy_input
from jobs.models.precision import Precision
from jobs.models.taps import Tap, first_tensor
from jobs.models.transformers.waveform import Waveform
from jobs.process import ran_out_of_memory
from jobs.settings import Settings

NETWORK = "output"
"""The name of the layer that is the whole network's own output."""
_DUMMY_FRAMES = (100, 200)
"""One and two seconds: more than most networks need for a frame."""
_BATCH = 2
_OWN_PACKAGES = ("jobs", "sweep")
_TAKEN = "the names jobs and sweep are taken by this project's own packages: rename yours"
_BY_AN_ARGUMENT = "let the function make an untrained network by an argument instead"


class PythonSettings(Settings):
    """A network that a Python function makes."""

    name: str = Field(min_length=1)
    """What tables and plots call it."""
    kind: Literal["python"] = "python"
    precision: Precision = "fp32"
    """Of its arithmetic; anything but fp32 is measured against it on the first batch."""
    factory: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """``package.module:function``; the function returns an ``nn.Module``."""
    args: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments of the function."""
    folder: Path = Path()
    """Searched for the module, after all installed packages; default: where the sweep is started.
    """
    input: Literal["fbank", "waveform"]
    """(B, T, 80) mean-normalised log-mel of 10 ms frames, or (B, N) samples at 16 kHz in [-1, 1).
    """
    taps: tuple[str, ...] = Field(min_length=1)
    """Globs over the paths of its modules; ``*`` stands for one name between dots or a part of it,
    ``**`` for any number of names; ``output`` is the network's own output."""
    time_axis: int | None = None
    """Of the layers' outputs, counted with the batch axis; None: found by running two lengths."""
    untrained: bool = False
    """All weights are drawn anew from ``seed`` after the function has returned."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of the weights that the function draws, and of an untrained network's."""

    @field_validator("factory")
    @classmethod
    def _is_not_in_this_project(cls, factory: str) -> str:
        if _is_own(factory.partition(":")[0]):
            raise ValueError(_TAKEN)
        return factory


def load_python(settings: PythonSettings) -> ProbedModel:
    """The network that the function makes, ready to be read at every tap.

    Raises:
        ModelError: the function cannot be imported, fails, or returns no module; a layer is not
            reached, runs twice, or its time axis cannot be found.
    """
    with _importable(settings.folder), torch.random.fork_rng(devices=[]):
        # The CPU's generator alone: torch.manual_seed would reseed every GPU as well.
        torch.default_generator.manual_seed(settings.seed)
        module = _import(settings)
        network = _made(module, settings).cpu().float().eval().requires_grad_(False)
        if settings.untrained:
            torch.default_generator.manual_seed(settings.seed)
            _draw_anew(network)
    front_end: Callable[[FeatureSettings], FrontEnd]
    front_end = Fbank if settings.input == "fbank" else Waveform
    taps = _find_taps(network, settings, front_end(FeatureSettings()))
    return ProbedModel(
        architecture=settings.factory,
        args={
            "args": settings.args,
            "source": file_digest(_source(module)),
            "input": settings.input,
            "taps": [[tap.name, tap.time_axis] for tap in taps],
        },
        module=network,
        taps=taps,
        front_end=front_end,
        step=FRAME_SHIFT if settings.input == "fbank" else 1,
        masked="convolution",
    )


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """With ``folder`` at the end of the path that modules are searched on."""
    entry = str(folder.absolute())
    sys.path.append(entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


def _import(settings: PythonSettings) -> ModuleType:
    name, _, _ = settings.factory.partition(":")
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever the user's module does
        remedy = f"expected an installed module, or one in {settings.folder.absolute()} (folder)"
        if isinstance(error, ImportError) and _is_own(error.name or ""):
            remedy = _TAKEN
        raise ModelError(
            f"{name} cannot be imported: {type(error).__name__}: {error}; {remedy}"
        ) from error


def _is_own(module: str) -> bool:
    """Whether a dotted name belongs to this project, and so cannot be a module of the user's."""
    return module.partition(".")[0] in _OWN_PACKAGES


def _source(module: ModuleType) -> Path:
    file = inspect.getsourcefile(module)
    if file is None:
        raise ModelError(f"{module.__name__}: expected a module with its source, found none")
    return Path(file)


def _made(module: ModuleType, settings: PythonSettings) -> nn.Module:
    _, _, name = settings.factory.partition(":")
    factory = getattr(module, name, None)
    if not callable(factory):
        near = difflib.get_close_matches(name, dir(module), n=1, cutoff=0.0)
        raise ModelError(f"{module.__file__} has no function {name!r}; nearest: {', '.join(near)}")
    try:
        network = factory(**settings.args)
    except Exception as error:  # whatever the user's function does
        given = ", ".join(f"{key}={value!r}" for key, value in settings.args.items())
        raise ModelError(f"{name}({given}) failed: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise ModelError(
            f"{settings.factory}: expected it to return a torch.nn.Module, "
            f"found {type(network).__name__}"
        )
    return network


def _draw_anew(network: nn.Module) -> None:
    """Draw every parameter as its module's own ``reset_parameters`` does, and forget statistics.

    Raises:
        ModelError: a module with parameters has no such method, derives them from others, or its
            method leaves some of them as they were.
    """
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(torch.nan)  # what a method does not draw is found by it
    # Children first: what a module then does to its children's parameters is what it means.
    for path, module in reversed(list(network.named_modules())):
        forget = getattr(module, "reset_running_stats", None)
        if forget is not None:
            forget()
        reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
        parametrized = isinstance(module, ParametrizationList) or is_parametrized(module)
        if next(module.parameters(recurse=False), None) is None and not parametrized:
            continue
        if reset is None or parametrized:
            raise ModelError(
                f"untrained: the module {path!r} ({type(module).__name__}) cannot draw its "
                f"parameters anew: expected a method reset_parameters; {_BY_AN_ARGUMENT}"
            )
        reset()
    kept = [name for name, parameter in network.named_parameters() if parameter.isnan().any()]
    if kept:
        raise ModelError(
            f"untrained: {len(kept)} parameters are not drawn anew by their modules' "
            f"reset_parameters ({', '.join(kept[:3])}); {_BY_AN_ARGUMENT}"
        )


def _find_taps(
    network: nn.Module, settings: PythonSettings, front_end: FrontEnd
) -> tuple[Tap, ...]:
    """The chosen modules in the order in which they are first finished, each with its time axis."""
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
        )
        for name in short
    )


def path_matches(path: str, glob: str) -> bool:
    """Whether a dotted path fits a glob: ``*`` within one name, ``**`` for any number of names."""
    return _fits(path.split("."), glob.split("."))


def _fits(names: Sequence[str], globs: Sequence[str]) -> bool:
    if not globs:
        return not names
    if globs[0] == "**":
        return any(_fits(names[start:], globs[1:]) for start in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], globs[0]) and _fits(names[1:], globs[1:])


def _output_shapes(
    network: nn.Module, chosen: Mapping[str, nn.Module], one: Tensor
) -> dict[str, tuple[int, ...]]:
    """Shapes of the chosen modules' outputs for a batch of `_BATCH`, in the order of the run."""
    shapes: dict[str, tuple[int, ...]] = {}

    def record(name: str, output: Any) -> None:
        if name in shapes:
            raise ModelError(
                f"the module {name!r} runs more than once in a forward pass: a layer is one point "
                "of the network; choose modules that run once"
            )
        shapes[name] = tuple(first_tensor(name, output).shape)

    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: record(name, output))
        for name, module in chosen.items()
    ]
    batch = torch.stack([one] * _BATCH)
    try:
        with torch.inference_mode():
            network(batch)
    except ModelError:
        raise
    except Exception as error:  # whatever the user's network does
        if ran_out_of_memory(error):
            raise  # which says nothing of the network
        raise ModelError(
            f"the network failed on an input of shape {tuple(batch.shape)}: "
            f"{type(error).__name__}: {error}"
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
    """The axis whose size follows the input's length.

    Args:
        name: of the layer.
        short: its output's shape for the shorter input, `_BATCH` utterances.
        long: the same for the longer one.
        declared: by the user, for values of more than two axes.
    """
    found = f"layer {name!r}: found outputs {short} and {long} for a short and a long input"
    n_axes = len(short)
    changed = [axis for axis in range(n_axes) if short[axis : axis + 1] != long[axis : axis + 1]]
    if n_axes == 2 and short == long and short[0] == _BATCH:
        return -1
    if n_axes <= 2 or n_axes != len(long):
        raise ModelError(f"{found}; expected a vector an utterance (B, D), or features over time")
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
