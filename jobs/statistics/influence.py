"""The one speaker who decides a score, and the score without that speaker.

The jackknife's variance of a score is a sum of squares with one term per speaker, (θ_(s) − θ̄_(·))²,
the speaker's empirical influence. A speaker *decides* a score if

- that term is more than half of the sum: the interval is mostly about one person;
- it is an outlier by Grubbs's test at 5 %, two-sided, which allows for the number of speakers: of
  few, one always has a large part (F. Grubbs, Sample criteria for testing outlying observations,
  The Annals of Mathematical Statistics 21, 1950, 27–58). Up to 13 speakers this asks for more than
  a half: 0.74 of the sum for 5 speakers, 0.58 for 10;
- and the score without the speaker differs by ``MATERIAL`` or more: the only error of a probe that
  is nearly always right is an outlier, too, and no news.

Deleting one cluster at a time to find influential ones is what J. MacKinnon, M. Nielsen & M. Webb
recommend beside cluster-robust intervals (Fast and reliable jackknife and bootstrap methods for
cluster-robust inference, Journal of Applied Econometrics 38, 2023, 671–694).

Legend: S speakers.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from jobs.statistics.best_layer import SpeakerErrors, scores_of
from jobs.statistics.intervals import ScaleName, leave_one_out, on_scale

FEWEST = 5
"""Minimum number of speakers: with fewer, each of them is influential."""
MATERIAL = 0.05
"""Smallest change of R² or accuracy that is reported."""
SHARE = 0.5
"""Share of the jackknife's variance above which a speaker may decide."""
_ALPHA = 0.05


@dataclass(frozen=True)
class Influence:
    """The speaker who decides a score."""

    speaker: str
    without: float
    """The score without the speaker."""


def deciding_speaker(errors: SpeakerErrors, scale: ScaleName) -> Influence | None:
    """Find the speaker who decides the score of a layer; None if there is none.

    Args:
        errors: losses of the layer by speaker.
        scale: scale of the score's interval, on which influence is measured.
    """
    values, n = errors.values[None], len(errors.speakers)
    if n < FEWEST:
        return None
    score = float(scores_of(values, np.ones((1, n)))[0, 0])
    left_out = scores_of(values, leave_one_out(n))[:, 0]
    influence = on_scale(left_out, score, scale)
    if np.isnan(score) or not np.isfinite(influence).all():
        return None
    squares = (influence - influence.mean()) ** 2
    first = int(squares.argmax())
    if not squares[first] > max(SHARE, _critical_share(n)) * squares.sum():
        return None
    without = float(left_out[first])
    if abs(without - score) < MATERIAL:
        return None
    return Influence(errors.speakers[first], without)


def _critical_share(n: int) -> float:
    """Share of the sum of squares of ``n`` values at which Grubbs's test rejects the largest."""
    t = float(student.ppf(1 - _ALPHA / (2 * n), n - 2))
    return (n - 1) / n * t**2 / (n - 2 + t**2)
