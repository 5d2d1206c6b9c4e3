"""k nearest neighbours: a probe without trained parameters.

N training rows, n query rows, D features, C classes, k neighbours.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray
from jobs.probes.knn_settings import KnnSettings
from jobs.probes.result import ProbeResult
from jobs.probes.ridge import inner_folds
from jobs.probes.standardiser import fit_standardiser
from jobs.protocol.folds import Fold, IntArray, StrArray
from jobs.ties import first_lowest

TIED = 1e-12
"""Largest difference, as a share of the squared norms, at which squared distances count as
equal."""
ROWS = 256
"""Number of rows whose neighbours are searched at a time, so that distances fit in memory."""

Read = Callable[[FloatArray, Sequence[int]], FloatArray]
"""Function from (n, k_max) values of neighbours, nearest first, and the candidate k to (n, number
of k) predictions."""


def fit_predict(
    settings: KnnSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
) -> ProbeResult:
    """Predict every column of ``Y`` (U, K) from ``X`` (U, D) by the mean of the k nearest training
    rows.

    ŷ(x) = (1/k) Σ over the k training rows nearest to x (Fix & Hodges 1951; Cover & Hart 1967, IEEE
    Trans. Inf. Theory 13:21–27). Distances are Euclidean or cosine, in float64, between activations
    standardised on the training split. Each column takes the k with the lowest squared error on the
    validation split or, if there is none, over inner ``GroupKFold`` folds of the training speakers;
    the smallest if tied. A k above the number of rows of a fit is not tried there. All columns
    share one search.

    Returns:
        Predictions (n_test, K); details ``k``.

    Raises:
        ValueError: no validation split and fewer than two training speakers; fewer training rows
            than the smallest k.
    """
    return _fit_predict(settings, X, Y, fold, groups, _means, _squared_error)


def classify(
    settings: KnnSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
) -> ProbeResult:
    """Predict the most frequent code among the k nearest training rows; otherwise as
    ``fit_predict``.

    Ties are resolved to the smallest code. k is chosen by the number of errors.
    """
    return _fit_predict(settings, X, Y, fold, groups, _majorities, _misses)


def _fit_predict(
    settings: KnnSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    read: Read,
    loss: Callable[[FloatArray, FloatArray], FloatArray],
) -> ProbeResult:
    if fold.validation.size:
        asked = [(fold.train, fold.validation)]
    else:
        asked = list(inner_folds(fold.train, groups))
    ks = _possible(settings.k, min(len(fitted) for fitted, _ in asked))
    losses = np.zeros((Y.shape[1], len(ks)))
    for fitted, held_out in asked:
        for rows, nearest in _neighbours(settings, X, fitted, held_out, ks[-1]):
            for k, y in enumerate(Y.T):
                losses[k] += loss(y[rows], read(y[nearest], ks))
    best = first_lowest(losses)
    predictions = np.concatenate(
        [
            np.stack(
                [read(y[nearest], [ks[i]])[:, 0] for y, i in zip(Y.T, best, strict=True)], axis=1
            )
            for _, nearest in _neighbours(settings, X, fold.train, fold.test, ks[-1])
        ]
    )
    chosen = losses[np.arange(len(best)), best] / max(len(fold.validation), 1)
    return ProbeResult(
        predictions,
        [{"k": float(ks[i])} for i in best],
        validation_loss=chosen if fold.validation.size else None,
    )


def _possible(ks: tuple[int, ...], n_rows: int) -> tuple[int, ...]:
    possible = tuple(k for k in ks if k <= n_rows)
    if not possible:
        raise ValueError(
            f"{n_rows} training utterances have no {ks[0]} neighbours: set a smaller k"
        )
    return possible


def _neighbours(
    settings: KnnSettings,
    X: npt.NDArray[np.float32],
    fitted: IntArray,
    asked: IntArray,
    k_max: int,
) -> Iterator[tuple[IntArray, IntArray]]:
    """(rows of ``asked``, (n, k_max) their nearest rows of ``fitted``, nearest first), in blocks.

    ‖a − b‖² = ‖a‖² + ‖b‖² − 2a·b: one matrix product, the first term the same for every b. Of rows
    of length 1, it orders as the cosine distance does. Rows at equal distances up to rounding
    (``TIED``) are in the order of the table.
    """
    standardise = fit_standardiser(X[fitted])
    known = _scaled(settings, standardise(X[fitted]))
    lengths = np.einsum("nd,nd->n", known, known)
    for start in range(0, len(asked), ROWS):
        rows = asked[start : start + ROWS]
        asking = _scaled(settings, standardise(X[rows]))
        distances = lengths - 2 * (asking @ known.T)
        sizes = np.einsum("nd,nd->n", asking, asking) + lengths.max()
        yield rows, fitted[_nearest(distances, k_max, TIED * sizes[:, None])]


def _nearest(distances: FloatArray, k: int, tolerance: FloatArray) -> IntArray:
    """(n, k) positions of the lowest of ``distances`` (n, N), ascending; those that differ by no
    more than ``tolerance`` (n, 1) from the one before by position."""
    nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
    reach = np.take_along_axis(distances, nearest, axis=1).max(axis=1, keepdims=True) + tolerance
    width = int((distances <= reach).sum(axis=1).max())
    if width > k:
        nearest = np.argpartition(distances, width - 1, axis=1)[:, :width]
    found = np.take_along_axis(distances, nearest, axis=1)
    near_to_far = found.argsort(axis=1, kind="stable")
    nearest = np.take_along_axis(nearest, near_to_far, axis=1)
    found = np.take_along_axis(found, near_to_far, axis=1)
    rank = np.cumsum(np.diff(found, axis=1, prepend=found[:, :1]) > tolerance, axis=1)
    order = np.lexsort((nearest, rank), axis=1)[:, :k]
    return np.asarray(np.take_along_axis(nearest, order, axis=1))


def _scaled(settings: KnnSettings, rows: FloatArray) -> FloatArray:
    if settings.metric == "euclidean":
        return rows
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0))


def _means(values: FloatArray, ks: Sequence[int]) -> FloatArray:
    sums = values.cumsum(axis=1)
    return np.stack([sums[:, k - 1] / k for k in ks], axis=1)


def _majorities(values: FloatArray, ks: Sequence[int]) -> FloatArray:
    classes, codes = np.unique(values, return_inverse=True)
    codes = codes.reshape(values.shape)
    counts = np.zeros((len(values), len(classes)), dtype=np.int64)
    rows = np.arange(len(values))
    majorities, counted = [], 0
    for k in ks:
        for neighbour in range(counted, k):
            counts[rows, codes[:, neighbour]] += 1
        counted = k
        majorities.append(classes[counts.argmax(axis=1)])
    return np.stack(majorities, axis=1)


def _squared_error(y: FloatArray, predicted: FloatArray) -> FloatArray:
    return np.asarray(((y[:, None] - predicted) ** 2).sum(axis=0))


def _misses(y: FloatArray, predicted: FloatArray) -> FloatArray:
    return np.asarray((y[:, None] != predicted).sum(axis=0).astype(np.float64))
