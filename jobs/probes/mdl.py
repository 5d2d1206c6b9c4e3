"""Minimum description length: the bits that a layer saves in an online code of the target.

N training rows, D features, K targets, C classes, A alphas.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, softmax

from jobs.arrays import FloatArray
from jobs.probes import logistic
from jobs.probes.factorisations import Tridiagonal
from jobs.probes.logistic_settings import LogisticSettings
from jobs.probes.mdl_settings import MdlSettings
from jobs.probes.normal_equations import TrainingPart
from jobs.probes.result import ProbeResult, Weights
from jobs.probes.ridge_settings import ALPHAS
from jobs.protocol.folds import Fold, IntArray, StrArray
from jobs.statistics.regression import CONSTANT
from jobs.ties import first_lowest

PORTIONS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)
"""Shares of the training split after which a model is fitted: Voita & Titov 2020, section 4.1."""

CLASS_ALPHAS = (1e-3, 1e-2, 1e-1, 1.0)
"""Candidate penalties of the logistic model: fewer than ridge's, as each is a separate fit."""


def fit_predict(
    settings: MdlSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
) -> ProbeResult:
    """Compute the online code of numbers ``Y`` (U, K) given ``X`` (U, D), column k with
    ``seeds[k]``.

    The training split is sent in portions. Sender and receiver know X, fit a model on the portions
    sent so far, and code the next portion with it (Voita & Titov 2020, arXiv 2003.12298, section
    2.2.2):

        L = L_marginal(y₁) + Σ_t −log₂ p(y_t | X_t, portions before t)

    Speakers are sent whole, in an order drawn from the seed: a portion always consists of speakers
    new to the model, and recognising the speaker saves nothing.

    p is a normal distribution about the prediction of ridge regression, cut into intervals of
    ``precision``. Ridge is used rather than a perceptron since its fit is exact: the code then
    reflects the layer, not an optimiser. Penalty and variance are the best on the portions sent so
    far: the α that would have taken the fewest bits, and its mean squared error, to which one
    utterance of the marginal variance is added as a prior. The first portion takes the marginal
    code, the normal distribution with mean and variance of the training split, instead of the
    uniform code of the paper, which does not exist for numbers. L is compared with the marginal
    code of all portions.

    Predictions are those of the last model, fitted on the whole training split. The validation
    split is not used.

    Returns:
        Predictions (n_test, K); details ``codelength_bits``, ``marginal_bits``, ``compression``
        (marginal ÷ code: above 1 where the layer helps; it depends on the precision),
        ``bits_saved`` (per utterance; independent of it), ``portions``, ``alpha``. Bits are absent
        where the target is constant.

    Raises:
        ValueError: fewer than two training speakers.
    """
    rows, alphas = fold.train, np.asarray(ALPHAS)
    columns = Y[rows].T.copy()
    means, spread = columns.mean(axis=1), columns.std(axis=1)
    varies = spread > CONSTANT * np.abs(columns).max(axis=1)
    scaled = (columns - means[:, None]) / np.where(varies, spread, 1)[:, None]
    marginal = _normal_bits(scaled, np.ones(1), settings.precision)
    codes = [
        _Code(bits, alphas, bool(one_varies))
        for bits, one_varies in zip(marginal, varies, strict=True)
    ]
    _send_numbers(settings, X, rows, scaled, _orders(seeds, groups[rows]), codes)
    whole = TrainingPart(X[rows], Y[rows])
    test = whole.standardise(X[fold.test])
    predictions = [
        of_alphas[:, code.best()]
        for code, of_alphas in zip(codes, _ridge(whole, test, alphas), strict=True)
    ]
    return ProbeResult(np.stack(predictions, axis=1), [code.details() for code in codes])


def _send_numbers(
    settings: MdlSettings,
    X: npt.NDArray[np.float32],
    rows: IntArray,
    scaled: FloatArray,
    orders: Iterator[tuple[list[int], list[IntArray]]],
    codes: Sequence["_Code"],
) -> None:
    """Send all portions of the standardised targets ``scaled`` (K, N) of ``rows`` (N,) of X."""
    alphas = np.asarray(ALPHAS)
    squared_errors = np.ones((len(codes), len(alphas)))
    for of_seed, portions in orders:
        for k in of_seed:
            codes[k].begin(portions[0])
        for sent, following in _steps(portions):
            part = TrainingPart(X[rows[sent]], scaled[of_seed][:, sent].T)
            predicted = _ridge(part, part.standardise(X[rows[following]]), alphas)
            variance = squared_errors[of_seed] / (1 + len(sent) - len(portions[0]))
            for k, ours, of_alpha in zip(of_seed, predicted, variance, strict=True):
                missed = scaled[k, following, None] - ours
                codes[k].add(_normal_bits(missed, of_alpha, settings.precision).sum(axis=0))
                squared_errors[k] += (missed**2).sum(axis=0)


def classify(
    settings: MdlSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
) -> ProbeResult:
    """Compute the online code of classes, codes ``Y`` (U, K); all else as in ``fit_predict``.

    p(y | x) is that of multinomial logistic regression on the n rows sent so far, mixed with the
    uniform distribution over the C classes of the training split, as if that were one more row:
    (n p + 1/C) / (n + 1). So a class that was not sent yet has a finite code. The marginal code is
    that of the classes' frequencies in the training split.
    """
    rows, alphas = fold.train, np.asarray(CLASS_ALPHAS)
    codes, n_classes = [], []
    for y in Y[rows].T:
        _, of_row, counts = np.unique(y, return_inverse=True, return_counts=True)
        codes.append(_Code(-np.log2(counts / len(y))[of_row], alphas, len(counts) > 1))
        n_classes.append(len(counts))
    for of_seed, portions in _orders(seeds, groups[rows]):
        for k in of_seed:
            codes[k].begin(portions[0])
        for sent, following in _steps(portions):
            bits = np.empty((len(alphas), len(of_seed)))
            for a, alpha in enumerate(alphas):
                fitted = _logistic(X, Y[:, of_seed], rows[sent], rows[following], alpha)
                for j, k in enumerate(of_seed):
                    p = _probabilities(fitted.weights[j], X[rows[following]], Y[rows[following], k])
                    mixed = (len(sent) * p + 1 / n_classes[k]) / (len(sent) + 1)
                    bits[a, j] = -np.log2(mixed).sum()
            for j, k in enumerate(of_seed):
                codes[k].add(bits[:, j])
    predictions = np.empty((len(fold.test), len(codes)))
    best = np.array([code.best() for code in codes])
    for a in np.unique(best):
        chosen = np.flatnonzero(best == a)
        fitted = _logistic(X, Y[:, chosen], rows, fold.test, alphas[a])
        predictions[:, chosen] = fitted.predictions
    return ProbeResult(predictions, [code.details() for code in codes])


def online_portions(groups: StrArray, seed: int) -> list[IntArray]:
    """Return the rows of every portion: whole ``groups`` (N,), in an order drawn from ``seed``.

    A portion ends with the group that reaches the share in ``PORTIONS``; empty portions are left
    out.

    Raises:
        ValueError: there are fewer than two groups.
    """
    names, of_row = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"an online code needs at least 2 training speakers, found {len(names)}: the first "
            "portion is what the second is predicted from"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    sent = np.bincount(of_row)[order].cumsum()
    last = np.searchsorted(sent, np.array(PORTIONS) * sent[-1] * (1 - 1e-12))
    ends = np.unique(last) + 1
    rank = np.argsort(order)[of_row]
    starts = [0, *ends[:-1].tolist()]
    return [np.flatnonzero((rank >= a) & (rank < b)) for a, b in zip(starts, ends, strict=True)]


class _Code:
    """Bits of one problem: those sent, and those that each α alone would have taken."""

    def __init__(self, marginal: FloatArray, alphas: FloatArray, varies: bool) -> None:
        self._marginal, self._alphas, self._varies = marginal, alphas, varies  # (N,), (A,)
        self._sent, self._portions = 0.0, 0
        self._by_alpha = np.zeros(len(alphas))

    def begin(self, rows: IntArray) -> None:
        """Send the first portion."""
        self._sent, self._portions = float(self._marginal[rows].sum()), 1

    def add(self, bits: FloatArray) -> None:
        """Send a portion that takes ``bits`` (A,), with the α that is best so far."""
        self._sent += float(bits[self.best()])
        self._by_alpha += bits
        self._portions += 1

    def best(self) -> int:
        """Return the α that would have taken the fewest bits; the largest if tied."""
        return len(self._alphas) - 1 - int(first_lowest(self._by_alpha[::-1]))

    def details(self) -> dict[str, float]:
        """Return the details of ``fit_predict``."""
        found = {"portions": float(self._portions), "alpha": float(self._alphas[self.best()])}
        if not self._varies:
            return found
        marginal = float(self._marginal.sum())
        return found | {
            "codelength_bits": self._sent,
            "marginal_bits": marginal,
            "compression": marginal / self._sent,
            "bits_saved": (marginal - self._sent) / len(self._marginal),
        }


def _orders(seeds: Sequence[int], groups: StrArray) -> Iterator[tuple[list[int], list[IntArray]]]:
    """Yield (columns of a seed, its portions) for every seed."""
    for seed in sorted(set(seeds)):
        yield [k for k, own in enumerate(seeds) if own == seed], online_portions(groups, seed)


def _steps(portions: Sequence[IntArray]) -> Iterator[tuple[IntArray, IntArray]]:
    """(rows sent so far, rows of the next portion)."""
    for i in range(1, len(portions)):
        yield np.sort(np.concatenate(portions[:i])), portions[i]


def _ridge(part: TrainingPart, rows: FloatArray, alphas: FloatArray) -> Iterator[FloatArray]:
    """(n, A) predictions of every target for standardised ``rows`` (n, D)."""
    equations = part.equations()
    factored = Tridiagonal(equations.matrix)
    for side, mean in zip(equations.sides, equations.means, strict=True):
        solution = factored.solve(side, equations.n_rows * alphas)
        yield mean + rows @ equations.weights(solution)


def _logistic(
    X: npt.NDArray[np.float32], Y: FloatArray, sent: IntArray, asked: IntArray, alpha: float
) -> ProbeResult:
    """Fit logistic regressions on rows ``sent`` with one α, so that the rows for the choice do not
    matter."""
    fold = Fold(train=sent, validation=sent[:1], test=asked)
    nobody = np.empty(0, dtype=np.str_)
    return logistic.fit_predict(LogisticSettings(alphas=(alpha,)), X, Y, fold, nobody, [])


def _probabilities(weights: Weights, X: npt.NDArray[np.float32], y: FloatArray) -> FloatArray:
    """(n,) of the codes ``y``, for activations ``X`` (n, D); 0 for a code without weights."""
    classes = weights["classes"]
    p = softmax(X.astype(np.float64) @ weights["weight"].T + weights["bias"], axis=1)
    column = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    return np.where(classes[column] == y, p[np.arange(len(y)), column], 0.0)


def _normal_bits(missed: FloatArray, variance: FloatArray, width: float) -> FloatArray:
    """(n, A) bits of deviations ``missed`` (n, A) from the mean, by intervals of ``width``.

    −log₂(Φ(b) − Φ(a)) with a, b = (|missed| ∓ width/2) / σ, by the upper tails, where a difference
    of two numbers near 1 would be lost.
    """
    sd = np.sqrt(variance)
    near = log_ndtr((width / 2 - np.abs(missed)) / sd)
    far = log_ndtr((-width / 2 - np.abs(missed)) / sd)
    return np.asarray(-(near + np.log(-np.expm1(far - near))) / math.log(2))
