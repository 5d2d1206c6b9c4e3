"""The final table: whole at any width, and every value of it."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from sweep.commands.fitted_table import fitted, terminal_columns, with_failed
from sweep.report.tables.markup import Cell, Table

HEADER = (
    "Target", "Model", "Probe", "MSE on embedding", "Best layer (MSE)", "R² of best layer",
    "Selection-corrected R² [95 %]", "MSE of mean predictor",
)  # fmt: skip
NUMERIC = (False, False, False, True, False, True, True, True)
MODELS = ("voice encoder", "voice encoder untrained", "a network with a very long name [bold]")


def comparison(targets=("cps", "f0_mean")):
    rows = [
        tuple(
            map(
                Cell,
                (target, model, "ridge", "12", f"{n}: layer{n}.4.relu2 (1{n})", "0.9",
                 f"0.{n}28 [0.{n}72, 0.{n}59]", f"{len(target)}.04"),
            )
        )
        for target in targets
        for n, model in enumerate(MODELS)
    ]  # fmt: skip
    return Table(HEADER, NUMERIC, tuple(rows))


def printed(table, width):
    console = Console(file=io.StringIO(), width=width)
    for part in fitted(table, width):
        console.print(part)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [30, 50, 80, 120, 200])
def test_nothing_is_cut_at_any_width(width):
    table = terminal_columns(comparison())
    text = printed(table, width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert "…" not in text
    squeezed = "".join(text.split())
    for row in table.rows:
        for cell in row:
            assert "".join(cell.text.split()) in squeezed


def test_a_wide_terminal_has_one_table_and_80_columns_one_for_each_target():
    table = terminal_columns(comparison())
    assert printed(table, 200).count("Best layer (MSE)") == 1
    text = printed(table, 90)
    assert text.count("Best layer (MSE)") == 2
    assert "cps · Probe ridge · MSE of mean predictor 3.04\n" in text
    assert "f0_mean · Probe ridge · MSE of mean predictor 7.04\n" in text


def test_columns_that_need_room_are_left_to_the_table_in_the_report():
    assert terminal_columns(comparison()).header == (
        "Target", "Model", "Probe", "Best layer (MSE)", "Selection-corrected R² [95 %]",
        "MSE of mean predictor",
    )  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_model_that_failed_is_in_the_table_of_every_target(width):
    text = printed(with_failed(terminal_columns(comparison()), ["bad"]), width)
    assert text.count("bad") == 2
    assert text.count("failed") == 2


def test_a_table_of_a_single_target_needs_no_heading():
    table = terminal_columns(comparison(["cps"]))
    single = Table(table.header[1:], table.numeric[1:], tuple(row[1:] for row in table.rows))
    assert printed(with_failed(single, ["bad"]), 200).count("bad") == 1
    assert "cps" not in printed(single, 80)
