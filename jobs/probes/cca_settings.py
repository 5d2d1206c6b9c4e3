"""Settings of the CCA probe."""

from typing import Literal

from pydantic import Field

from jobs.probes.settings import BaseProbeSettings


class CcaSettings(BaseProbeSettings):
    """Settings of the CCA probe."""

    EXAMPLES = ("{kind: cca, name: canonical, variance: 0.99, components: 1}",)

    kind: Literal["cca"] = "cca"
    """Canonical correlation analysis after an SVD (SVCCA)."""
    name: str | None = None
    """Label in tables and plots; by default the kind. Needed where a kind is used twice."""
    variance: float = Field(default=0.99, gt=0, le=1)
    """Share of the training variance that the retained SVD directions explain."""
    components: int = Field(default=1, ge=1, le=10_000)
    """Number of canonical components between a layer and all numeric targets together, at most the
    number of such targets. 1: each target is analysed by itself only."""

    def identity(self) -> dict[str, object]:
        """Return the settings without ``components``, which do not change the scores of single
        targets."""
        return self.model_dump(mode="json", exclude={"name", "components"})

    def describe(self, validation: str | None) -> str:
        """Name the reduction to singular directions, and joint components if there are any."""
        joint = (
            f", with up to {self.components} components fitted jointly to all numeric targets "
            "(Björck & Golub 1973)"
        )
        return (
            "Canonical correlation with the target, fitted on as many leading singular directions "
            f"as carry {100 * self.variance:g} % of the variance (SVCCA, Raghu et al. 2017), the "
            f"correlation measured on held-out data{joint if self.components > 1 else ''}."
        )
