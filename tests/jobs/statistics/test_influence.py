"""A speaker who decides a score, by hand and by Grubbs's published critical values."""

import numpy as np
import pytest

from jobs.statistics.best_layer import SpeakerErrors
from jobs.statistics.influence import _critical_share, deciding_speaker


def errors_of(losses, references, sizes=10):
    losses, references = np.asarray(losses, float), np.asarray(references, float)
    n = np.full(len(losses), float(sizes))
    names = tuple(f"s{i}" for i in range(len(losses)))
    return SpeakerErrors(names, np.stack([n, losses, references, references], axis=1))


def test_one_bad_speaker_decides_and_the_score_is_that_of_the_others():
    losses = [2.0, 2.5, 1.5, 2.2, 1.8, 60.0, 2.1, 1.9]
    found = deciding_speaker(errors_of(losses, [10] * 8), "rest")
    assert found.speaker == "s5"
    others = [loss for loss in losses if loss != 60]
    assert found.without == pytest.approx(1 - sum(others) / 70, rel=1e-12)


def test_a_speaker_who_props_a_score_up_decides_it_as_well():
    losses, references = [10, 11, 9, 10.5, 9.5, 5.0], [10, 10, 10, 10, 10, 200]
    found = deciding_speaker(errors_of(losses, references), "rest")
    assert found.speaker == "s5" and found.without == pytest.approx(0.0, abs=1e-12)


def test_nobody_decides_where_speakers_are_alike_or_fewer_than_five():
    assert deciding_speaker(errors_of([2, 2.5, 1.5, 2.2, 1.8, 2.1], [10] * 6), "rest") is None
    assert deciding_speaker(errors_of([2, 2, 2, 60], [10] * 4), "rest") is None
    assert deciding_speaker(errors_of([2] * 6, [10] * 6), "rest") is None  # no variance at all
    assert deciding_speaker(errors_of([0] * 6, [0] * 6), "rest") is None  # no score


def test_the_only_error_of_a_probe_that_is_nearly_always_right_is_no_news():
    right = errors_of([0] * 19 + [2], [10] * 20)
    assert deciding_speaker(right, "share") is None
    wrong = errors_of([0] * 19 + [10], [10] * 20)  # accuracy 0.95, and 1 without
    assert deciding_speaker(wrong, "share").without == 1.0


@pytest.mark.parametrize(("n", "critical"), [(5, 1.715), (10, 2.290), (20, 2.709), (40, 3.036)])
def test_the_threshold_is_that_of_grubbs_two_sided_test(n, critical):
    """Tabulated critical values of G = max |x − x̄| / s at 5 %; the share is G² / (n − 1)."""
    assert _critical_share(n) == pytest.approx(critical**2 / (n - 1), rel=1e-3)


def test_like_speakers_are_named_in_at_most_five_percent_of_runs():
    rng = np.random.default_rng(0)
    named = 0
    for _ in range(400):
        losses = np.maximum(5 + rng.standard_normal(8), 0.1)
        found = deciding_speaker(errors_of(losses, np.full(8, 10.0)), "rest")
        named += found is not None
    assert named / 400 <= 0.05
