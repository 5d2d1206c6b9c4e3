"""Problems in which something ties, and what the product answers; run as a program, as JSON."""

import json
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_info

from jobs.probes import cca, knn, logistic, ridge
from jobs.protocol.folds import Fold
from jobs.similarity.measures import leading_subspace, pwcca
from jobs.statistics.best_layer import SpeakerErrors, score_on_other_speakers

Answer = npt.NDArray[np.float64]


def forced_correlations() -> Answer:
    """PWCCA of 12 rows, in which layers of 4 to 30 directions share some whatever they hold."""
    rng = np.random.default_rng(0)
    common = rng.standard_normal((12, 2))
    layers = [
        leading_subspace(
            (common @ rng.standard_normal((2, width)) + rng.standard_normal((12, width)))
            * np.geomspace(1, 5, width),
            1,
        )
        for width in (4, 7, 9, 30)
    ]
    return np.array([pwcca(a, b) for a in layers for b in layers])


def cut_through_equal_variances() -> Answer:
    """PWCCA of a layer whose directions all carry the same variance."""
    rng = np.random.default_rng(1)
    codes = np.eye(8)[np.arange(40) % 8]
    other = rng.standard_normal((40, 5))
    return np.array(pwcca(leading_subspace(codes, 0.7), leading_subspace(other)))


def saturated_components() -> Answer:
    """Components of more directions than rows: all in-sample correlations are 1."""
    rng = np.random.default_rng(2)
    X, Y = rng.standard_normal((40, 60)).astype(np.float32), rng.standard_normal((40, 3))
    fold = Fold(train=np.arange(20), validation=np.arange(0), test=np.arange(20, 40))
    settings = cca.CcaSettings(variance=1, components=2)
    found = cca.fit_jointly(settings, X, Y, fold)
    return np.concatenate([found.activations, found.targets])


def equally_near() -> Answer:
    """Predictions of neighbours on a grid, where most are as near as others."""
    rng = np.random.default_rng(3)
    X = rng.integers(0, 3, (300, 6)).astype(np.float32)
    Y = np.stack([rng.standard_normal(300), rng.integers(0, 3, 300)], axis=1)
    fold = Fold(train=np.arange(200), validation=np.arange(200, 250), test=np.arange(250, 300))
    nobody = np.empty(0, dtype=np.str_)
    found = [
        probe(knn.KnnSettings(k=(3, 4), metric=metric), X, Y, fold, nobody, []).predictions
        for probe in (knn.fit_predict, knn.classify)
        for metric in ("euclidean", "cosine")
    ]
    return np.stack(found)


def equal_penalties() -> Answer:
    """Alphas of a layer that says nothing about its targets: it is constant."""
    rng = np.random.default_rng(4)
    X = np.full((60, 5), 0.1, dtype=np.float32)
    Y = np.stack([rng.standard_normal(60), rng.integers(0, 2, 60)], axis=1)
    fold = Fold(train=np.arange(30), validation=np.arange(30, 45), test=np.arange(45, 60))
    nobody = np.empty(0, dtype=np.str_)
    by_ridge = ridge.fit_predict(ridge.RidgeSettings(), X, Y, fold, nobody, [])
    classes = logistic.LogisticSettings()
    by_logistic = logistic.fit_predict(classes, X, Y[:, 1:], fold, nobody, [])
    return np.array([d["alpha"] for d in [*by_ridge.details, *by_logistic.details]])


def equal_layers() -> Answer:
    """The score of the best of layers that are equally good, errors being means of three seeds."""
    rng = np.random.default_rng(5)
    speakers = tuple(f"s{i:02}" for i in range(16))
    loss = rng.integers(0, 10, 16) / 3
    layers = []
    for _ in range(6):
        loss = rng.permutation(loss)
        values = np.stack([np.full(16, 6.0), loss, np.full(16, 6.0), np.full(16, 4.0)], axis=1)
        layers.append(SpeakerErrors(speakers, values))
    found = score_on_other_speakers(layers, 200, 0, "share")
    return np.array([found.value, found.low, found.high])


ANSWERS: dict[str, Callable[[], Answer]] = {
    "forced correlations": forced_correlations,
    "cut through equal variances": cut_through_equal_variances,
    "saturated components": saturated_components,
    "equally near": equally_near,
    "equal penalties": equal_penalties,
    "equal layers": equal_layers,
}


def main() -> None:
    """Write the kernels in use and all answers."""
    kernels = {one["architecture"] for one in threadpool_info() if "architecture" in one}
    answers = {name: answer().tolist() for name, answer in ANSWERS.items()}
    json.dump({"kernels": sorted(kernels), "answers": answers}, sys.stdout)


if __name__ == "__main__":
    main()
