"""The result of a job that wrote a file about one layer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerReport:
    """Duration of a layer's job, and warnings about results missing from its file."""

    seconds: float
    warnings: tuple[str, ...] = ()
    """Sentences about single results that could not be computed."""
