"""Find a model by its name on the command line, and print its layers."""

import json
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from jobs.models import ModelInfo, describe_model, settings_from_name
from jobs.models.errors import ModelError
from jobs.models.settings import ModelSettings
from jobs.models.taps import Pooling
from jobs.models.wespeaker.architectures import unknown_architecture
from sweep.commands.names import find_spec
from sweep.commands.print_table import print_table
from sweep.errors import UsageError
from sweep.spec.loading import load_spec


def print_layers(model: str, *, as_json: bool = False) -> None:
    """Print the layers of a model: a checkpoint folder, an architecture's name, or SPEC:NAME."""
    try:
        info = describe_model(*find_model(model))
    except (ModelError, OSError) as error:  # OSError: a name may be too long for a path
        raise UsageError(str(error)) from None
    if as_json:
        layers = [asdict(tap) for tap in info.taps]
        found = {"architecture": info.architecture, "parameters": info.n_parameters}
        print(json.dumps({**found, "layers": layers}, indent=1))
    else:
        print_table(_layers_table(info))


def find_model(model: str) -> tuple[ModelSettings, Pooling]:
    """Find a model by checkpoint folder, architecture name or SPEC:NAME, and the pooling of its
    layers.

    Raises:
        UsageError: the name is none of these.
    """
    found = settings_from_name(model)
    if found is not None:
        return found, "mean"
    given, between, name = model.partition(":")
    path = find_spec(Path(given)) if between else Path(given)
    if path.is_file():
        spec = load_spec(path)
        for settings in spec.models:
            if settings.name == name:
                return settings, spec.pooling
        names = ", ".join(repr(settings.name) for settings in spec.models)
        raise UsageError(f"{path} has no model {name!r}: expected one of {names}")
    raise UsageError(
        f"no model {model!r}: expected a checkpoint folder, a name that `hf download` has brought, "
        "SPEC:NAME as in 'specs/smoke.yaml:untrained', or an architecture; "
        f"{unknown_architecture(model)}"
    )


def _layers_table(info: ModelInfo) -> Table:
    table = Table(title=f"{info.architecture}, {info.n_parameters / 1e6:.2f} M parameters")
    for name in ("index", "layer", "study's name", "level", "shape", "width"):
        table.add_column(name, justify="right" if name in ("index", "width") else "left")
    for tap in info.taps:
        shape = " × ".join(str(size) for size in tap.shape)
        cells = (str(tap.index), tap.name, tap.study_name, tap.level, shape, str(tap.width))
        table.add_row(*cells)
    return table
