"""Settings of the baselines, and their row in `jobs.models.FAMILIES`."""

from typing import TYPE_CHECKING, Literal

from jobs.models.family import ModelFamily
from jobs.models.settings import ModelSettings

if TYPE_CHECKING:
    from jobs.models.model import ProbedModel


class BaselineSettings(ModelSettings):
    """A baseline, probed as a model is."""

    kind: Literal["baseline"] = "baseline"
    what: Literal["duration", "fbank"]
    """Seconds of audio, or mean and SD over time of each log-mel bin."""


def _load(settings: BaselineSettings) -> "ProbedModel":
    from jobs.models.baselines.networks import BASELINES

    return BASELINES[settings.what]()


FAMILY = ModelFamily(settings=BaselineSettings, load=_load, is_baseline=True)
