"""Base class of probe settings, and phrases that their descriptions share."""

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from jobs.settings import Settings


class BaseProbeSettings(Settings):
    """Settings of a probe, able to describe it in the methods text."""

    if TYPE_CHECKING:
        kind: str
        name: str | None

    def describe(self, validation: str | None) -> str:
        """Describe the probe in one sentence, with the settings that matter to a reader.

        Override this to name the method and cite it; the default lists every setting.

        Args:
            validation: the protocol's name for the data on which hyperparameters are chosen, such
                as "validation split"; None if there is none.
        """
        values = self.identity()
        kind = values.pop("kind", type(self).__name__)
        shown = ", ".join(f"{name} {value}" for name, value in values.items())
        return f"A {kind} probe ({shown})." if shown else f"A {kind} probe."


def _positive_and_ascending(alphas: tuple[float, ...]) -> tuple[float, ...]:
    if any(not 0 < alpha < float("inf") for alpha in alphas):
        raise ValueError(f"every alpha must be finite and above 0, found {list(alphas)}")
    return tuple(sorted(set(alphas)))


Alphas = Annotated[tuple[float, ...], Field(min_length=1), AfterValidator(_positive_and_ascending)]
"""Candidate penalties, ascending."""


def chosen_on(validation: str | None) -> str:
    """Name the data on which a hyperparameter is chosen."""
    return f"on the {validation}" if validation else "on inner folds of the training split"


def describe_penalty(alphas: tuple[float, ...], chosen: str) -> str:
    """Describe an L2 penalty: its value, or the candidates and how one is ``chosen``."""
    if len(alphas) == 1:
        return f"L2 penalty {alphas[0]:g}"
    return f"L2 penalty one of {len(alphas)} from {alphas[0]:g} to {alphas[-1]:g}, chosen {chosen}"
