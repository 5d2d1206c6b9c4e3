"""``python -m tests.benchmarks.beyond_coverage``: intervals of what a layer adds to nuisances.

It writes ``BEYOND.md``. Seeds are fixed: the numbers are the same on every machine, up to rounding.
"""

import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray
from jobs.beyond.banded_ridge import BandedRidge, Rows, Trial, WideBand, choose_alphas
from jobs.beyond.settings import BEYOND_ALPHAS
from jobs.process import limit_threads
from jobs.statistics.attainable import within_reach
from jobs.statistics.best_layer import SpeakerErrors, speaker_errors
from jobs.statistics.differences import between_chosen
from jobs.statistics.regression import speaker_sums

FILE = Path(__file__).with_name("BEYOND.md")
EXPERIMENTS = 200
EACH, WIDTH, MANY = 10, 60, 400
"""Utterances of a speaker, width of the layer, and test speakers that stand for the population."""
INTRODUCTION = f"""\
# Intervals of what a layer adds to nuisances

`OMP_NUM_THREADS=1 python -m tests.benchmarks.beyond_coverage` writes this file ({EXPERIMENTS}
experiments a row: the standard error of a coverage of 0.95 is 0.015). A target is the sum of a
nuisance (one of 5, with effects of speakers), of a value that only the layer has, times *effect*,
of an effect of the speaker, and of noise whose size differs between speakers; *unequal* means that
every tenth speaker has three times the noise. The layer (width {WIDTH}) mixes nuisances and its own
value. 30 speakers are trained on and 10 validated on, with {EACH} utterances each.

The truth is R²(nuisances + layer) − R²(nuisances) of the *trained* probes on {MANY} other speakers.
Without an effect it is slightly below 0 on average, since the layer adds noise to the probe, and
slightly above 0 in some experiments. *Said to add* is the share of experiments with p below 0.05
and a positive difference, *wrongly* that of those whose truth is not above 0.

| test speakers | effect | noise | truth | coverage | width | said to add | wrongly |
|---:|---:|---|---:|---:|---:|---:|---:|
"""


class Split(NamedTuple):
    """Utterances of some speakers."""

    speakers: npt.NDArray[np.str_]
    nuisances: Rows
    X: Rows
    y: FloatArray


def draw(
    rng: np.random.Generator, n_speakers: int, effect: float, mixing: FloatArray, *, unequal: bool
) -> Split:
    """Draw the utterances of ``n_speakers`` new speakers."""
    of = np.repeat(np.arange(n_speakers), EACH)
    n = len(of)
    nuisances = rng.standard_normal((n, 5)) + 0.5 * rng.standard_normal((n_speakers, 5))[of]
    own = rng.standard_normal(n) + 0.5 * rng.standard_normal(n_speakers)[of]
    noise = np.exp(0.3 * rng.standard_normal(n_speakers))
    if unequal:
        noise[::10] *= 3
    y = nuisances[:, 0] + effect * own + 0.7 * rng.standard_normal(n_speakers)[of]
    y += noise[of] * rng.standard_normal(n)
    X = np.column_stack([nuisances, own]) @ mixing + 0.3 * rng.standard_normal((n, WIDTH))
    names = np.array([f"s{number:03d}" for number in of])
    return Split(names, nuisances.astype(np.float32), X.astype(np.float32), y)


def experiment(seed: int, n_test: int, effect: float, *, unequal: bool) -> tuple[float, ...]:
    """Return truth, whether the interval covers it, its width, whether the layer is said to add
    something, and whether that is wrong."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((6, WIDTH))
    train, validation, test, population = (
        draw(rng, n, effect, mixing, unequal=unequal) for n in (30, 10, n_test, MANY)
    )
    losses, scores = [], []
    for wide in (WideBand(train.X), None):
        fit = BandedRidge([train.nuisances], wide, train.y[:, None])
        held = fit.hold([validation.nuisances], validation.X)
        trial = Trial(fit, held, validation.y[:, None])
        start = [len(BEYOND_ALPHAS) // 2] * fit.n_bands
        alphas = [BEYOND_ALPHAS[at] for at in choose_alphas([trial], BEYOND_ALPHAS, start)]
        tested, truly = (
            _errors(split, fit.predict(alphas, fit.hold([split.nuisances], split.X))[:, 0], train)
            for split in (test, population)
        )
        losses.append(tested.values[None])
        _, loss, reference, _ = truly.values.sum(axis=0)
        scores.append(1 - loss / reference)
    found = within_reach(between_chosen(*losses), *losses, "rest")
    truth, low, high = scores[0] - scores[1], found.low[0], found.high[0]
    said = found.p[0] < 0.05 and found.value[0] > 0
    wrongly = said and truth <= 0
    return truth, float(low <= truth <= high), high - low, float(said), float(wrongly)


def _errors(split: Split, predicted: FloatArray, train: Split) -> SpeakerErrors:
    sums = speaker_sums(split.y, predicted, float(train.y.mean()), split.speakers)
    return speaker_errors([[sums]])


def main() -> None:
    """Simulate, and write the table."""
    limit_threads(1)
    rows = []
    for n_test, effect, unequal in itertools.product((6, 10, 20, 40), (0.0, 1.0), (False, True)):
        seeds = range(EXPERIMENTS)
        found = np.array([experiment(seed, n_test, effect, unequal=unequal) for seed in seeds])
        values = " | ".join(f"{value:.3f}" for value in found.mean(axis=0))
        noise = "unequal" if unequal else "alike"
        rows.append(f"| {n_test} | {effect:g} | {noise} | {values} |")
        print(rows[-1], flush=True)
    FILE.write_text(INTRODUCTION + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
