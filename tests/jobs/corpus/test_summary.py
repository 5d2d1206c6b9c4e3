"""Statistics of a part: on known data, against an analysis of variance done by other means."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f_oneway

from jobs.corpus.summary import between_speaker_share, describe_split


def spoken(seed, sizes, between, within):
    """Values of speakers with ``sizes`` utterances, with chosen variances between and within."""
    rng = np.random.default_rng(seed)
    speakers = np.repeat([f"{number:03d}" for number in range(len(sizes))], sizes)
    levels = np.repeat(rng.normal(0, np.sqrt(between), len(sizes)), sizes)
    order = rng.permutation(len(speakers))
    y = 12 + levels + rng.normal(0, np.sqrt(within), len(speakers))
    return y[order], speakers[order]


@pytest.mark.parametrize("sizes", [[5] * 8, [2, 3, 40, 1, 7, 12], [1, 2]])
def test_icc_follows_from_the_f_statistic_of_scipy(sizes):
    y, speakers = spoken(1, sizes, 0.4, 0.6)
    f = f_oneway(*(y[speakers == one] for one in sorted(set(speakers)))).statistic
    n0 = (sum(sizes) - sum(size**2 for size in sizes) / sum(sizes)) / (len(sizes) - 1)
    # Numerator and denominator of the estimator divided by the mean square within.
    expected = max((f - 1) / (f + n0 - 1), 0)
    assert between_speaker_share(y, speakers) == pytest.approx(expected, rel=1e-9)


def test_icc_is_the_analysis_of_variance_done_by_hand():
    # Speakers a: 1, 3; b: 5, 7, 9. Means 2, 7; overall 5. SSB = 2·9 + 3·4 = 30, MSB = 30;
    # SSW = 2 + 8 = 10, MSW = 10 / 3; n0 = 5 − 13 / 5 = 2.4.
    y, speakers = np.array([1.0, 5.0, 3.0, 9.0, 7.0]), np.array(["a", "b", "a", "b", "b"])
    expected = (30 - 10 / 3) / (30 + 1.4 * 10 / 3)
    assert between_speaker_share(y, speakers) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.38, 0.9])
def test_icc_finds_the_share_that_was_put_in(share):
    # 600 speakers with 5 to 20 utterances: the standard error is 0.02 at most.
    sizes = np.random.default_rng(0).integers(5, 21, 600)
    y, speakers = spoken(2, sizes, share, 1 - share)
    assert between_speaker_share(y, speakers) == pytest.approx(share, abs=0.05)


def test_icc_is_0_where_speakers_differ_less_than_chance():
    y, speakers = np.array([0.0, 2.0, 0.0, 2.0]), np.array(["a", "a", "b", "b"])
    assert between_speaker_share(y, speakers) == 0
    # Ten speakers with hardly more than an utterance each: the estimator itself is -11.
    y, speakers = np.array([*[0.0] * 10, 1.0]), np.array([*map(str, range(10)), "0"])
    assert between_speaker_share(y, speakers) == 0


@pytest.mark.parametrize(
    ("y", "speakers"),
    [([1.0, 2.0], "aa"), ([1.0, 2.0], "ab"), ([0.1] * 6, "aaabbb"), ([], "")],
    ids=["one speaker", "one utterance each", "all values equal", "nothing"],
)
def test_icc_is_undefined_without_variance_to_share(y, speakers):
    assert between_speaker_share(np.array(y), np.array(list(speakers), dtype=str)) is None


def test_a_part_is_counted_and_its_missing_values_are_left_out():
    table = pd.DataFrame(
        {
            "speaker_id": ["7", "7", "NA", "NA"],
            "seconds": [900.0, 900.0, 1800.0, 3600.0],
            "cps": [10.0, 14.0, np.nan, 12.0],
            "whole": [1.0, 2.0, 3.0, 4.0],
        }
    )
    measures = describe_split(table, ["cps", "whole"])
    assert measures["utterances"] == 4
    assert measures["speakers"] == 2
    assert measures["hours"] == 2.0
    assert measures["mean seconds"] == 1800.0
    assert (measures["cps mean"], measures["cps SD"], measures["cps missing"]) == (12.0, 2.0, 1)
    assert measures["whole SD"] == pytest.approx(np.sqrt(5 / 3))
    assert "whole missing" not in measures


def test_classes_are_counted_with_the_share_of_the_largest():
    table = pd.DataFrame(
        {"speaker_id": list("aabbc"), "seconds": 1.0, "sex": ["F", "F", "M", "", "F"]}
    )
    measures = describe_split(table, ["sex"])
    assert {name: value for name, value in measures.items() if name.startswith("sex")} == {
        "sex classes": 2, "sex majority": 0.75, "sex missing": 1,
    }  # fmt: skip
    assert describe_split(table[table["sex"] == ""], ["sex"])["sex majority"] is None


def test_nothing_is_described_without_a_warning():
    table = pd.DataFrame({"speaker_id": [], "seconds": [], "cps": []})
    assert describe_split(table, ["cps"]) == {
        "utterances": 0, "speakers": 0, "hours": 0.0, "mean seconds": None,
        "cps mean": None, "cps SD": None, "cps ICC": None,
    }  # fmt: skip
