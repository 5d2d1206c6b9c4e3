"""Score the best of many layers on speakers that were not used to choose it.

A layer chosen on the test split has the best of many scores there, and an interval around that
score ignores the choice: for uninformative layers it excludes 0 far too often. Here, as in BBC-CV
(Tsamardinos, Greasidou & Borboudakis 2018, Machine Learning 107, 1895-1922, doi
10.1007/s10994-018-5714-4), the choice is bootstrapped along with the score, and the scores are
those of held-out predictions, so no probe is retrained. BBC-CV scores the speakers that a resample
left out; here the speakers of a resample are dealt into parts, and each part is scored with the
layer that the others chose, so that all speakers count, and the interval of a single layer equals
that of its curve.

Every score here is 1 − loss / reference, sums over utterances: R² with squared errors about the
prediction and about the training mean, accuracy with the number of errors and of utterances.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from jobs.arrays import FloatArray
from jobs.statistics.classification import COUNTS, ClassSums, pool
from jobs.statistics.intervals import (
    LEVEL,
    ROUNDING,
    ScaleName,
    freedom,
    interval_of,
    jackknife_error,
    leave_one_out,
    on_scale,
    resample_weights,
    stretch,
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
    speakers. Its interval is that of the layer that is best on all speakers, widened by the factor
    by which the choice increases the variation over resamples of speakers. Each resample is dealt
    separately; a speaker drawn twice stays in one part. For a single layer, this is its score and
    its interval.

    Args:
        layers: of one model, at least one.
        resamples: number of deals, and of bootstrap samples.
        seed: of both.
        scale: scale of the interval: ``rest`` for R², ``share`` for accuracy.
        level: coverage that is asked for.

    Returns:
        NaN where fewer than two speakers were tested, or the target is constant.
    """
    speakers = tuple(sorted({name for layer in layers for name in layer.speakers}))
    if len(speakers) < 2:
        return Estimate(*[float("nan")] * 3)
    values = np.stack([layer.at(speakers) for layer in layers])
    dealt, drawn = cross_scores(values, resamples, seed)
    if np.isnan(dealt).any() or np.isnan(drawn).all():
        return Estimate(*[float("nan")] * 3)
    best = values[best_layer(values)]
    value, sizes = float(dealt.mean()), best[:, 0]
    spread, score, left_out = (
        on_scale(scores_of(best[None], weights)[:, 0], value, scale)
        for weights in (
            resample_weights(len(speakers), resamples, seed),
            np.ones((1, len(speakers))),
            leave_one_out(len(speakers)),
        )
    )
    known = left_out[~np.isnan(left_out)]
    error = float(jackknife_error(known)) if len(known) > 1 else float("nan")
    alone = interval_of(value, error, freedom(left_out, sizes), sizes, scale, level)
    dealt, drawn = on_scale(dealt, value, scale), on_scale(drawn, value, scale)
    factors = _by_choice(dealt, drawn, spread - score)
    return Estimate(value, *stretch(alone, value, scale, factors))


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


def choice_error(dealt: FloatArray, drawn: FloatArray, spread: FloatArray) -> float:
    """Standard error of the mean over deals, including the variation due to the choice.

    A resample is dealt only once, so its score also varies with the deal, which the mean over deals
    does not. That variance is subtracted (law of total variance), but the result is never below the
    variance of one layer without any choice.

    Args:
        dealt: (deals,) scores of all speakers, of ``cross_scores``.
        drawn: (R,) scores of resamples, of ``cross_scores``, NaN where not defined.
        spread: (R,) scores of one layer on the same resamples.
    """
    known = ~np.isnan(drawn)
    variance = float(drawn[known].var() - dealt.var())
    return float(max(variance, float(np.nanvar(spread))) ** 0.5)


def _by_choice(dealt: FloatArray, drawn: FloatArray, spread: FloatArray) -> tuple[float, float]:
    """Factors, below and above, by which the interval of the mean of ``dealt`` is wider than that
    of one layer; they differ because a choice among layers of which some are poor errs to one side.
    They are 1 for a mean at the end of its scale, where all deals are NaN.

    Args:
        dealt: as in ``choice_error``.
        drawn: as in ``choice_error``.
        spread: (R,) how far the one layer's score is from that of all speakers.
    """
    drawn, spread = drawn[~np.isnan(drawn)] - dealt.mean(), spread[~np.isnan(spread)]
    factors = []
    if np.isnan(dealt).any() or not len(drawn):
        return 1.0, 1.0
    for side in (-1, 1):
        chosen = 2 * float(np.mean(np.maximum(side * drawn, 0) ** 2)) - float(dealt.var())
        one = 2 * float(np.mean(np.maximum(side * spread, 0) ** 2))
        factors.append(max(1.0, chosen / one) ** 0.5 if one > ROUNDING**2 else 1.0)
    return factors[0], factors[1]


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
