"""Settings of the tempo analysis. Imports no pandas, so that reading a spec stays quick."""

from typing import Annotated

from pydantic import Field, field_validator

from jobs.audio.stretch import FASTEST, SLOWEST
from jobs.settings import Seed, Settings


class TempoSettings(Settings):
    """Test utterances at other rates, with their pitch kept."""

    EXAMPLES = ("{factors: [0.8, 0.9, 1.1, 1.25], utterances: 200, targets: [cps], seed: 0}",)

    factors: Annotated[
        tuple[Annotated[float, Field(ge=SLOWEST, le=FASTEST)], ...], Field(min_length=2)
    ] = (0.8, 0.9, 1.1, 1.25)
    """New rate ÷ recorded rate, between 0.5 and 2; two or more, since stretched utterances are
    compared with each other."""
    utterances: Annotated[int, Field(ge=2, le=1_000_000_000)] = 200
    """Largest number of test utterances to stretch; the same for all models, drawn at random, from
    all speakers equally."""
    targets: tuple[str, ...] | None = None
    """Targets to follow, of those whose change with tempo is known: ``cps``, ``cps_with_spaces``,
    ``words_per_second``, ``articulation_rate`` and ``duration``. null: all of them that are
    probed."""
    seed: Seed = 0
    """Seed of the random choice of utterances."""

    @field_validator("factors")
    @classmethod
    def _different(cls, factors: tuple[float, ...]) -> tuple[float, ...]:
        if 1 in factors:
            raise ValueError("factors: 1 is the recording, which is probed in any case; remove it")
        if len(set(factors)) < len(factors):
            raise ValueError(f"factors: expected different ones, found {list(factors)}")
        return factors
