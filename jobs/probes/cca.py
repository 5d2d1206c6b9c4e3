"""Canonical correlation with a scalar target, in closed form and judged on held-out data."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from jobs.metrics import FloatArray, pearson
from jobs.probes.linear import Spectrum, decompose, fit_standardiser
from jobs.probes.result import ProbeResult
from jobs.protocol import Fold, StrArray
from jobs.settings import Settings


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

    With a scalar target the canonical direction is that of least squares: max_w corr(Xw, y) is
    reached by w = (XᵀX)⁻¹Xᵀ(y − ȳ), and the canonical correlation is the multiple correlation R.
    X is standardised on the training part and reduced to its leading SVD directions, as in SVCCA
    (Raghu et al. 2017, arXiv 1706.05806). The predictions are those of least squares, so that their
    Pearson correlation with the held-out target is the held-out canonical correlation. The
    validation part is not used: there is nothing to choose.

    Returns:
        Predictions (n_test, K); details ``in_sample`` (the training correlation, which noise alone
        drives to 1; absent where the target is constant), ``components`` (directions kept) and
        ``saturated`` (1 where components ≥ N − 1, so that ``in_sample`` is 1 whatever the data).
    """
    standardise = fit_standardiser(X[fold.train])
    spectrum = decompose(standardise(X[fold.train]))
    kept = _leading(spectrum, settings.variance)
    to_components = spectrum.basis[:, kept] / spectrum.eigenvalues[kept]
    train = standardise(X[fold.train]) @ to_components
    test = standardise(X[fold.test]) @ to_components
    predictions, details = [], []
    # A target at a time, so that no target's rounding depends on its neighbours.
    for y in Y[fold.train].T.copy():
        weights = spectrum.left[:, kept].T @ (y - y.mean())
        predictions.append(y.mean() + test @ weights)
        details.append(_details(train.shape, pearson(y, train @ weights)))
    return ProbeResult(np.stack(predictions, axis=1), details)


def _details(shape: tuple[int, ...], in_sample: float | None) -> dict[str, float]:
    n_train, components = shape
    saturated = components >= n_train - 1
    details = {"components": float(components), "saturated": float(saturated)}
    return details if in_sample is None else details | {"in_sample": in_sample}


def _leading(spectrum: Spectrum, variance: float) -> npt.NDArray[np.bool_]:
    """(r,) the fewest leading directions that carry ``variance`` of it, none of them rounding."""
    eigenvalues = spectrum.eigenvalues
    largest, total = eigenvalues[-1], eigenvalues.sum()
    rounding = largest * max(len(spectrum.basis), len(spectrum.left)) * np.finfo(np.float64).eps
    carried_by_larger = total - np.cumsum(eigenvalues)
    needed = carried_by_larger < variance * total
    return np.asarray(needed & (eigenvalues > rounding))
