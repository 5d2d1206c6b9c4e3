"""The best of many layers, scored on speakers that had no part in choosing it.

A layer chosen on the test part has the best of many scores there, and an interval around that
score ignores the choice: on layers that know nothing it lies above 0 far too often. Here, as in
BBC-CV (Tsamardinos, Greasidou & Borboudakis 2018, Machine Learning 107, 1895-1922, doi
10.1007/s10994-018-5714-4), the choice is bootstrapped along with the score, and what is scored is
held-out predictions, so no probe is trained again. BBC-CV scores on whom a resample left out; here
the speakers of a resample are dealt into parts, and each part is scored with the layer that the
others chose, so that all of them count and one layer has exactly the interval of its curve.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.metrics import SUMS, FloatArray, SpeakerSums, resample_weights

PARTS = 5
"""The speakers are dealt into so many parts, as nearly equal as can be."""

_COLUMNS = [SUMS.index(name) for name in ("n", "sse", "sst")]


@dataclass(frozen=True)
class SpeakerErrors:
    """What a layer's MSE and R² on any set of test speakers need."""

    speakers: tuple[str, ...]
    values: FloatArray
    """(S, 3): n, SSE, SST, summed over folds and averaged over seeds."""


@dataclass(frozen=True)
class Estimate:
    """A score with its interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def speaker_errors(runs: Sequence[Sequence[SpeakerSums]]) -> SpeakerErrors:
    """Errors by speaker of one layer, from the sums of every fold of every seed."""
    speakers = tuple(sorted({name for run in runs for sums in run for name in sums.speakers}))
    position = {name: i for i, name in enumerate(speakers)}
    values = np.zeros((len(speakers), len(_COLUMNS)))
    for run in runs:
        for sums in run:
            values[[position[name] for name in sums.speakers]] += sums.values[:, _COLUMNS]
    return SpeakerErrors(speakers, values / len(runs))


def r2_on_other_speakers(
    layers: Sequence[SpeakerErrors], resamples: int, seed: int, level: float = 0.95
) -> Estimate:
    """R² of the layer with the lowest MSE, on speakers that had no part in choosing it.

    Speakers are dealt into ``PARTS`` at random; each part is scored with the layer that the others
    chose: R² = 1 − Σ SSE / Σ SST over the parts. The value is the mean over deals of all speakers,
    the interval the percentiles over resamples of speakers, each dealt anew; whoever is drawn twice
    is in one part. With one layer this is its R² and its bootstrap interval.

    Args:
        layers: of one model, at least one.
        resamples: number of deals, and of bootstrap samples.
        seed: of both.
        level: coverage that is asked for.

    Returns:
        NaN where fewer than two speakers were tested, or the target is constant.
    """
    speakers = tuple(sorted({name for layer in layers for name in layer.speakers}))
    if len(speakers) < 2:
        return Estimate(*[float("nan")] * 3)
    position = {name: i for i, name in enumerate(speakers)}
    sums = np.zeros((len(_COLUMNS), len(speakers), len(layers)))
    for column, layer in enumerate(layers):
        sums[:, [position[name] for name in layer.speakers], column] = layer.values.T
    dealing = np.random.default_rng([seed, 1])
    everyone = np.ones((resamples, len(speakers)))
    over_deals = _cross_scored(sums, everyone, dealing)
    drawn = resample_weights(len(speakers), resamples, seed)
    over_resamples = _cross_scored(sums, drawn, dealing)
    over_resamples = over_resamples[~np.isnan(over_resamples)]
    if np.isnan(over_deals).any() or not over_resamples.size:
        return Estimate(*[float("nan")] * 3)
    low, high = np.quantile(over_resamples, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(over_deals.mean()), float(low), float(high))


def _cross_scored(
    sums_CSL: FloatArray, weights_RS: FloatArray, dealing: np.random.Generator
) -> FloatArray:
    """(R,) R²; NaN where fewer than two speakers were drawn, or Σ SST is 0."""
    order = np.where(weights_RS > 0, dealing.random(weights_RS.shape), np.inf)
    part_RS = order.argsort(axis=1).argsort(axis=1) % PARTS
    all_CRL = weights_RS @ sums_CSL
    sse = sst = np.zeros(len(weights_RS))
    for part in range(PARTS):
        scored_CRL = weights_RS * (part_RS == part) @ sums_CSL
        chosen = _lowest_mse(all_CRL - scored_CRL)[:, None]
        sse = sse + np.take_along_axis(scored_CRL[1], chosen, axis=1)[:, 0]
        sst = sst + np.take_along_axis(scored_CRL[2], chosen, axis=1)[:, 0]
    defined = ((weights_RS > 0).sum(axis=1) >= 2) & (sst > 0)
    return 1 - np.divide(sse, sst, out=np.full_like(sse, np.nan), where=defined)


def _lowest_mse(sums_CRL: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """(R,) position of the best layer; the first where none of them was tested."""
    n, sse, _ = sums_CRL
    mse = np.divide(sse, n, out=np.full_like(sse, np.inf), where=n > 0)
    chosen: np.ndarray[tuple[int], np.dtype[np.intp]] = mse.argmin(axis=1)
    return chosen
