"""Settings of the ridge probe."""

from typing import Literal

from jobs.probes.settings import Alphas, BaseProbeSettings, chosen_on, describe_penalty

ALPHAS = tuple(10.0 ** (half / 2) for half in range(-8, 11))
"""1e-4 … 1e5 in half decades."""


class RidgeSettings(BaseProbeSettings):
    """Settings of the ridge probe."""

    EXAMPLES = ("{kind: ridge, name: linear, alphas: [0.01, 1, 100], choose: auto}",)

    kind: Literal["ridge"] = "ridge"
    """Linear regression with an L2 penalty."""
    name: str | None = None
    """Label in tables and plots; by default the kind. Needed where a kind is used twice."""
    alphas: Alphas = ALPHAS
    """Penalties to choose from, relative to the *mean* squared error on standardised features, so
    that a value means the same at any number of utterances; scikit-learn's is N times this.
    """
    choose: Literal["auto", "validation", "inner", "loo"] = "auto"
    """What alpha is chosen on: the ``validation`` split; ``inner`` folds of the training speakers;
    ``loo``, every training utterance left out once, which ignores speakers. ``auto``: validation
    where there is such a split, else inner.
    """

    def describe(self, validation: str | None) -> str:
        """Name the method and the penalty."""
        if self.choose == "loo":
            chosen = "by leaving out single training utterances"
        else:
            chosen = chosen_on(None if self.choose == "inner" else validation)
        return f"Ridge regression (Hoerl & Kennard 1970), {describe_penalty(self.alphas, chosen)}."
