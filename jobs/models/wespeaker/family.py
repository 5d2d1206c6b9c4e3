"""The row of WeSpeaker's networks in `jobs.models.FAMILIES`."""

from pathlib import Path
from typing import TYPE_CHECKING

from jobs.models.family import ModelFamily
from jobs.models.wespeaker.architectures import ARCHITECTURES
from jobs.models.wespeaker.folders import CONFIG, WEIGHTS, find_checkpoint
from jobs.models.wespeaker.settings import WespeakerSettings

if TYPE_CHECKING:
    from jobs.models.model import ProbedModel


def _load(settings: WespeakerSettings) -> "ProbedModel":
    from jobs.models.wespeaker.model import load_wespeaker

    return load_wespeaker(settings)


def _resolve(settings: WespeakerSettings) -> WespeakerSettings:
    if settings.checkpoint is None:
        return settings
    folder = find_checkpoint(settings.checkpoint).absolute()
    return settings.model_copy(update={"checkpoint": folder})


def _untrained_seed(settings: WespeakerSettings) -> int | None:
    untrained = settings.untrained or settings.checkpoint is None
    return settings.seed or 0 if untrained else None


def _from_name(name: str) -> WespeakerSettings | None:
    if name in ARCHITECTURES:
        return WespeakerSettings(name=name, architecture=name, seed=0)
    folder = find_checkpoint(Path(name))
    if (folder / CONFIG).is_file() or (folder / WEIGHTS).is_file():
        return WespeakerSettings(name=name, checkpoint=Path(name))
    return None


FAMILY = ModelFamily(
    settings=WespeakerSettings,
    load=_load,
    resolve=_resolve,
    source=lambda settings: None if settings.checkpoint is None else str(settings.checkpoint),
    untrained_seed=_untrained_seed,
    from_name=_from_name,
)
