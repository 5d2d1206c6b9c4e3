"""Canonical correlation with a scalar target, in closed form and judged on held-out data."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from jobs.metrics import CONSTANT, FloatArray
from jobs.probes.factorisations import Spectrum
from jobs.probes.normal import NormalEquations, TrainingPart
from jobs.probes.result import ProbeResult, Weights
from jobs.probes.standardiser import Standardiser, apply_each, apply_linear
from jobs.protocol import Fold, StrArray
from jobs.settings import Settings

apply = apply_linear


class CcaSettings(Settings):
    """Settings of the CCA probe."""

    kind: Literal["cca"] = "cca"
    name: str | None = None
    variance: float = Field(default=0.99, gt=0, le=1)
    """Share of the training variance that the kept SVD directions carry."""


def fit_predict(
    settings: CcaSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
) -> ProbeResult:
    """One-component CCA between ``X`` (U, D) and every column of ``Y`` (U, K).

    A scalar target has one canonical correlation, whatever the width of X, and its direction is
    that of least squares: max_w corr(Xw, y) is reached by w = (XᵀX)⁻¹Xᵀ(y − ȳ), and the canonical
    correlation is the multiple correlation R (Hotelling 1936). A second component would need a
    second target in the same fit; for layers against layers, see ``jobs.similarity``.

    X is standardised on the training part and reduced to its leading SVD directions, as in SVCCA
    (Raghu et al. 2017, arXiv 1706.05806). The predictions are those of least squares, so that their
    Pearson correlation with the held-out target is the held-out canonical correlation. The
    validation part is not used: there is nothing to choose.

    Returns:
        Predictions (n_test, K); details ``in_sample`` (the training correlation, which noise alone
        drives to 1; absent where the target is constant), ``components`` (directions kept) and
        ``saturated`` (1 where components ≥ N − 1, so that ``in_sample`` is 1 whatever the data:
        Kornblith et al. 2019, arXiv 1905.00414); weights for ``apply``.
    """
    part = TrainingPart(X[fold.train], Y[fold.train])
    weights, details = fit(settings, part.equations(), part.standardise, part.targets)
    return ProbeResult(apply_each(weights, X[fold.test]), details, weights)


def fit(
    settings: CcaSettings,
    equations: NormalEquations,
    standardise: Standardiser,
    targets: FloatArray,
) -> tuple[list[Weights], list[dict[str, float]]]:
    """Weights and details of K problems, from ``equations`` and training ``targets`` (K, N)."""
    spectrum = Spectrum(equations.matrix)
    components = spectrum.leading(settings.variance, max(len(equations.centre), equations.n_rows))
    weights, details = [], []
    # A target at a time, so that no target's rounding depends on its neighbours.
    for y, side, mean in zip(targets, equations.sides, equations.means, strict=True):
        solution = spectrum.solve_within(side, components)
        weights.append(standardise.in_raw_units(equations.weights(solution), mean))
        in_sample = _multiple_correlation(y, equations.explained(side, solution))
        details.append(_details(equations.n_rows, components, in_sample))
    return weights, details


def _multiple_correlation(y: FloatArray, explained: float) -> float | None:
    """R of least squares that explains so much of the squares of ``y`` (n,); None if constant."""
    least = (CONSTANT * float(np.abs(y).max())) ** 2 * len(y)
    total = float(np.sum((y - y.mean()) ** 2))
    return min(1.0, explained / total) ** 0.5 if min(total, explained) > least else None


def _details(n_train: int, components: int, in_sample: float | None) -> dict[str, float]:
    saturated = components >= n_train - 1
    details = {"components": float(components), "saturated": float(saturated)}
    return details if in_sample is None else details | {"in_sample": in_sample}
