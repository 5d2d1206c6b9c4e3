"""Rows 9 to 11: ridge and CCA beside scikit-learn, on the same rows with the same alphas."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jobs.arrays import FloatArray
from jobs.probes import CcaSettings, RidgeSettings, cca, ridge
from jobs.probes.ridge_settings import ALPHAS
from jobs.protocol.folds import Fold, IntArray, StrArray
from tests.benchmarks.measure import interleaved, ratios
from tests.benchmarks.result import Result, Target
from tests.benchmarks.workbench import Workbench

ROWS = 2000
"""Utterances: a fold of five has 1200 to train on, and 400 to choose and to test on."""
SPEAKERS = 40
TARGETS = {512: 16, 5120: 4}
"""By width of the layer."""


@dataclass(frozen=True)
class Problem:
    """Activations of few underlying directions, as layers have them, and noisy targets."""

    X: npt.NDArray[np.float32]
    Y: FloatArray
    fold: Fold
    groups: StrArray

    def seeds(self) -> list[int]:
        return [0] * self.Y.shape[1]


def problem(bench: Workbench, width: int, n_targets: int) -> Problem:
    """The first of five folds by speaker."""
    rng = np.random.default_rng(0)
    n_rows = ROWS // 5 if bench.quick else ROWS
    hidden = rng.standard_normal((n_rows, 40))
    X = hidden @ rng.standard_normal((40, width)) + rng.standard_normal((n_rows, width))
    Y = hidden[:, :n_targets] + rng.standard_normal((n_rows, n_targets))
    speaker = np.arange(n_rows) % SPEAKERS
    part = speaker // (SPEAKERS // 5)
    train, validation, test = (np.flatnonzero(rows) for rows in (part > 1, part == 1, part == 0))
    groups = np.array([f"s{number:02d}" for number in speaker])
    return Problem(X.astype(np.float32), Y, Fold(train, validation, test), groups)


def ridge_folds(bench: Workbench) -> list[Result]:
    """A fold, of which five are alike; scikit-learn with one target, of which all are alike."""
    results = []
    for (width, n_targets), target in zip(
        TARGETS.items(), (Target(40, 100), Target(15, 40)), strict=True
    ):
        data = problem(bench, width, n_targets)

        def ours(data: Problem = data) -> FloatArray:
            settings = RidgeSettings()
            return ridge.fit_predict(
                settings, data.X, data.Y, data.fold, data.groups, data.seeds()
            ).predictions

        def theirs(data: Problem = data) -> FloatArray:
            return _sklearn_ridge(data.X, data.Y[:, 0], data.fold)

        np.testing.assert_allclose(ours()[:, 0], theirs(), atol=1e-7)
        seconds = interleaved({"ours": ours, "theirs": theirs}, bench.repetitions(7))
        results.append(
            Result(
                row=9,
                what=f"ridge, scikit-learn a target ÷ ours, D {width}, {n_targets} targets",
                values=tuple(n_targets * ratio for ratio in ratios(seconds, "theirs", "ours")),
                target=target,
            )
        )
    return results


def _sklearn_ridge(X: npt.NDArray[np.float32], y: FloatArray, fold: Fold) -> FloatArray:
    """Standardised once, fitted with every alpha, the best on validation: predictions."""
    scaler = StandardScaler().fit(X[fold.train].astype(np.float64))

    def scaled(rows: IntArray) -> FloatArray:
        return np.asarray(scaler.transform(X[rows].astype(np.float64)))

    train, validation = scaled(fold.train), scaled(fold.validation)
    fitted = [Ridge(alpha=alpha * len(train)).fit(train, y[fold.train]) for alpha in ALPHAS]
    errors = [np.sum((one.predict(validation) - y[fold.validation]) ** 2) for one in fitted]
    return np.asarray(fitted[int(np.argmin(errors))].predict(scaled(fold.test)))


def ridge_leave_one_out(bench: Workbench) -> list[Result]:
    """All rows are trained on; both serve all targets at once."""
    results = []
    for (width, n_targets), target in zip(
        TARGETS.items(), (Target(3, 8), Target(1, 1.7)), strict=True
    ):
        data = problem(bench, width, n_targets)
        every = np.arange(len(data.X))
        fold = Fold(every, every[:0], data.fold.test)
        penalties = [alpha * (len(every) - 1) for alpha in ALPHAS]

        def ours(data: Problem = data, fold: Fold = fold) -> list[float]:
            settings = RidgeSettings(choose="loo")
            found = ridge.fit_predict(settings, data.X, data.Y, fold, data.groups, data.seeds())
            return [entry["alpha"] for entry in found.details]

        def theirs(
            data: Problem = data, fold: Fold = fold, penalties: list[float] = penalties
        ) -> FloatArray:
            model = make_pipeline(StandardScaler(), RidgeCV(penalties, alpha_per_target=True))
            model.fit(data.X[fold.train].astype(np.float64), data.Y[fold.train])
            model.predict(data.X[fold.test].astype(np.float64))
            return np.asarray(model[-1].alpha_)

        np.testing.assert_allclose(np.array(ours()) * (len(every) - 1), theirs())
        seconds = interleaved({"ours": ours, "theirs": theirs}, bench.repetitions(7))
        results.append(
            Result(
                row=10,
                what=f"leave-one-out ridge, scikit-learn ÷ ours, D {width}, {n_targets} targets",
                values=ratios(seconds, "theirs", "ours"),
                target=target,
            )
        )
    return results


def canonical(bench: Workbench) -> list[Result]:
    """Held-out canonical correlation with each target; scikit-learn's is given one at a time."""
    width = 512
    results, error = [], 0.0
    for n_targets, target in ((1, Target(3, 6)), (16, Target(40, 80))):
        data = problem(bench, width, n_targets)
        if bench.quick:  # fewer rows than features would all be fitted exactly
            data = Problem(data.X[:, :64], data.Y, data.fold, data.groups)

        def ours(data: Problem = data) -> list[float]:
            found = cca.fit_predict(
                CcaSettings(variance=1), data.X, data.Y, data.fold, data.groups, data.seeds()
            )
            return [
                _correlation(predicted, y)
                for predicted, y in zip(found.predictions.T, data.Y[data.fold.test].T, strict=True)
            ]

        def theirs(data: Problem = data) -> float:
            return _sklearn_cca(data.X, data.Y[:, :1], data.fold)

        error = max(error, abs(ours()[0] - theirs()))
        seconds = interleaved({"ours": ours, "theirs": theirs}, bench.repetitions(9))
        what = f"CCA, scikit-learn a target ÷ ours, D {width}, {n_targets} target(s)"
        values = tuple(n_targets * ratio for ratio in ratios(seconds, "theirs", "ours"))
        results.append(Result(row=11, what=what, values=values, target=target))
    what = "CCA, difference of the held-out correlations ÷ 1e-9"
    return [*results, Result(row=11, what=what, values=(error / 1e-9,), target=Target(1, 1))]


def _sklearn_cca(X: npt.NDArray[np.float32], y: FloatArray, fold: Fold) -> float:
    model = CCA(n_components=1, max_iter=500)
    model.fit(X[fold.train].astype(np.float64), y[fold.train])
    variates = model.transform(X[fold.test].astype(np.float64))[:, 0]
    on_training = model.transform(X[fold.train].astype(np.float64))[:, 0]
    sign = np.sign(_correlation(on_training, y[fold.train, 0]))
    return float(sign * _correlation(variates, y[fold.test, 0]))


def _correlation(a: FloatArray, b: FloatArray) -> float:
    return float(np.corrcoef(a, b)[0, 1])
