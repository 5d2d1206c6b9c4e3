"""Intervals over speakers at the ends of their scales, and with few speakers."""

import numpy as np
import pytest
from scipy import stats

from jobs.statistics.intervals import freedom, interval_of, on_scale, speaker_interval

EQUAL = np.full(20, 6.0)


@pytest.mark.parametrize("n", [5, 14, 40])
def test_answers_that_are_all_right_have_the_exact_bound_of_as_many_speakers(n):
    sizes = np.full(n, 5.0)
    low, high = speaker_interval(1.0, np.ones(n), sizes, "share")
    assert (low, high) == pytest.approx((0.025 ** (1 / n), 1.0), rel=1e-12)
    none = speaker_interval(0.0, np.zeros(n), sizes, "share")
    assert none == pytest.approx((0.0, 1 - 0.025 ** (1 / n)), rel=1e-12)


def test_unequal_speakers_bound_a_share_less_closely():
    sizes = np.array([100.0, *np.ones(9)])
    assert speaker_interval(1.0, np.ones(10), sizes, "share")[0] < 0.06  # hardly more than one


def test_a_share_is_known_at_least_as_well_as_if_every_speaker_were_all_right_or_all_wrong():
    """One of 5 speakers has all the errors: t with two degrees of freedom knows less than that."""
    sizes = np.full(5, 6.0)
    without = np.full(5, 18 / 24)
    without[0] = 1.0
    low, high = speaker_interval(24 / 30, without, sizes, "share")
    exact = stats.binomtest(4, 5).proportion_ci(0.95)
    assert (low, high) == pytest.approx((exact.low, exact.high), rel=1e-9)


def test_degrees_of_freedom_are_fewer_where_a_few_speakers_decide():
    rng = np.random.default_rng(0)
    alike, unlike = rng.standard_normal(20), rng.standard_normal(20) ** 5
    skewed = np.concatenate([np.arange(18.0), [18.0, 30.0]])
    assert freedom(alike, EQUAL) > 15 > freedom(skewed, EQUAL) > 9.5 == freedom(unlike, EQUAL)
    kurtosis = float(stats.kurtosis(skewed, bias=False))
    assert freedom(skewed, EQUAL) == pytest.approx(2 * 20 / (kurtosis + 2))
    assert freedom(np.zeros(20), EQUAL) == 19
    assert freedom(alike[:3], EQUAL[:3]) == 2  # too few for a kurtosis
    assert freedom(alike[:2], np.array([1.0, 50.0])) == 1


@pytest.mark.parametrize(
    ("scale", "value", "bounds"),
    [("error", 0.1, (0, np.inf)), ("rest", 0.9, (-np.inf, 1)), ("correlation", -0.9, (-1, 1))],
)
def test_an_interval_stays_within_what_the_score_can_be(scale, value, bounds):
    low, high = interval_of(value, 2.0, 5, EQUAL, scale)
    assert bounds[0] <= low < value < high <= bounds[1]


def test_without_any_error_or_score_there_is_a_point_or_nothing():
    assert interval_of(0.5, 0.0, 19, EQUAL, "rest") == (0.5, 0.5)
    assert interval_of(0.0, np.nan, 19, EQUAL, "error") == (0.0, 0.0)
    assert np.isnan(speaker_interval(np.nan, np.ones(20), EQUAL, "rest")).all()
    assert np.isnan(speaker_interval(0.5, np.array([0.4, np.nan]), EQUAL[:2], "rest")).all()


@pytest.mark.parametrize("scale", ["rest", "share", "error", "correlation", "plain"])
def test_fewer_than_five_speakers_have_no_interval(scale):
    without = np.array([0.3, 0.35, 0.4, 0.45, 0.41])
    assert np.isnan(speaker_interval(0.4, without[:4], EQUAL[:4], scale)).all()
    low, high = speaker_interval(0.4, without, EQUAL[:5], scale)
    assert low < 0.4 < high


def test_what_has_no_place_on_the_scale_is_put_there_by_the_slope():
    values = np.array([0.2, 0.3, np.nan])
    np.testing.assert_allclose(on_scale(values, 0.3, "error"), np.log(values))
    beyond = np.array([0.2, 0.0])
    np.testing.assert_allclose(on_scale(beyond, 0.2, "error"), np.log(0.2) + (beyond - 0.2) / 0.2)
