"""Settings of the logistic probe."""

from typing import Literal

from jobs.probes.settings import Alphas, BaseProbeSettings, chosen_on, describe_penalty

ALPHAS = tuple(10.0 ** (half / 2) for half in range(-10, 5))
"""1e-5 … 1e2 in half decades."""


class LogisticSettings(BaseProbeSettings):
    """Settings of the logistic probe."""

    EXAMPLES = ("{kind: logistic, name: classes, alphas: [0.001, 0.1, 10]}",)

    kind: Literal["logistic"] = "logistic"
    """Multinomial logistic regression, for targets that are classes."""
    name: str | None = None
    """Label in tables and plots; by default the kind. Needed where a kind is used twice."""
    alphas: Alphas = ALPHAS
    """Penalties to choose from, relative to the *mean* log-loss on standardised features."""

    def describe(self, validation: str | None) -> str:
        """Name the method and the penalty."""
        penalty = describe_penalty(self.alphas, chosen_on(validation))
        return f"Multinomial logistic regression, {penalty}."
