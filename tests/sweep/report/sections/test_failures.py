"""The section about failures: which cells failed together, and why."""

from pathlib import Path
from types import SimpleNamespace

from sweep.report.sections.failures import SECTION
from sweep.state.ledger import Record
from sweep.state.run_folder import RunFolder


def cell(n, model, layer, target="cps", probe="ridge", error="too wide", status="failed"):
    return Record(
        cell_id=f"{n:016x}", status=status, error=error if status == "failed" else None,
        model=model, layer=layer, layer_index=n, target=target, probe=probe, seed=0, fold=0,
        control="none",
    )  # fmt: skip


def content(*records):
    run = SimpleNamespace(
        records={record.cell_id: record for record in records},
        folder=RunFolder(Path("results/my-run")),
    )
    return SECTION.render(run)


def rows(shown):
    [table] = shown.tables
    return [tuple(cell.text for cell in row) for row in table.rows]


def test_a_run_without_failures_has_no_such_section():
    assert content() is None
    assert content(cell(0, "a", "stem", status="done")) is None


def test_cells_of_a_model_with_the_same_error_share_a_row():
    shown = content(
        cell(0, "a", "stem"),
        cell(1, "a", "stem", target="mood", probe="logistic"),
        cell(2, "a", "top", status="done"),
        cell(3, "a", "top", error="no memory"),
        cell(4, "b", "stem"),
    )
    assert rows(shown) == [
        ("a", "stem", "cps and mood", "ridge and logistic", "2", "too wide"),
        ("a", "top", "cps", "ridge", "1", "no memory"),
        ("b", "stem", "cps", "ridge", "1", "too wide"),
    ]
    [command] = shown.documents
    assert command.text == "sweep retry my-run"


def test_of_many_layers_the_ends_are_named():
    four = [cell(n, "a", f"layer{n}") for n in range(4)]
    [(_, named, *_)] = rows(content(*four))
    assert named == "layer0, layer1, layer2 and layer3"
    [(_, named, _, _, count, _)] = rows(content(*four, cell(4, "a", "layer4")))
    assert (named, count) == ("5 from layer0 to layer4", "5")


def test_a_failure_of_unknown_cause_has_an_empty_error():
    [(*_, error)] = rows(content(cell(0, "a", "stem", error=None)))
    assert error in ("", "–")
