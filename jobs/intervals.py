"""Intervals and standard errors over speakers, as wide as few and unequal speakers need.

A plain percentile interval over few clusters is too narrow: at 40 speakers of 10 to 110 utterances
its 95 % hold the truth in 92 % of experiments (R², measured as in `tests/test_known_answers.py`).
Resampling S speakers with replacement understates the variance by the factor (S − 1) / S, and more
where speakers are unequal, and takes it for known. Both are put right: the percentiles are moved
outward

    α' = Φ(−t · SE_jackknife / SE_bootstrap),  t the (1 − α/2) quantile of Student's t

after T. Hesterberg, What teachers should know about the bootstrap, The American Statistician 69
(2015), 371–386 (expanded percentiles), with the jackknife over clusters in the place of
√(S / (S − 1)), since it does not take clusters of unequal weight for equal ones (MacKinnon, Nielsen
& Webb, Fast and reliable jackknife and bootstrap methods for cluster-robust inference, Journal of
Applied Econometrics 38, 2023, 671–694). Degrees of freedom are the effective number of speakers
less one, (Σ n)² / Σ n² − 1 for n utterances of each (L. Kish, Survey Sampling, 1965).

Legend: S speakers, R resamples, L layers.
"""

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from scipy.stats import t as student

FloatArray = npt.NDArray[np.float64]

NO_INTERVAL = (float("nan"), float("nan"))


def widened_interval(
    resampled: FloatArray, factor: float, sizes: FloatArray, level: float = 0.95
) -> tuple[float, float]:
    """The expanded percentile interval of a score.

    Args:
        resampled: (R,) the score of every resample of speakers, NaN where it is not defined.
        factor: of ``widening``.
        sizes: (S,) utterances of each speaker.
        level: coverage that is asked for.

    Returns:
        (low, high); NaN where no resample defines the score. It is at most the range of the
        resamples, which ends the widening where speakers are very few.
    """
    defined = resampled[~np.isnan(resampled)]
    if defined.size == 0:
        return NO_INTERVAL
    quantile = float(student.ppf((1 + level) / 2, degrees_of_freedom(sizes)))
    tail = float(norm.cdf(-quantile * factor))
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def widening(resampled: FloatArray, left_out: FloatArray) -> float:
    """How much too small the bootstrap's standard error of a score is: jackknife / bootstrap.

    Args:
        resampled: (R,) the score of every resample of speakers, NaN where it is not defined.
        left_out: (S,) the score without each speaker in turn, NaN where it is not defined.

    Returns:
        1 where one of them is 0 or not defined: all percentiles are then the same.
    """
    drawn, without = resampled[~np.isnan(resampled)], left_out[~np.isnan(left_out)]
    spread = float(drawn.std()) if drawn.size else 0.0
    error = float(jackknife_error(without)) if without.size else 0.0
    return error / spread if spread > 0 and error > 0 else 1.0


def jackknife_error(left_out: FloatArray) -> FloatArray:
    """Standard errors over speakers: √((S − 1) / S · Σ (θ_(s) − θ̄_(·))²).

    Args:
        left_out: (S, …) scores without each speaker in turn.
    """
    return np.asarray(np.sqrt((len(left_out) - 1) * left_out.var(axis=0)))


def degrees_of_freedom(sizes: FloatArray) -> float:
    """The effective number of speakers of ``sizes`` (S,) utterances, less one; S − 1 if equal."""
    return float(sizes.sum() ** 2 / (sizes**2).sum() - 1)


def leave_one_out(n_speakers: int) -> FloatArray:
    """(S, S): how often each speaker counts without one of them, as the weights of resamples."""
    return 1.0 - np.eye(n_speakers)
