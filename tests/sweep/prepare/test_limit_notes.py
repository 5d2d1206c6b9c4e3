"""Warnings of measured values that stand at a limit of the search."""

import numpy as np
import pandas as pd

from sweep.prepare.notes import limit_notes


def f0(*values: float) -> pd.DataFrame:
    return pd.DataFrame({"f0_mean": values, "cps": 1.0})


def test_values_near_a_limit_of_the_search_are_counted() -> None:
    table = f0(61, 65.9, 66.1, 120, 540, 546, 599, np.nan)
    (note,) = limit_notes(["cps", "f0_mean"], (), table)
    assert note.startswith(
        "4 of 8 utterances have f0_mean within 10% of a limit of its search, 60 and 600 Hz"
    )


def test_without_such_values_there_is_no_note() -> None:
    assert limit_notes(["cps", "f0_mean"], (), f0(90, 220, np.nan)) == []
    assert limit_notes(["cps"], (), f0(61)) == []


def test_a_column_of_the_corpus_has_no_search_and_no_note() -> None:
    assert limit_notes(["f0_mean"], ["f0_mean"], f0(61)) == []
