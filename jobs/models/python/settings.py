"""Settings of networks that a Python function makes, and their row in `jobs.models.FAMILIES`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, JsonValue, field_validator

from jobs.identity import canonical_json
from jobs.models.family import ModelFamily
from jobs.models.settings import NetworkSettings
from jobs.settings import Seed

if TYPE_CHECKING:
    from jobs.models.model import ProbedModel

OWN_PACKAGES = ("jobs", "sweep")
NAME_IS_TAKEN = "the names jobs and sweep are taken by this project's own packages: rename yours"


class PythonSettings(NetworkSettings):
    """Any network that a Python function of yours returns."""

    EXAMPLES = (
        "{kind: python, name: my model, precision: fp32, factory: 'my_models:make',"
        " args: {width: 256}, folder: code, input: fbank, taps: ['encoder.*', output],"
        " time_axis: 1, untrained: true, seed: 1}",
    )

    kind: Literal["python"] = "python"
    """Model family."""
    factory: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """``package.module:function`` of a function that returns an ``nn.Module``."""
    args: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments of the function."""
    folder: Path = Path()
    """Folder searched for the module, after all installed packages; by default the folder in which
    the sweep is started."""
    input: Literal["fbank", "waveform"]
    """``fbank``: (batch, time, 80) mean-normalised log-mel of 10 ms frames; or ``waveform``:
    (batch, samples) at 16 kHz in [-1, 1)."""
    taps: tuple[str, ...] = Field(min_length=1)
    """Layers that can be probed, as globs over the dotted paths of modules: ``*`` matches within
    one name, ``**`` any number of names; ``output`` is the network's own output."""
    time_axis: Annotated[int, Field(ge=-16, le=16)] | None = None
    """Time axis of the layers' outputs, where the batch axis is 0. null: found by running inputs of
    two lengths."""
    untrained: bool = False
    """Whether to replace the weights by random ones, drawn from ``seed``."""
    seed: Seed = 0
    """Seed of all random weights: those drawn by the function, and an untrained network's. Several
    untrained models of one network, with seeds of their own, are drawn as their mean and range."""

    @field_validator("args")
    @classmethod
    def _has_an_id(cls, args: dict[str, JsonValue]) -> dict[str, JsonValue]:
        canonical_json(args)
        return args

    @field_validator("factory")
    @classmethod
    def _is_not_in_this_project(cls, factory: str) -> str:
        if is_own_module(factory.partition(":")[0]):
            raise ValueError(NAME_IS_TAKEN)
        return factory


def is_own_module(module: str) -> bool:
    """Return whether a dotted name belongs to this project, and so cannot be a user's module."""
    return module.partition(".")[0] in OWN_PACKAGES


def _load(settings: PythonSettings) -> "ProbedModel":
    from jobs.models.python.model import load_python

    return load_python(settings)


def _resolve(settings: PythonSettings) -> PythonSettings:
    return settings.model_copy(update={"folder": settings.folder.absolute()})


FAMILY = ModelFamily(
    settings=PythonSettings,
    load=_load,
    resolve=_resolve,
    source=lambda settings: settings.factory,
    untrained_seed=lambda settings: settings.seed if settings.untrained else None,
)
