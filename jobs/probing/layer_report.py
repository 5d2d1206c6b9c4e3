"""The result of a job that wrote a file about one layer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerReport:
    """How long a layer took, and what is lacking in its file."""

    seconds: float
    warnings: tuple[str, ...] = ()
    """Sentences about single results that could not be computed."""
