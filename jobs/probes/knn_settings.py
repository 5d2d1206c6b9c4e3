"""Settings of the nearest-neighbour probe."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from jobs.probes.settings import BaseProbeSettings, chosen_on, different_and_ascending


class KnnSettings(BaseProbeSettings):
    """Settings of the nearest-neighbour probe."""

    EXAMPLES = ("{kind: knn, name: neighbours, k: [1, 5, 20], metric: euclidean}",)

    kind: Literal["knn"] = "knn"
    """k nearest neighbours."""
    name: str | None = None
    """Label in tables and plots; by default the kind. Needed where a kind is used twice."""
    k: tuple[Annotated[int, Field(ge=1, le=10_000)], ...] = Field(
        default=(1, 3, 5, 10, 20, 50), min_length=1
    )
    """Numbers of neighbours to choose from."""
    metric: Literal["euclidean", "cosine"] = "euclidean"
    """Distance between standardised activations."""

    @field_validator("k")
    @classmethod
    def _ascending(cls, k: tuple[int, ...]) -> tuple[int, ...]:
        return different_and_ascending(k)

    @property
    def fewest_rows(self) -> int:
        """The smallest number of neighbours."""
        return min(self.k)

    def describe(self, validation: str | None) -> str:
        """Name the distance and the number of neighbours."""
        k = ", ".join(map(str, self.k))
        if len(self.k) > 1:
            k = f"one of {k}, chosen {chosen_on(validation)}"
        return f"k nearest neighbours by {self.metric} distance, k = {k}."
