"""Settings of the baselines, and their row in `jobs.models.FAMILIES`."""

from typing import TYPE_CHECKING, Literal

from jobs.models.family import ModelFamily
from jobs.models.settings import ModelSettings

if TYPE_CHECKING:
    from jobs.models.model import ProbedModel


class BaselineSettings(ModelSettings):
    """A baseline that is probed like a model; the spec's ``baselines`` add them by name."""

    EXAMPLES = ("{kind: baseline, name: duration only, what: duration}",)

    kind: Literal["baseline"] = "baseline"
    """Model family."""
    what: Literal["duration", "fbank"]
    """``duration``, in seconds; or ``fbank``, the SD over time of each mean-normalised log-mel bin
    and of its change from frame to frame."""


def _load(settings: BaselineSettings) -> "ProbedModel":
    from jobs.models.baselines.networks import BASELINES

    return BASELINES[settings.what]()


FAMILY = ModelFamily(settings=BaselineSettings, load=_load, is_baseline=True)
