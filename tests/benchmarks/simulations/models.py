"""Size and power of the comparison of two models at their best layers.

Size is the share of experiments in which the interval of the difference leaves out the true
difference of the layers that it compares, which is also how often p is below 0.05 if that
difference is subtracted. Fitted probes are never exactly equally good, so that the share of
p-values below 0.05 of two alike models is a size only for classes. Power is the share of p-values
below 0.05 where model b is worse.
"""

from collections.abc import Iterator

import numpy as np

from jobs.arrays import FloatArray
from jobs.statistics.best_layer import best_layer
from jobs.statistics.differences import between_chosen, between_models
from tests.benchmarks.simulations import before
from tests.benchmarks.simulations.generate import (
    LAYERS,
    Classes,
    Numbers,
    Population,
    below,
    falling,
)
from tests.benchmarks.simulations.table import Tests

RESAMPLES = 100
SPEAKERS = ((6, 6), (6, 10), (10, 20), (40, 40))
"""Numbers of validation and of test speakers."""
METHODS = ("before", "without validation", "chosen on validation")
PEAK = falling(0.3)
WORSE = tuple(0.8 * q for q in PEAK)

ALIKE: dict[str, Population] = {
    "R² 0": Numbers(0.0, (0.0,) * LAYERS * 2),
    "R² 0.5": Numbers(0.5, PEAK * 2),
    "R² 0.5, equal layers": Numbers(0.5, (1.0,) * LAYERS * 2),
    "R² 0.9, equal speakers": Numbers(0.9, PEAK * 2, equal=True),
    "R² 0.5, unlike speakers": Numbers(0.5, PEAK * 2, spread=0.5),
    "R² 0.6, 10 % of speakers wild": Numbers(0.6, PEAK * 2, bad=0.1, factor=4.0),
    "accuracy 0.8, equal layers": Classes(0.8, (0.0,) * LAYERS * 2),
    "accuracy 0.95, equal layers": Classes(0.95, (0.0,) * LAYERS * 2),
}
UNLIKE: dict[str, Population] = {
    "R² 0.5 against 0.4": Numbers(0.5, PEAK + WORSE),
    "R² 0.5 against 0.4, equal layers": Numbers(0.5, (1.0,) * LAYERS + (0.8,) * LAYERS),
    "R² 0.9 against 0.72": Numbers(0.9, PEAK + WORSE),
    "accuracy 0.9 against 0.83": Classes(0.9, below(0.8) + tuple(b + 0.33 for b in below(0.8))),
}

Found = tuple[float, float, float]
"""p and the ends of the interval."""


def tables(experiments: int) -> Iterator[Tests]:
    """Yield the tables of size and of power."""
    sizes = Tests("Size at nominal 5 %: models that are alike", METHODS)
    power = Tests("Power at nominal 5 %: model b is worse", METHODS)
    for n_validation, n_test in SPEAKERS:
        for settings, table in ((ALIKE, sizes), (UNLIKE, power)):
            for name, population in settings.items():
                called: dict[str, list[bool]] = {method: [] for method in METHODS}
                for number in range(experiments):
                    rng = np.random.default_rng([n_test, n_validation, number])
                    (validation, test), truth = population.draw(rng, n_validation, n_test)
                    for method, (p, low, high), true in _compared(validation, test, truth):
                        reject = p < 0.05 if table is power else not low <= true <= high
                        called[method].append(reject)
                table.add(
                    f"{name}, {n_validation} + {n_test} speakers",
                    {method: (float(np.mean(called[method])),) for method in METHODS},
                )
    yield sizes
    yield power


def _compared(
    validation: FloatArray, test: FloatArray, truth: FloatArray
) -> Iterator[tuple[str, Found, float]]:
    """Yield (method, what it found, true difference of the layers that it is about)."""
    a, b = test[:LAYERS], test[LAYERS:]
    at_best = float(truth[best_layer(a)] - truth[LAYERS + best_layer(b)])
    yield METHODS[0], before.between_models(a, b, RESAMPLES, 0), at_best
    found = between_models(a, b, RESAMPLES, 0)
    yield METHODS[1], (float(found.p[0]), float(found.low[0]), float(found.high[0])), at_best
    first, second = best_layer(validation[:LAYERS]), best_layer(validation[LAYERS:])
    found = between_chosen(a[[first]], b[[second]])
    true = float(truth[first] - truth[LAYERS + second])
    yield METHODS[2], (float(found.p[0]), float(found.low[0]), float(found.high[0])), true
