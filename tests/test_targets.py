"""Targets: values by hand, and what an unknown name is told."""

import pandas as pd
import pytest

from jobs.targets import TARGETS, add_targets


@pytest.fixture
def table():
    return pd.DataFrame({"text": ["HE'S 12 TODAY", "ÉTÉ", "A B C"], "seconds": [2.0, 0.5, 4.0]})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        # H E S 1 2 T O D A Y: ten letters and digits; the apostrophe and the spaces do not count.
        ("cps", [10 / 2, 3 / 0.5, 3 / 4]),
        ("cps_with_spaces", [13 / 2, 3 / 0.5, 5 / 4]),
        ("words_per_second", [3 / 2, 1 / 0.5, 3 / 4]),
        ("duration", [2.0, 0.5, 4.0]),
    ],
)
def test_values_by_hand(table, name, values):
    column = add_targets(table, [name])[name]
    assert column.dtype == float
    assert list(column) == values


def test_the_table_that_was_given_stays_as_it_is(table):
    before = table.copy()
    assert list(add_targets(table, TARGETS).columns) == [*before.columns, *TARGETS]
    pd.testing.assert_frame_equal(table, before)


def test_every_target_has_a_unit_a_kind_and_a_description():
    for name, target in TARGETS.items():
        assert name == target.name
        assert target.kind == "regression"
        assert target.unit
        assert target.description


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("CPS", "cps"), ("words_per_sec", "words_per_second"), ("cps_with_space", "cps_with_spaces")],
)
def test_an_unknown_name_is_told_a_valid_one(table, wrong, nearest):
    with pytest.raises(ValueError, match=f"did you mean '{nearest}'") as caught:
        add_targets(table, ["cps", wrong])
    assert all(name in str(caught.value) for name in TARGETS)


@pytest.mark.parametrize("name", ["speaker_id", "split"])
def test_a_class_is_refused_because_no_probe_fits_it(table, name):
    with pytest.raises(ValueError, match=f"{name}' is a class.*predict numbers"):
        add_targets(table, [name])
