"""Normal equations with rows taken out against those of the rows that stay."""

import numpy as np
import pytest

from jobs.probes import standardiser
from jobs.probes.normal_equations import TrainingPart


def problem(n_rows, width):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, width)) * rng.uniform(0.1, 30, width) + 100
    X[: n_rows // 3] += 3  # so that a part's mean is not the whole's
    Y = rng.standard_normal((n_rows, 2)) + np.array([1000, -3])
    return X.astype(np.float32), Y


def least_squares(equations, penalty):
    matrix = equations.matrix + penalty * np.eye(len(equations.matrix))
    return [equations.weights(np.linalg.solve(matrix, side)) for side in equations.sides]


@pytest.mark.parametrize("width", [1, 20, 90])
@pytest.mark.parametrize("block", [7, 2048])
def test_rows_taken_out_leave_the_equations_of_the_others(width, block, monkeypatch):
    monkeypatch.setattr(standardiser, "BLOCK", block)
    X, Y = problem(60, width)
    out = np.arange(0, 60, 4)
    kept = np.setdiff1d(np.arange(60), out)
    part = TrainingPart(X, Y)
    Z = part.standardise(X)[kept]
    centre = Z.mean(axis=0)
    Z -= centre
    equations = part.equations_without(out)
    np.testing.assert_allclose(equations.centre, centre, atol=1e-12)
    np.testing.assert_allclose(equations.means, Y[kept].mean(axis=0), rtol=1e-12)
    assert equations.n_rows == len(kept)
    expected = np.linalg.solve(Z.T @ Z + 0.5 * np.eye(width), Z.T @ (Y[kept] - equations.means))
    for found, column in zip(least_squares(equations, 0.5), expected.T, strict=True):
        np.testing.assert_allclose(found, column, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("width", [20, 90])
def test_no_row_taken_out_leaves_all(width):
    part = TrainingPart(*problem(60, width))
    every, none_out = part.equations(), part.equations_without(np.empty(0, dtype=np.int64))
    np.testing.assert_allclose(none_out.matrix, every.matrix, atol=1e-10)
    np.testing.assert_allclose(none_out.sides, every.sides, atol=1e-10)
    np.testing.assert_allclose(none_out.means, every.means)
