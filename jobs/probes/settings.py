"""Base class of probe settings, and phrases that their descriptions share."""

from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import AfterValidator, Field

from jobs.settings import Settings

Number = TypeVar("Number", int, float)


class BaseProbeSettings(Settings):
    """Settings of a probe, able to describe it in the methods text."""

    if TYPE_CHECKING:
        kind: str
        name: str | None

    @property
    def fewest_rows(self) -> int:
        """Number of training utterances that a fit needs at least."""
        return 2

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


def different_and_ascending(values: tuple[Number, ...]) -> tuple[Number, ...]:
    """Sort candidates, and refuse those that are given twice."""
    if len(set(values)) < len(values):
        raise ValueError(f"expected different values, found {list(values)}")
    return tuple(sorted(values))


def _penalties(alphas: tuple[float, ...]) -> tuple[float, ...]:
    if any(not SMALLEST_ALPHA <= alpha <= LARGEST_ALPHA for alpha in alphas):
        raise ValueError(
            f"every alpha must be between {SMALLEST_ALPHA:g} and {LARGEST_ALPHA:g}, "
            f"found {list(alphas)}"
        )
    return different_and_ascending(alphas)


SMALLEST_ALPHA, LARGEST_ALPHA = 1e-20, 1e20

Alphas = Annotated[tuple[float, ...], Field(min_length=1), AfterValidator(_penalties)]
"""Candidate penalties, ascending."""


def chosen_on(validation: str | None) -> str:
    """Name the data on which a hyperparameter is chosen."""
    return f"on the {validation}" if validation else "on inner folds of the training split"


def describe_penalty(alphas: tuple[float, ...], chosen: str) -> str:
    """Describe an L2 penalty: its value, or the candidates and how one is ``chosen``."""
    if len(alphas) == 1:
        return f"L2 penalty {alphas[0]:g}"
    return f"L2 penalty one of {len(alphas)} from {alphas[0]:g} to {alphas[-1]:g}, chosen {chosen}"
