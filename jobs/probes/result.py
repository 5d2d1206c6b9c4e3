"""What every probe returns."""

from dataclasses import dataclass

from jobs.metrics import FloatArray


@dataclass(frozen=True)
class ProbeResult:
    """The outcome of K problems that were solved on the same activations and fold."""

    predictions: FloatArray
    """(n_test, K), in the targets' own units, rows in the order of ``fold.test``."""
    details: list[dict[str, float]]
    """K entries: what was chosen and found on the way (alpha, epochs, …)."""
