import os
from pathlib import Path

import pytest

from sweep.state.ledger import Ledger, Record, read_records


def record(cell_id: str, status: str = "done", r2: float | None = 0.5) -> Record:
    return Record(
        cell_id=cell_id, status=status, model="m", layer="l", layer_index=0, target="cps",
        probe="ridge", seed=0, fold=0, control="none", scores={"r2": r2, "mse": 1 / 3},
        details={"alpha": 1e-4},
    )  # fmt: skip


def test_records_come_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.append([record("a"), record("b", r2=None)])
    records, damaged = read_records(path)
    assert records == {"a": record("a"), "b": record("b", r2=None)}
    assert damaged == []


def test_the_last_line_of_a_cell_counts(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        ledger.append([record("a", "failed")])
        ledger.append([record("a", "done")])
    assert read_records(tmp_path / "l")[0]["a"].status == "done"


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_a_torn_last_line_is_cut_off_and_the_rest_kept(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "l"
    with Ledger(path) as ledger:
        ledger.append([record("a")])
        whole = path.stat().st_size
        ledger.append([record("b")])
    os.truncate(path, path.stat().st_size - cut)
    with Ledger(path) as ledger:
        assert set(ledger.records) == {"a"}
        assert len(ledger.damaged) == 1
        assert path.stat().st_size == whole
        ledger.append([record("c")])
    assert set(read_records(path)[0]) == {"a", "c"}


def test_a_damaged_line_in_the_middle_costs_that_cell_only_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with Ledger(path) as ledger:
        ledger.append([record("a"), record("b"), record("c")])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:20] + b"\xff\n" + lines[2])
    with Ledger(path) as ledger:
        assert set(ledger.records) == {"a", "c"}
        assert [line.partition(":")[0] for line in ledger.damaged] == ["line 2"]


def test_reading_while_a_line_is_being_written_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with Ledger(path) as ledger:
        ledger.append([record("a")])
    with path.open("ab") as file:
        file.write(b'{"cell_id": "b"')
    before = path.read_bytes()
    assert set(read_records(path)[0]) == {"a"}
    assert path.read_bytes() == before


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "l"
    with Ledger(path) as ledger:
        ledger.append([record("a")])
        size = path.stat().st_size
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        # A file that may not grow behaves as on a full disk: a short write, then an error.
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                ledger.append([record("b")])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.stat().st_size == size
        assert set(ledger.records) == {"a"}
        ledger.append([record("c")])
    assert set(read_records(path)[0]) == {"a", "c"}
