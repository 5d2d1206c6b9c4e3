"""Failures in a line a cause."""

from dataclasses import replace

import pytest

from sweep.progress.causes import Causes, causes_of
from sweep.state.ledger import Record

WIDE = "RuntimeError: mat1 and mat2 shapes cannot be multiplied (240x80 and 64x512)"
RECORD = Record(
    cell_id="0", status="failed", error=f"extraction failed: {WIDE} (my_model.py:5, in forward)",
    model="bad", layer="stem", layer_index=0, target="cps", probe="ridge", seed=0, fold=0,
    control="none",
)  # fmt: skip


def lines(causes, width=None):
    return [cause.line(width) for cause in causes]


def failed(error=RECORD.error, layers=("stem",), **fields):
    return [replace(RECORD, error=error, layer=layer, **fields) for layer in layers]


def test_layers_with_the_same_mistake_are_one_line_that_ends_with_its_place():
    records = failed(layers=[f"layers.{n}" for n in range(51)])
    records += [replace(RECORD, model="good", status="done", error=None)]
    assert lines(causes_of(records, ["ridge"])) == [
        f"bad: 51 layers, {WIDE} at my_model.py:5 in forward"
    ]


def test_a_narrow_line_keeps_the_place():
    [line] = lines(causes_of(failed(), ["ridge"]), 70)
    assert len(line) == 70
    assert line.startswith("bad: layer stem, RuntimeError: mat1")
    assert line.endswith("… at my_model.py:5 in forward")


@pytest.mark.parametrize("width", [1, 5, 20, 33])
def test_a_line_is_never_wider_than_it_may_be(width):
    [line] = lines(causes_of(failed(), ["ridge"]), width)
    assert len(line) <= width


def test_models_that_share_a_cause_are_named_and_many_are_counted():
    records = [
        replace(one, model=f"m{n}")
        for n in range(5)
        for one in failed(f"ValueError: {n} rows", ["stem", "head"])
    ]
    assert lines(causes_of(records, ["ridge"])) == [
        "m0, m1, m2, 2 more: 10 layers, ValueError: 0 rows"
    ]


def test_a_probe_that_fails_beside_others_is_named():
    records = failed("ValueError: diverged", ["a", "b"], probe="mlp")
    assert lines(causes_of(records, ["ridge", "mlp"])) == [
        "bad: 2 layers by mlp, ValueError: diverged"
    ]
    assert lines(causes_of(records, ["mlp"])) == ["bad: 2 layers, ValueError: diverged"]


def test_an_extraction_and_the_layers_that_it_takes_along_are_one_cause():
    causes = Causes()
    causes.add("extract", "bad", "shard 3", "OSError: gone")
    assert lines(causes) == ["bad: extraction, OSError: gone"]
    for layer in "ab":
        causes.add("probe", "bad", layer, "16 cells: extraction failed: OSError: gone")
    assert lines(causes) == ["bad: 2 layers, OSError: gone"]


def test_an_analysis_is_named_and_so_is_what_concerns_no_model():
    causes = Causes()
    causes.add("similarity", "a", "stem", "RuntimeError: no")
    causes.add("probe", None, "the run", "stopped: all failed")
    assert lines(causes) == ["a: similarity of 1 layer, RuntimeError: no", "stopped: all failed"]


def test_what_a_message_contains_cannot_change_the_terminal():
    [line] = lines(causes_of(failed("ValueError: \x1b[2J\r\nx"), ["ridge"]))
    assert line.isprintable()
