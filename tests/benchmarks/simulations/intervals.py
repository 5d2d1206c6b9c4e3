"""Coverage and width of intervals: of one layer, and of the layer that is best of twelve."""

from collections.abc import Iterator

import numpy as np

from jobs.arrays import FloatArray
from jobs.statistics.best_layer import SpeakerErrors, best_layer, score_on_other_speakers, scores_of
from jobs.statistics.intervals import leave_one_out, speaker_interval
from tests.benchmarks.simulations import before
from tests.benchmarks.simulations.generate import (
    LAYERS,
    Classes,
    Numbers,
    Population,
    below,
    falling,
)
from tests.benchmarks.simulations.table import Table

RESAMPLES = 200
SPEAKERS = (6, 10, 20, 40)
PEAK = falling(0.3)

SETTINGS: dict[str, Population] = {
    "R² 0, equal layers": Numbers(0.0, (0.0,) * LAYERS),
    "R² 0.3, equal speakers": Numbers(0.3, PEAK, equal=True),
    "R² 0.3": Numbers(0.3, PEAK),
    "R² 0.6, equal layers": Numbers(0.6, (1.0,) * LAYERS),
    "R² 0.9, equal speakers": Numbers(0.9, PEAK, equal=True),
    "R² 0.9": Numbers(0.9, PEAK),
    "R² 0.5, unlike speakers": Numbers(0.5, PEAK, spread=0.5),
    "R² 0.6, 10 % of speakers wild": Numbers(0.6, PEAK, bad=0.1, factor=4.0),
    "R² 0.9, exactly one wild": Numbers(0.9, PEAK, equal=True, one_bad=True, factor=6.0),
    "accuracy 0.6, equal layers": Classes(0.6, (0.0,) * LAYERS),
    "accuracy 0.9": Classes(0.9, below(0.8)),
    "accuracy 0.98, like layers": Classes(0.98, below(0.1)),
}

Ends = tuple[float, float]


def tables(experiments: int) -> Iterator[Table]:
    """Yield the tables of the chosen layer and of one layer."""
    chosen = Table("The best of twelve layers", ("before", "after"))
    single = Table("One layer, not chosen", ("before", "after"))
    for n in SPEAKERS:
        for name, population in SETTINGS.items():
            held: dict[tuple[str, str], list[bool]] = {}
            width: dict[tuple[str, str], list[float]] = {}
            for number in range(experiments):
                rng = np.random.default_rng([n, number])
                (values,), truth = population.draw(rng, n)
                best = best_layer(values)
                for key, (low, high), true in _intervals(values, truth, best, population.scale):
                    held.setdefault(key, []).append(low <= true <= high)
                    width.setdefault(key, []).append(max(high, -1) - max(low, -1))
            for table, kind in ((chosen, "chosen"), (single, "single")):
                table.add(
                    f"{name}, {n} speakers",
                    {when: _summary(held[kind, when], width[kind, when]) for when in table.methods},
                )
    yield chosen
    yield single


def _summary(held: list[bool], width: list[float]) -> tuple[float, float, float]:
    """Coverage, mean width and the width that one in twenty exceeds."""
    return float(np.mean(held)), float(np.mean(width)), float(np.quantile(width, 0.95))


def _intervals(
    values: FloatArray, truth: FloatArray, best: int, scale: str
) -> Iterator[tuple[tuple[str, str], Ends, float]]:
    """Yield ((what, when), interval, true score) of one experiment."""
    assert scale in ("rest", "share")
    n = values.shape[1]
    names = tuple(f"{s:03d}" for s in range(n))
    layers = [SpeakerErrors(names, one) for one in values]
    found = score_on_other_speakers(layers, RESAMPLES, 0, scale)
    true = float(truth[best])
    yield ("chosen", "before"), before.of_chosen(values, RESAMPLES, 0, scale), true
    yield ("chosen", "after"), (found.low, found.high), true
    first = values[:1]
    value = float(scores_of(first, np.ones((1, n)))[0, 0])
    left_out = scores_of(first, leave_one_out(n))[:, 0]
    after = speaker_interval(value, left_out, first[0, :, 0], scale)
    yield ("single", "before"), before.of_layer(first[0], scale), float(truth[0])
    yield ("single", "after"), after, float(truth[0])
