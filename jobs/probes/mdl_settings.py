"""Settings of the MDL probe."""

from typing import Literal

from pydantic import Field

from jobs.probes.settings import BaseProbeSettings


class MdlSettings(BaseProbeSettings):
    """Settings of the MDL probe."""

    EXAMPLES = ("{kind: mdl, name: code length, precision: 0.01, seeds: 1}",)

    kind: Literal["mdl"] = "mdl"
    """Minimum description length of the targets, given the activations (online code)."""
    name: str | None = None
    """Label in tables and plots; by default the kind. Needed where a kind is used twice."""
    precision: float = Field(default=0.01, gt=0, le=1)
    """Precision to which numbers are encoded, as a share of their standard deviation. Halving it
    adds one bit per utterance to every code."""
    seeds: int = Field(default=1, ge=1, le=1_000)
    """Number of repetitions, each with another order of speakers."""

    def identity(self) -> dict[str, object]:
        """Return the settings that change one seed's numbers, without the number of seeds."""
        return self.model_dump(mode="json", exclude={"name", "seeds"})

    def describe(self, validation: str | None) -> str:
        """Name the code, its precision and its repetitions."""
        repeated = f", repeated with {self.seeds} orders of the data" if self.seeds > 1 else ""
        return (
            "Minimum description length by the online code (Voita & Titov 2020), numbers sent "
            f"to {100 * self.precision:g} % of their SD{repeated}."
        )
