"""The row of the transformers library's encoders in `jobs.models.FAMILIES`."""

from pathlib import Path
from typing import TYPE_CHECKING

from jobs.models.family import ModelFamily
from jobs.models.transformers.folders import find_pretrained, has_config
from jobs.models.transformers.settings import TransformersSettings

if TYPE_CHECKING:
    from jobs.models.model import ProbedModel


def _load(settings: TransformersSettings) -> "ProbedModel":
    from jobs.models.transformers.model import load_transformers

    return load_transformers(settings)


def _resolve(settings: TransformersSettings) -> TransformersSettings:
    folder = find_pretrained(settings.checkpoint).absolute()
    return settings.model_copy(update={"checkpoint": folder})


def _from_name(name: str) -> TransformersSettings | None:
    checkpoint = Path(name)
    return (
        TransformersSettings(name=name, checkpoint=checkpoint) if has_config(checkpoint) else None
    )


FAMILY = ModelFamily(
    settings=TransformersSettings,
    load=_load,
    resolve=_resolve,
    source=lambda settings: str(settings.checkpoint),
    untrained_seed=lambda settings: (settings.seed or 0) if settings.untrained else None,
    from_name=_from_name,
)
