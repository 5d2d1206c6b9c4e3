"""Scores of the tempo analysis: the response of predictions to a known change of rate."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray
from jobs.statistics.best_layer import Estimate
from jobs.statistics.intervals import ScaleName, speaker_interval
from jobs.statistics.regression import CONSTANT

_SCALES: tuple[ScaleName, ...] = ("plain", "correlation", "plain")
"""Scales of the intervals of slope, correlation and shift."""


@dataclass(frozen=True)
class CounterfactualScores:
    """Measures of how closely the predictions of one layer follow a changed rate."""

    slope: Estimate
    """Change of the prediction per unit change of the rate: 1 follows it fully, 0 not at all."""
    correlation: Estimate
    """Correlation of the two within utterances."""
    shift: Estimate
    """Constant that stretching adds to predictions at every rate, in the target's unit."""
    n_utterances: int
    n_speakers: int


def counterfactual_scores(
    y_true: FloatArray,
    y_pred: FloatArray,
    y_true_new: FloatArray,
    y_pred_new: FloatArray,
    speakers: npt.NDArray[np.str_],
) -> CounterfactualScores:
    """Compare the known change of a rate with the change of its prediction.

    With x_uf the known rate of utterance u at tempo f and p_uf its prediction, each minus its own
    utterance's mean over the tempi::

        slope = Σ_uf x_uf p_uf / Σ_uf x_uf²,     correlation = Σ_uf x_uf p_uf / √(Σ x² Σ p²)

    This is the regression of predictions on rates with an intercept for each utterance (the
    "within" estimator of panel data): what a layer encodes of the speaker or of the text cancels,
    and so does any effect of stretching that is equal at all tempi. In changes from the recording
    that effect would not cancel: for untrained networks it was larger than the change of the rate.
    ``shift`` estimates it: the mean of y_pred_new − y_pred minus slope times that of
    y_true_new − y_true.

    A linear probe of a layer that encodes the rate with gain g (y_pred = a_u + g y_true) has slope
    g and correlation 1; one of a layer that encodes only the speaker has slope 0. Differences are
    used rather than ratios: a prediction of 0 or below has no logarithm, and a gain is not an
    exponent. The 95 % intervals are over speakers (`jobs.statistics.intervals`), for the
    correlation on Fisher's scale.

    Args:
        y_true: (U,) the rate of the recording.
        y_pred: (U,) its prediction by a probe that was not fitted on it; used only for ``shift``.
        y_true_new: (U, F) the rate at each of two or more tempi, NaN where there is none.
        y_pred_new: (U, F) its prediction by the same probe, NaN where there is none.
        speakers: (U,).

    Returns:
        Scores of the utterances that have predictions at two tempi or more.

    Raises:
        ValueError: the arrays do not fit together.
    """
    _check_shapes(y_true, y_pred, y_true_new, y_pred_new, speakers)
    known = np.isfinite(y_true_new) & np.isfinite(y_pred_new)
    heard = known.sum(axis=1) >= 2
    known, speakers = known[heard], speakers[heard]
    x, x_changed = _changes(y_true[heard], y_true_new[heard], known)
    p, p_changed = _changes(y_pred[heard], y_pred_new[heard], known)
    names, of_row = np.unique(speakers, return_inverse=True)
    products = (known, x_changed, p_changed, x**2, p**2, x * p)
    columns = [np.bincount(of_row, one.sum(axis=1), len(names)) for one in products]
    sums = np.stack(columns, axis=1).astype(np.float64)
    sizes = (_size(y_true[heard]), _size(y_pred[heard]))
    whole = _scores(sums.sum(axis=0, keepdims=True), sizes)
    left_out = _scores(sums.sum(axis=0) - sums, sizes)
    slope, correlation, shift = (
        _estimate(float(value[0]), without, sums[:, 0], scale)
        for value, without, scale in zip(whole, left_out, _SCALES, strict=True)
    )
    return CounterfactualScores(slope, correlation, shift, int(heard.sum()), len(names))


def _changes(
    y: FloatArray, y_new: FloatArray, known: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """(U, F) ``y_new`` minus its utterance's own mean, and minus ``y`` (U,); 0 where unknown."""
    changed = np.where(known, y_new - y[:, None], 0.0)
    mean = changed.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known, changed - mean[:, None], 0.0), changed


def mean_changes(
    y: FloatArray,
    y_new: FloatArray,
    speakers: npt.NDArray[np.str_],
) -> list[Estimate]:
    """Average ``y_new`` − ``y`` over utterances at each of F rates, with a 95 % interval over the
    speakers that have values there.

    Args:
        y: (U,) of the originals.
        y_new: (U, F), NaN where there is none.
        speakers: (U,).
    """
    d = y_new - y[:, None]
    known = np.isfinite(d)
    heard = known.any(axis=1)
    names, of_row = np.unique(speakers[heard], return_inverse=True)
    sums = np.zeros((2, len(names), d.shape[1]))
    for total, values in zip(sums, (known, np.where(known, d, 0.0)), strict=True):
        np.add.at(total, of_row, values[heard])
    found = []
    for n, total in np.moveaxis(sums, 2, 0):
        n, total = n[n > 0], total[n > 0]
        with np.errstate(invalid="ignore"):
            mean, left_out = total.sum() / n.sum(), (total.sum() - total) / (n.sum() - n)
        found.append(_estimate(float(mean), left_out, n, "plain"))
    return found


def _check_shapes(
    y_true: FloatArray,
    y_pred: FloatArray,
    y_true_new: FloatArray,
    y_pred_new: FloatArray,
    speakers: npt.NDArray[np.str_],
) -> None:
    u = len(y_true)
    one, many = (y_true.shape, y_pred.shape, speakers.shape), (y_true_new.shape, y_pred_new.shape)
    if set(one) != {(u,)} or len(set(many)) != 1 or len(many[0]) != 2 or many[0][0] != u:
        raise ValueError(
            "expected originals and speakers of shape (U,) and changed ones of shape (U, F), found "
            f"{', '.join(map(str, one))} and {', '.join(map(str, many))}"
        )


def _scores(sums: FloatArray, sizes: tuple[float, float]) -> FloatArray:
    """(3, R) slope, correlation and shift from (R, 6) sums of 1, both changes, and x², p², x p of
    values centred within utterances; NaN where undefined.

    ``sizes`` are the magnitudes of rates and predictions: a spread negligible beside them is
    rounding.
    """
    n, x_changed, p_changed, xx, pp, xp = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = xx / n > (CONSTANT * sizes[0]) ** 2
        slope = np.where(moved, xp / xx, np.nan)
        spread = moved & (pp / n > (CONSTANT * sizes[1]) ** 2)
        correlation = np.where(spread, xp / np.sqrt(xx * pp), np.nan)
        shift = p_changed / n - slope * x_changed / n
    return np.stack([slope, np.clip(correlation, -1, 1), shift])


def _size(values: FloatArray) -> float:
    return float(np.abs(values).max(initial=0))


def _estimate(value: float, left_out: FloatArray, sizes: FloatArray, scale: ScaleName) -> Estimate:
    """A score with its interval over speakers, from its values without each of them (S,)."""
    return Estimate(value, *speaker_interval(value, left_out, sizes, scale))
