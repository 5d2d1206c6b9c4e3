"""Models to probe: their settings, how to load them, and their taps.

Imports `jobs.audio`, `jobs.downloads` and `jobs.storage` at most, and torch only when a model is
loaded: this package, its settings and its taps are read to validate a spec.

To add a family, write a package with its settings, its loader and its `ModelFamily`, and add that
one row to `FAMILIES`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from jobs.models.baselines import settings as baselines
from jobs.models.errors import ModelError
from jobs.models.family import ModelFamily
from jobs.models.python import settings as python
from jobs.models.settings import ModelSettings
from jobs.models.taps import Pooling, TapShape
from jobs.models.transformers import family as transformers
from jobs.models.wespeaker import family as wespeaker
from jobs.settings import ByKind
from jobs.user_code import described

if TYPE_CHECKING:
    from jobs.models.model import ProbedModel

FAMILIES: dict[str, ModelFamily[Any]] = {
    "wespeaker": wespeaker.FAMILY,
    "transformers": transformers.FAMILY,
    "python": python.FAMILY,
    "baseline": baselines.FAMILY,
}
"""Kind → its family."""

AnyModelSettings = Annotated[ModelSettings, ByKind(FAMILIES)]
"""Type of a field for a model of any family."""


@dataclass(frozen=True)
class ModelInfo:
    """Facts about a model that a plan needs."""

    architecture: str
    digest: str
    """See `jobs.models.describe.weights_digest`."""
    n_parameters: int
    taps: tuple[TapShape, ...]
    """In depth order."""
    notes: tuple[str, ...] = ()
    """Warnings for the user, one sentence each."""
    input: str = ""
    """Description of the network's input, a phrase for the methods text."""


def load_model(settings: ModelSettings) -> "ProbedModel":
    """Load a model on the CPU, in evaluation mode, in float32.

    Raises:
        ModelError: it cannot be loaded as its settings say.
    """
    return FAMILIES[settings.kind].load(settings)


def with_absolute_paths(settings: ModelSettings) -> ModelSettings:
    """Return the same settings for any process on any node: folders found, paths absolute.

    Raises:
        ModelError: there is no such model.
    """
    resolved: ModelSettings = FAMILIES[settings.kind].resolve(settings)
    return resolved


def source_of(settings: ModelSettings) -> str | None:
    """Return the origin of the weights, for messages; None if there is nothing to look at."""
    return FAMILIES[settings.kind].source(settings)


def untrained_seed(settings: ModelSettings) -> int | None:
    """Return the seed of random weights; None for a model that is, or may be, trained."""
    return FAMILIES[settings.kind].untrained_seed(settings)


def is_untrained(settings: ModelSettings) -> bool:
    """Return whether the weights are known to be random."""
    return untrained_seed(settings) is not None


def is_baseline(settings: ModelSettings) -> bool:
    """Return whether the model is a reference for the models under study."""
    return FAMILIES[settings.kind].is_baseline


def settings_from_name(name: str) -> ModelSettings | None:
    """Return the model that a name on the command line stands for: a checkpoint or architecture."""
    found: list[ModelSettings | None] = [family.from_name(name) for family in FAMILIES.values()]
    return next((settings for settings in found if settings is not None), None)


def describe_model(settings: ModelSettings, pooling: Pooling) -> ModelInfo:
    """Load the model and run it once on a short dummy input.

    Raises:
        ModelError: it cannot be loaded as its settings say, or does not run.
    """
    from jobs.models.describe import tap_shapes, weights_digest

    model = load_model(settings)
    try:
        taps = tap_shapes(model, pooling)
    except ModelError:
        raise
    except (Exception, SystemExit) as error:  # its configuration may take no audio
        raise ModelError(
            f"its network does not run on a short input: {described(error)}; expected a "
            "checkpoint whose configuration fits its weights and audio features"
        ) from error
    return ModelInfo(
        architecture=model.architecture,
        digest=weights_digest(model),
        n_parameters=sum(parameter.numel() for parameter in model.module.parameters()),
        taps=taps,
        notes=model.notes,
        input=model.input,
    )


def forward_flops(settings: ModelSettings) -> float:
    """Return the floating-point operations of a forward pass per second of audio.

    Raises:
        ModelError: the model cannot be loaded as its settings say.
    """
    from jobs.models.describe import flops_per_second

    return flops_per_second(load_model(settings))
