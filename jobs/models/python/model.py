"""Load a network by calling the user's function."""

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from jobs.audio.features import Fbank, describe_fbank
from jobs.audio.frames import FRAME_SHIFT
from jobs.audio.settings import FeatureSettings
from jobs.identity import file_digest
from jobs.models.errors import ModelError
from jobs.models.model import FrontEnd, ProbedModel
from jobs.models.python.find_taps import find_taps
from jobs.models.python.redraw import redraw_weights
from jobs.models.python.settings import NAME_IS_TAKEN, PythonSettings, is_own_module
from jobs.models.waveform import Waveform, describe_waveform
from jobs.user_code import described


def load_python(settings: PythonSettings) -> ProbedModel:
    """Load the network that the function returns, with its taps.

    Raises:
        ModelError: the function cannot be imported, fails, or returns no module; a layer is not
            reached, runs twice, or its time axis cannot be found.
    """
    with _importable(settings.folder), torch.random.fork_rng(devices=[]):
        # Seed only the CPU's generator: torch.manual_seed would reseed every GPU as well.
        torch.default_generator.manual_seed(settings.seed)
        module = _import(settings)
        network = _call_factory(module, settings).cpu().float().eval().requires_grad_(False)
        if settings.untrained:
            torch.default_generator.manual_seed(settings.seed)
            redraw_weights(network)
    front_end: Callable[[FeatureSettings], FrontEnd]
    front_end = Fbank if settings.input == "fbank" else Waveform
    taps = find_taps(network, settings, front_end(FeatureSettings()))
    return ProbedModel(
        architecture=settings.factory,
        args={
            "args": settings.args,
            "source": file_digest(_source_file(module)),
            "input": settings.input,
            "taps": [[tap.name, tap.time_axis] for tap in taps],
        },
        module=network,
        taps=taps,
        front_end=front_end,
        step=FRAME_SHIFT if settings.input == "fbank" else 1,
        padding="rules",
        input=describe_fbank() if settings.input == "fbank" else describe_waveform(),
    )


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Search modules in ``folder`` too, after all others, while the context is open."""
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
    except (Exception, SystemExit) as error:  # whatever the user's module does
        remedy = f"expected an installed module, or one in {settings.folder.absolute()} (folder)"
        if isinstance(error, ImportError) and is_own_module(error.name or ""):
            remedy = NAME_IS_TAKEN
        raise ModelError(f"{name} cannot be imported: {described(error)}; {remedy}") from error


def _source_file(module: ModuleType) -> Path:
    file = inspect.getsourcefile(module)
    if file is None:
        raise ModelError(f"{module.__name__}: expected a module with its source, found none")
    return Path(file)


def _call_factory(module: ModuleType, settings: PythonSettings) -> nn.Module:
    _, _, name = settings.factory.partition(":")
    factory = getattr(module, name, None)
    if not callable(factory):
        near = difflib.get_close_matches(name, dir(module), n=1, cutoff=0.0)
        raise ModelError(f"{module.__file__} has no function {name!r}; nearest: {', '.join(near)}")
    try:
        network = factory(**settings.args)
    except (Exception, SystemExit) as error:  # whatever the user's function does
        given = ", ".join(f"{key}={value!r}" for key, value in settings.args.items())
        raise ModelError(f"{name}({given}) failed: {described(error)}") from error
    if not isinstance(network, nn.Module):
        raise ModelError(
            f"{settings.factory}: expected it to return a torch.nn.Module, "
            f"found {type(network).__name__}"
        )
    return network
