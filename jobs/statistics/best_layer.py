"""Score the best of many layers on speakers that were not used to choose it.

A layer chosen on the test split has the best of many scores there, and an interval around that
score ignores the choice: for uninformative layers it excludes 0 far too often. Here, as in BBC-CV
(Tsamardinos, Greasidou & Borboudakis 2018, Machine Learning 107, 1895-1922, doi
10.1007/s10994-018-5714-4), the choice is bootstrapped along with the score, and the scores are
those of held-out predictions, so no probe is retrained. BBC-CV scores the speakers that a resample
left out; here the speakers of a resample are dealt into parts, and each part is scored with the
layer that the others chose, so that all speakers count, and the interval of a single layer equals
that of its curve. In `tests/benchmarks/STATISTICS.md`, the 95 % interval of the best of twelve
layers holds its true score in 93 to 100 % of experiments, 97 % on average.

Every score here is 1 − loss / reference, sums over utterances: R² with squared errors about the
prediction and about the training mean, accuracy with the number of errors and of utterances.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from jobs.arrays import FloatArray
from jobs.statistics.classification import COUNTS, ClassSums, pool
from jobs.statistics.intervals import (
    LEAST_UNITS,
    LEVEL,
    NO_INTERVAL,
    ROUNDING,
    ScaleName,
    degrees_of_freedom,
    freedom,
    interval_of,
    jackknife_error,
    leave_one_out,
    on_scale,
    resample_weights,
)
from jobs.statistics.regression import SUMS, SpeakerSums
from jobs.ties import IntArray, first_lowest

PARTS = 5
"""Number of parts that speakers are dealt into, as nearly equal as possible."""

ERRORS = ("n", "loss", "reference", "nothing")
"""Columns of ``SpeakerErrors.values``; the last is the loss of the no-skill prediction: the
training mean, which is the reference of R², or a class that is predicted for every utterance."""

_COLUMNS = [SUMS.index(name) for name in ("n", "sse", "sst", "sst")]


@dataclass(frozen=True)
class SpeakerErrors:
    """Sums from which a layer's mean loss and score on any set of test speakers follow."""

    speakers: tuple[str, ...]
    values: FloatArray
    """(S, 4), columns ``ERRORS``, summed over folds and averaged over seeds."""

    def at(self, speakers: Sequence[str]) -> FloatArray:
        """(S, 4) values for ``speakers``, a superset of its own speakers; 0 for the others."""
        position = {name: i for i, name in enumerate(speakers)}
        values = np.zeros((len(speakers), len(ERRORS)))
        values[[position[name] for name in self.speakers]] = self.values
        return values

    def without_reference(self) -> "SpeakerErrors":
        """Drop the reference losses, so that no score is defined."""
        kept = [name in ("n", "loss") for name in ERRORS]
        return replace(self, values=np.where(kept, self.values, 0.0))


@dataclass(frozen=True)
class Estimate:
    """A score with its interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def speaker_errors(runs: Sequence[Sequence[SpeakerSums]]) -> SpeakerErrors:
    """Compute the squared errors by speaker of one layer from the sums of every fold and seed."""
    speakers = tuple(sorted({name for run in runs for sums in run for name in sums.speakers}))
    position = {name: i for i, name in enumerate(speakers)}
    values = np.zeros((len(speakers), len(_COLUMNS)))
    for run in runs:
        for sums in run:
            values[[position[name] for name in sums.speakers]] += sums.values[:, _COLUMNS]
    return SpeakerErrors(speakers, values / len(runs))


def class_errors(
    runs: Sequence[Sequence[ClassSums]], majority: Sequence[Sequence[float]]
) -> SpeakerErrors:
    """Compute the classification errors by speaker of one layer from the sums of every fold and
    seed: the loss of an utterance is 1 where its class was not predicted.

    ``majority`` holds the code of each such fold's most frequent class in the training split. The
    no-skill prediction is that class, or the most frequent class of all tested utterances where it
    is right more often: folds whose training and test splits differ in their classes would
    otherwise put it below chance.
    """
    speakers = tuple(sorted({name for folds in runs for sums in folds for name in sums.speakers}))
    position = {name: i for i, name in enumerate(speakers)}
    values = np.zeros((len(speakers), len(ERRORS)))
    for folds, guesses in zip(runs, majority, strict=True):
        pooled = pool(folds)
        constant = pooled.classes[pooled.values.sum(axis=0)[COUNTS.index("occurs")].argmax()]
        candidates = guesses, [constant] * len(folds)
        best = max(candidates, key=lambda codes: sum(map(_guessed_in_all, folds, codes)))
        for sums, guess in zip(folds, best, strict=True):
            hits, n, _ = sums.values.sum(axis=2).T
            columns = np.stack([n, n - hits, n, n - _guessed(sums, guess)], axis=1)
            values[[position[name] for name in sums.speakers]] += columns
    return SpeakerErrors(speakers, values / len(runs))


def _guessed(sums: ClassSums, code: float) -> FloatArray:
    """(S,) utterances of each speaker whose class is ``code``."""
    occurs = sums.values[:, COUNTS.index("occurs")]
    return np.asarray(occurs[:, [own == code for own in sums.classes]].sum(axis=1))


def _guessed_in_all(sums: ClassSums, code: float) -> float:
    return float(_guessed(sums, code).sum())


def score_on_other_speakers(
    layers: Sequence[SpeakerErrors],
    resamples: int,
    seed: int,
    scale: ScaleName = "rest",
    level: float = LEVEL,
) -> Estimate:
    """Score the layer with the lowest mean loss on speakers that were not used to choose it.

    Speakers are dealt into ``PARTS`` at random; each part is scored with the layer that the others
    chose: 1 − Σ loss / Σ reference over the parts. The value is the mean over deals of all
    speakers. Its interval is Student's t on the ``scale``, with the variance of the layer that is
    best on all speakers, multiplied by the factor by which the choice increases the variance over
    resamples of speakers (``choice_factor``), and with the ``choice_freedom`` of that sum. For a
    single layer, these are its score and its interval.

    Args:
        layers: of one model, at least one.
        resamples: number of deals, and of bootstrap samples.
        seed: of both.
        scale: scale of the interval: ``rest`` for R², ``share`` for accuracy.
        level: coverage that is asked for.

    Returns:
        NaN where fewer than two speakers were tested, or the target is constant. The ends are NaN
        with fewer than ``LEAST_UNITS`` speakers.
    """
    speakers = tuple(sorted({name for layer in layers for name in layer.speakers}))
    if len(speakers) < 2:
        return Estimate(*[float("nan")] * 3)
    values = np.stack([layer.at(speakers) for layer in layers])
    dealt, drawn = cross_scores(values, resamples, seed)
    if np.isnan(dealt).any() or np.isnan(drawn).all():
        return Estimate(*[float("nan")] * 3)
    best, value = values[best_layer(values)], float(dealt.mean())
    left_out = scores_of(best[None], leave_one_out(len(speakers)))[:, 0]
    left_out = left_out[~np.isnan(left_out)]
    if len(left_out) < LEAST_UNITS:
        return Estimate(value, *NO_INTERVAL)
    spread = scores_of(best[None], resample_weights(len(speakers), resamples, seed))[:, 0]
    again = second_deals(values, resamples, seed)
    factor = choice_factor(*(on_scale(one, value, scale) for one in (drawn, again, spread)))
    without, sizes = on_scale(left_out, value, scale), best[:, 0]
    error = float(jackknife_error(without)) * factor**0.5
    degrees = choice_freedom(factor, freedom(without, sizes), sizes)
    return Estimate(value, *interval_of(value, error, degrees, sizes, scale, level))


def cross_scores(values: FloatArray, resamples: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return (deals,) and (R,) scores of the layer that other speakers chose, NaN if undefined.

    Args:
        values: (L, S, 4) errors of the layers of one model.
        resamples: number of deals, and of resamples R.
        seed: of both. Models with the same speakers have the same deals and resamples: their
            scores are paired.
    """
    sums_CSL = values[:, :, :3].transpose(2, 1, 0)
    n_speakers = values.shape[1]
    dealing = np.random.default_rng([seed, 1])
    dealt = _cross_scored(sums_CSL, np.ones((resamples, n_speakers)), dealing)
    drawn = _cross_scored(sums_CSL, resample_weights(n_speakers, resamples, seed), dealing)
    return dealt, drawn


def second_deals(values: FloatArray, resamples: int, seed: int) -> FloatArray:
    """(R,) scores of the same resamples as ``cross_scores``, of (L, S, 4) ``values``, dealt into
    parts independently of it."""
    sums_CSL = values[:, :, :3].transpose(2, 1, 0)
    weights = resample_weights(values.shape[1], resamples, seed)
    return _cross_scored(sums_CSL, weights, np.random.default_rng([seed, 2]))


def choice_factor(drawn: FloatArray, again: FloatArray, spread: FloatArray) -> float:
    """Factor by which the choice of a layer increases the variance of a score, at least 1.

    A resample's score also varies with its deal, which the mean over deals does not. The variance
    of that mean is the covariance of two independent deals of each resample (law of total
    covariance); it is compared with the variance of one layer without any choice.

    Args:
        drawn: (R,) scores of resamples, of ``cross_scores``, NaN where not defined.
        again: (R,) scores of the same resamples, of ``second_deals``.
        spread: (R,) scores of one layer on the same resamples.
    """
    known = np.isfinite(drawn) & np.isfinite(again) & np.isfinite(spread)
    if known.sum() < 2:
        return 1.0
    chosen = float(np.cov(drawn[known], again[known], bias=True)[0, 1])
    one = float(spread[known].var())
    return max(1.0, chosen / one) if one > ROUNDING**2 else 1.0


def choice_freedom(factor: float, of_layer: float, sizes: FloatArray) -> float:
    """Degrees of freedom of the variance of one layer with ``of_layer``, times ``factor``.

    What the choice adds averages over several layers and deals: no single speaker decides it, and
    it has the degrees of freedom of the ``sizes`` (S,). As both are estimated from the same
    speakers, their relative errors √(2 / d) are averaged with the weights of the variances, as
    those of fully dependent estimates.
    """
    own, most = 1 / factor, max(of_layer, degrees_of_freedom(sizes))
    return float((own / of_layer**0.5 + (1 - own) / most**0.5) ** -2)


def scores_of(values: FloatArray, weights: FloatArray) -> FloatArray:
    """(R, L) scores 1 − Σ loss / Σ reference of (L, S, 4) ``values`` under ``weights`` (R, S)."""
    loss, reference = (weights @ values[:, :, column].T for column in (1, 2))
    return 1 - np.divide(loss, reference, out=np.full_like(loss, np.nan), where=reference > 0)


def best_layer(values: FloatArray) -> int:
    """Position of the layer with the lowest mean loss in (L, S, 4) ``values``; the first if
    tied."""
    n, loss, reference = (values[:, :, column].sum(axis=1) for column in range(3))
    return int(first_lowest(loss / n, reference / n))


def _cross_scored(
    sums_CSL: FloatArray, weights_RS: FloatArray, dealing: np.random.Generator
) -> FloatArray:
    """(R,) scores; NaN where fewer than two speakers were drawn, or the references sum to 0."""
    order = np.where(weights_RS > 0, dealing.random(weights_RS.shape), np.inf)
    part_RS = order.argsort(axis=1).argsort(axis=1) % PARTS
    all_CRL = weights_RS @ sums_CSL
    loss = reference = np.zeros(len(weights_RS))
    for part in range(PARTS):
        scored_CRL = weights_RS * (part_RS == part) @ sums_CSL
        chosen = _chosen(all_CRL - scored_CRL)[:, None]
        loss = loss + np.take_along_axis(scored_CRL[1], chosen, axis=1)[:, 0]
        reference = reference + np.take_along_axis(scored_CRL[2], chosen, axis=1)[:, 0]
    defined = ((weights_RS > 0).sum(axis=1) >= 2) & (reference > 0)
    return 1 - np.divide(loss, reference, out=np.full_like(loss, np.nan), where=defined)


def _chosen(sums_CRL: FloatArray) -> IntArray:
    """(R,) position of the best layer; the first if layers tie or none was tested."""
    n, loss, reference = sums_CRL
    mean = np.divide(loss, n, out=np.full_like(loss, np.inf), where=n > 0)
    scale = np.divide(reference, n, out=np.zeros_like(loss), where=n > 0)
    return first_lowest(mean, scale)
