"""Settings of the analysis of the gain of layers over nuisance variables."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from jobs.probes.settings import Alphas
from jobs.settings import Settings

NUISANCES: dict[str, str] = {
    "fbank": "filter-bank statistics",
    "duration": "duration",
    "energy": "energy",
    "f0": "mean f0",
    "speaker_mean": "mean of the speaker's other utterances",
}
"""Nuisance → its name in texts."""
BASELINES = ("fbank", "duration")
"""Nuisances that are the activations of a baseline."""
COLUMNS = {"energy": "energy", "f0": "f0_mean"}
"""Nuisance → the target whose values it has."""

Nuisance = Literal["fbank", "duration", "energy", "f0", "speaker_mean"]

BEYOND_ALPHAS = tuple(10.0**decade for decade in range(-4, 6))
"""1e-4 … 1e5 in decades."""


class BeyondSettings(Settings):
    """Gain of each layer over nuisance variables: R²(nuisances + layer) − R²(nuisances)."""

    EXAMPLES = ("{nuisances: [fbank, duration], alphas: [0.01, 1, 100]}",)

    nuisances: Annotated[tuple[Nuisance, ...], Field(min_length=1)] = ("fbank", "duration")
    """Nuisances: ``fbank`` and ``duration``, the baselines of these names; ``energy`` and ``f0``,
    measured as the targets ``energy`` and ``f0_mean``; ``speaker_mean``, the target's mean over the
    speaker's other utterances of the same split, for targets that are numbers."""
    alphas: Alphas = BEYOND_ALPHAS
    """Penalties to choose from, for each nuisance and for the layer, with the meaning that they
    have for the probe ``ridge``."""

    @field_validator("nuisances")
    @classmethod
    def _different(cls, nuisances: tuple[Nuisance, ...]) -> tuple[Nuisance, ...]:
        if len(set(nuisances)) < len(nuisances):
            raise ValueError(f"nuisances: expected different ones, found {list(nuisances)}")
        return nuisances
