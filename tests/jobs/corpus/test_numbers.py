"""Numbers in text: what is one, what only resembles one, and the decimal mark of a column."""

import math

import pandas as pd
import pytest

from jobs.corpus.numbers import as_numbers, decimal_mark, is_number, number, other_notation


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("3", 3.0),
        ("-3.5", -3.5),
        ("+.5", 0.5),
        ("5.", 5.0),
        ("007", 7.0),
        ("1e-3", 0.001),
        ("2.5E+2", 250.0),
        (" 4.25\u00a0", 4.25),
        ("-inf", -math.inf),
        ("Infinity", math.inf),
        ("1e400", math.inf),
    ],
)
def test_numbers_have_their_values(cell, value):
    assert is_number(cell)
    assert number(cell) == value


@pytest.mark.parametrize("cell", ["", " ", "NA", "n/a", "NaN", "null", "None", "-nan"])
def test_missing_values_are_nan(cell):
    assert is_number(cell)
    assert math.isnan(number(cell))


@pytest.mark.parametrize(
    "cell",
    [
        "1_02",
        "1_000",
        "10_2",
        "０１",
        "٣",
        "1,5",
        "1,000",
        "45%",
        "−5",
        "0x10",
        "1 000",
        "five",
        "1.2.3",
    ],
)
def test_what_python_or_people_may_take_for_a_number_is_none(cell):
    assert not is_number(cell)
    with pytest.raises(ValueError, match="expected a number, found"):
        number(cell)


def test_names_that_differ_by_an_underscore_stay_apart():
    cells = pd.Series(["1_02", "10_2", "102"])
    assert list(as_numbers(cells)) == ["1_02", "10_2", "102"]


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["1.5", "2", "", "NA"], "."),
        (["1", "2"], "."),
        ([], "."),
        (["1,5", "2", "", "-0,25"], ","),
        (["0,125", "0,250"], ","),
        (["1,234", "1,5"], ","),
        (["1234,567"], ","),
        (["1,234", "2,345"], None),
        (["1,5", "1.5"], None),
        (["1.234,5"], None),
        (["1,5", "high"], None),
        (["1_000"], None),
    ],
)
def test_the_decimal_mark_of_a_column_is_the_one_that_all_of_it_allows(cells, mark):
    assert decimal_mark(cells) == mark


def test_a_column_is_read_with_its_decimal_mark():
    assert list(as_numbers(pd.Series(["1,5", "2", ",25", "1e2"]), ",")) == [1.5, 2.0, 0.25, 100.0]
    assert list(as_numbers(pd.Series(["1.5"]), ",")) == ["1.5"]


@pytest.mark.parametrize(
    ("cell", "notation"),
    [
        ("1,5", "decimal comma"),
        ("1,234", "may be a decimal mark or separate thousands"),
        ("1,234,567", "thousands"),
        ("1.234,5", "thousands"),
        ("1_000", "thousands"),
        ("1 000", "thousands"),
        ("1\u202f000,5", "thousands"),
        ("12.5 %", "percent"),
        ("1,5%", "percent"),
        ("０１", "digits 0 to 9"),
        ("٣٫٥", None),
        ("٣٥", "digits 0 to 9"),
        ("−5", "digits 0 to 9"),
        ("1_02", None),
        ("3.5", None),
        ("3", None),
        ("inf", None),
        ("north", None),
        ("", None),
        ("%", None),
    ],
)
def test_other_notations_are_told_from_names(cell, notation):
    found = other_notation(cell)
    assert found is None if notation is None else notation in found
