"""Differences between layers and between models, paired over speakers, and their p-values.

Standard errors are those of a jackknife over speakers, each with all its utterances. A difference
is tested against Student's t with the effective number of speakers minus one as its degrees of
freedom (see `jobs.statistics.intervals`); if it is the same for every speaker, against an exact
binomial distribution (`unvarying`). Its p-value is two-sided and has no lower bound: a share of
resamples is never below 1 / (R + 1), and after Holm's correction over 150 layers nothing would be
significant.

The best layer is chosen on the data that it is compared on. Two comparisons account for that:

- *Which layers could be the best?* The reference distribution of a layer's difference from the best
  is the largest of the differences of all other layers from it, each centred and divided by its
  standard error, in resamples of speakers. The layers that are not worse at 5 % include the truly
  best one in 95 % of experiments, however many there are: multiple comparisons with the best (J.
  Hsu, The Annals of Statistics 12, 1984, 1136-1144), with the bootstrap's reference of H. White, A
  reality check for data snooping, Econometrica 68 (2000), 1097-1126. Here, the smallest p-value is
  1 / (R + 1).
- *Which model is better at its best?* Where the protocol has a validation split, each model's layer
  is chosen there (`jobs.statistics.validated`), and the two layers are compared on the test split
  like any two that were not chosen (`between_chosen`). Otherwise, both are scored with the layer
  that other speakers chose, on the same deals and resamples
  (`jobs.statistics.best_layer.cross_scores`); the choice widens the standard error by the factor by
  which it does so over resamples (`between_models`). Simulated, the first test rejects about 5 % of
  true hypotheses at nominal 5 %, the second fewer, with less power
  (tests/benchmarks/STATISTICS.md).

Legend: L layers, S speakers, R resamples; errors (L, S, 4) have the columns
`jobs.statistics.best_layer.ERRORS`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from scipy.stats import t as student

from jobs.arrays import FloatArray
from jobs.statistics.best_layer import (
    ERRORS,
    best_layer,
    choice_factor,
    cross_scores,
    scores_of,
    second_deals,
)
from jobs.statistics.intervals import (
    LEAST_UNITS,
    LEVEL,
    ROUNDING,
    degrees_of_freedom,
    effective_number,
    freedom,
    jackknife_error,
    leave_one_out,
    on_scale,
    resample_weights,
    speaker_interval,
)

_N, _LOSS, _REFERENCE, _NOTHING = range(len(ERRORS))


@dataclass(frozen=True)
class Differences:
    """Score of a minus score of b, (L,) each; NaN where it is not defined.

    With fewer than ``LEAST_UNITS`` speakers (or folds), interval and p-value are NaN.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray
    """Ends of the 95 % interval."""
    p: FloatArray
    """P-values of no difference: two-sided; one-sided for a layer against the best."""


def between_layers(a: FloatArray, b: FloatArray) -> Differences:
    """Compare each layer of ``a`` (L, S, 4) with the layer of ``b`` (L, S, 4) at the same position.

    No layer is chosen, so this is a plain paired comparison.
    """
    alone = leave_one_out(a.shape[1])
    everyone = np.ones((1, a.shape[1]))
    value = (scores_of(a, everyone) - scores_of(b, everyone))[0]
    error = jackknife_error(scores_of(a, alone) - scores_of(b, alone))
    return against_t(value, error, sizes_of(a, b))


def above_nothing(errors: FloatArray, of_classes: bool) -> Differences:
    """Compare each layer (L, S, 4) with the no-skill prediction on the same utterances.

    For R² this is the score itself. Its interval is that of ``layers.csv``, and p comes from the
    same t, on the scale −log(1 − R²), so that p < 0.05 where the interval excludes 0. On the scale
    of R² itself, t rejected R² = 0 for uninformative layers in 9 % of experiments with 5 speakers
    and in 8 % with 14, for speakers as variable as in
    `tests/jobs/statistics/test_known_answers.py`; on this scale it is 6 %.
    """
    if of_classes:
        nothing = errors.copy()
        nothing[:, :, _LOSS] = errors[:, :, _NOTHING]
        return between_layers(errors, nothing)
    n_speakers, sizes = errors.shape[1], sizes_of(errors, errors)
    value = scores_of(errors, np.ones((1, n_speakers)))[0]
    left_out = scores_of(errors, leave_one_out(n_speakers))
    pairs = list(zip(value.tolist(), left_out.T, strict=True))
    ends = np.array([speaker_interval(r2, without, sizes, "rest") for r2, without in pairs])
    p = np.array([_p_of_r2(r2, without, sizes) for r2, without in pairs])
    low, high = ends.T
    return Differences(value, low, high, p)


def _p_of_r2(r2: float, left_out: FloatArray, sizes: FloatArray) -> float:
    """Two-sided p-value of R² = 0, from its values without each speaker in turn (S,)."""
    known = left_out[~np.isnan(left_out)]
    if np.isnan(r2) or len(known) < LEAST_UNITS:
        return float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        middle, without = -np.log1p(-r2), on_scale(known, r2, "rest")
        error = float(jackknife_error(without))
    if not (np.isfinite(middle) and error > ROUNDING):  # as in `interval_of`
        return float(unvarying(np.array([r2]), sizes).p[0])
    return float(2 * student.sf(abs(middle) / error, freedom(without, sizes)))


def between_chosen(a: FloatArray, b: FloatArray) -> Differences:
    """Compare one layer (1, S, 4) of each of two models, both chosen without the test split.

    It is a paired comparison with the jackknife's standard error, and with its ``freedom``: where a
    few speakers have most of the difference, t by the number of speakers rejects too often.
    """
    alone, everyone = leave_one_out(a.shape[1]), np.ones((1, a.shape[1]))
    value = (scores_of(a, everyone) - scores_of(b, everyone))[0]
    left_out, sizes = scores_of(a, alone) - scores_of(b, alone), sizes_of(a, b)
    return against_t(value, jackknife_error(left_out), sizes, freedom(left_out[:, 0], sizes))


def between_models(a: FloatArray, b: FloatArray, resamples: int, seed: int) -> Differences:
    """Compare the best layer of ``a`` (L_a, S, 4) with that of ``b`` (L_b, S, 4) on speakers that
    were not used to choose either; one difference."""
    (dealt_a, drawn_a), (dealt_b, drawn_b) = (cross_scores(x, resamples, seed) for x in (a, b))
    best_a, best_b = (x[best_layer(x)][None] for x in (a, b))
    spread, left_out = (
        (scores_of(best_a, weights) - scores_of(best_b, weights))[:, 0]
        for weights in (
            resample_weights(a.shape[1], resamples, seed),
            leave_one_out(a.shape[1]),
        )
    )
    drawn = drawn_a - drawn_b
    if np.isnan(drawn).all():
        return Differences(*np.full((4, 1), np.nan))
    again = second_deals(a, resamples, seed) - second_deals(b, resamples, seed)
    error = jackknife_error(left_out) * choice_factor(drawn, again, spread) ** 0.5
    value = np.array([(dealt_a - dealt_b).mean()])
    return against_t(value, error[None], sizes_of(best_a, best_b))


def against_the_best(errors: FloatArray, resamples: int, seed: int) -> Differences:
    """Compare each layer (L, S, 4) with the best of them; the best itself has 0, with p = 1."""
    if errors.shape[1] < LEAST_UNITS:
        score = scores_of(errors, np.ones((1, errors.shape[1])))[0]
        return untested(score - score[best_layer(errors)])
    drawn = scores_of(errors, resample_weights(errors.shape[1], resamples, seed))
    drawn = drawn[~np.isnan(drawn).any(axis=1)]
    if not len(drawn):
        return Differences(*np.full((4, len(errors)), np.nan))
    score = scores_of(errors, np.ones((1, errors.shape[1])))[0]
    best = best_layer(errors)
    centred = drawn - drawn.mean(axis=0)
    error = jackknife_error(_pairs(scores_of(errors, leave_one_out(errors.shape[1])), best))
    heavier = _t_over_normal(sizes_of(errors, errors))
    value = score - score[best]
    low, high, p = np.zeros(len(score)), np.zeros(len(score)), np.ones(len(score))
    for layer in range(len(score)):
        if layer == best:
            continue
        if error[layer] < ROUNDING:
            alike = unvarying(value[[layer]], sizes_of(errors, errors))
            low[layer], high[layer] = alike.low[0], alike.high[0]
            p[layer] = bonferroni(alike.p, len(score) - 1)[0]
            continue
        distance = centred - centred[:, [layer]]
        spread = distance.std(axis=0)
        usable = spread > ROUNDING
        largest = (distance[:, usable] / spread[usable]).max(axis=1) * heavier
        reach = float(np.quantile(largest, LEVEL)) * error[layer]
        low[layer], high[layer] = value[layer] - reach, value[layer] + reach
        beyond = np.count_nonzero(largest >= -value[layer] / error[layer])
        p[layer] = (1 + beyond) / (1 + len(largest))
    return Differences(value, low, high, p)


def holm(p: FloatArray) -> FloatArray:
    """Correct the p-values (m,) of one family by Holm's step-down method; NaN are left out.

    The i-th smallest of m is multiplied by m − i + 1, raised to at least those before it, and
    capped at 1: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian
    Journal of Statistics 6 (1979), 65-70.
    """
    corrected = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return corrected


def against_t(
    value: FloatArray, error: FloatArray, sizes: FloatArray, degrees: float | None = None
) -> Differences:
    """Differences with Student's interval and p-value, or those of ``unvarying`` if the standard
    error is 0.

    Args:
        value: (L,)
        error: (L,) standard errors.
        sizes: (S,) utterances of each speaker, 0 for one that was not tested.
        degrees: degrees of freedom; those of the sizes if None.
    """
    if np.count_nonzero(sizes) < LEAST_UNITS:
        return untested(value)
    degrees = degrees_of_freedom(sizes) if degrees is None else degrees
    alike = unvarying(value, sizes)
    reach = student.ppf((1 + LEVEL) / 2, degrees) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * student.sf(np.abs(value) / error, degrees)
    none = error < ROUNDING
    low, high = value - reach, value + reach
    return Differences(
        value,
        np.where(none, alike.low, low),
        np.where(none, alike.high, high),
        np.where(none, alike.p, p),
    )


def untested(value: FloatArray) -> Differences:
    """Differences (L,) of too few speakers for an interval or a p-value."""
    unknown = np.full(len(value), np.nan)
    return Differences(value, unknown, unknown, unknown)


def unvarying(value: FloatArray, sizes: FloatArray) -> Differences:
    """Intervals and p-values of differences d that are the same for all n effective speakers.

    Differences of shares lie between −1 and 1. If the population mean were 0, a share of at most
    1 / (1 + |d|) of all speakers could differ by d, and all n did: the exact binomial p is 2
    (1 + |d|)⁻ⁿ, at best 2 · 0.5ⁿ as in a sign test. The interval contains the means for which this
    p is at least 0.05: those where a share q = 1 − 0.025^(1 / n) of speakers is at either end
    (Clopper and Pearson's upper limit for 0 in n). Equal scores have no interval, as their
    difference is not an estimate.
    """
    n, d = effective_number(sizes), np.clip(value, -1, 1)
    q = np.where(np.abs(d) < ROUNDING, 0.0, 1 - ((1 - LEVEL) / 2) ** (1 / n))
    p = np.minimum(2 * (1 + np.abs(d)) ** -n, 1.0)
    p = np.where(np.abs(d) < ROUNDING, 1.0, p)
    return Differences(value, value - q * (1 + d), value + q * (1 - d), p)


def bonferroni(p: FloatArray, others: int) -> FloatArray:
    """One-sided p-values from two-sided ones, corrected for the number of ``others``; 1 stays 1."""
    return np.asarray(np.where(p < 1, np.minimum(others * p / 2, 1.0), p))


def _pairs(scores: FloatArray, best: int) -> FloatArray:
    return scores - scores[:, [best]]


def sizes_of(a: FloatArray, b: FloatArray) -> npt.NDArray[np.float64]:
    """(S,) utterances of each speaker in the comparison."""
    sizes: FloatArray = (a[0, :, _N] + b[0, :, _N]) / 2
    return sizes


def _t_over_normal(sizes: FloatArray) -> float:
    """Ratio of a quantile of Student's t to that of the nearly normal resamples, which corrects for
    their lighter tails."""
    tail = (1 + LEVEL) / 2
    return float(student.ppf(tail, degrees_of_freedom(sizes)) / norm.ppf(tail))
