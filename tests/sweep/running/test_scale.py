"""What must hold for a million cells and a large cluster, on a thousandth of them.

Seconds and bytes of the whole are measured by ``tests.benchmarks.scale``.
"""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from jobs.activations import index as shard_index
from jobs.identity import canonical_json, content_id, content_id_of
from jobs.probing.job import ProbeJob
from jobs.storage.atomic import cut_torn_line
from jobs.storage.location import Location
from sweep.plan.plan import LayerTask, layer_tasks, made_from
from sweep.running.probe_jobs import ProbeJobs
from sweep.running.remaining import remaining_work, survey_shards
from sweep.state.ledger import Ledger, stream_records, to_line
from tests.benchmarks.many_shards import make_set
from tests.benchmarks.scale import (
    BYTES,
    MODELS,
    UTTERANCES,
    apart,
    begin,
    big_plan,
    big_spec,
    big_table,
    finished_cells,
    simulate,
    write_ledger,
)
from tests.support.simulated_cluster import SimulatedCluster


def peak_of(what: Callable[[], object]) -> int:
    """Bytes that Python allocated at most while it ran, above what there was."""
    tracemalloc.start()
    try:
        what()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_ids_made_from_canonical_parts_are_those_of_the_whole() -> None:
    whole = {"b": 'ü"\\', "a": [1, 2.5, None], "seed": 3, "c": {"y": True, "x": ""}}
    parts = {key: canonical_json(value) for key, value in sorted(whole.items())}
    assert content_id_of(parts) == content_id(whole)


def test_every_cell_has_the_id_of_its_ingredients() -> None:
    plan = big_plan(big_spec(2), big_table(300), 3)
    cells = 0
    for task in layer_tasks(plan):
        for cell in task.cells:
            identity = {
                **made_from(plan, task.model, cell.target, cell.probe), "layer": task.layer.name,
                "target": cell.target, "seed": cell.seed, "fold": cell.fold,
                "control": cell.control,
            }  # fmt: skip
            assert cell.cell_id == content_id(identity)
            cells += 1
    assert cells == plan.n_cells == 2 * 3 * 70


def test_a_ledger_is_read_line_by_line_and_kept_in_short(tmp_path: Path) -> None:
    plan = big_plan(big_spec(2), big_table(300), 100)
    path = tmp_path / "ledger.jsonl"
    with path.open("wb") as file:
        file.writelines(map(to_line, finished_cells(plan)))
    n_cells = int(0.9 * plan.n_cells)
    assert path.stat().st_size > 500 * n_cells

    def read() -> None:
        assert sum(1 for _ in stream_records(path, print)) == n_cells

    assert peak_of(read) < 1_000_000

    def open_and_close() -> None:
        with Ledger(path) as ledger:
            assert len(ledger.records) == n_cells

    assert peak_of(open_and_close) < 300 * n_cells


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (b"", 0),
        (b"a\nb\n", 4),
        (b"a\nb", 2),
        (b"torn", 0),
        (b"x" * 100_000 + b"\n" + b"y" * 200_000, 100_001),
        (b"y" * 200_000, 0),
        (b"x" * 65_535 + b"\n", 65_536),
        (b"x" * 65_535 + b"\n" + b"y" * 65_536, 65_536),
    ],
)
def test_a_torn_line_is_cut_off_however_long(tmp_path: Path, content: bytes, left: int) -> None:
    path = tmp_path / "lines"
    path.write_bytes(content)
    assert cut_torn_line(path) == len(content) - left
    assert path.read_bytes() == content[:left]


def test_a_large_file_is_mended_without_being_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"a line\n" * 2_000_000 + b"torn")
    assert peak_of(lambda: cut_torn_line(path)) < 1_000_000


def test_models_share_the_names_of_their_utterances(tmp_path: Path) -> None:
    plan, table = big_plan(big_spec(3), big_table(300), 2), big_table(300)
    work = remaining_work(
        plan, table, tmp_path, {}, wanted=lambda task, cell: True, on_corrupt=print
    )  # fmt: skip
    first, *others = ([name for s in left.shards for name in s.utterance_ids] for left in work)
    assert len(first) == 300
    for names in others:
        assert all(a is b for a, b in zip(first, names, strict=True))


def test_what_was_looked_over_once_is_not_read_again(tmp_path: Path) -> None:
    [model] = big_plan(big_spec(1), big_table(3_000)).models
    make_set(tmp_path, model.sets[0])
    reads = []
    read = shard_index.read_manifest

    def counted(folder: Location, index: int) -> object:
        reads.append(index)
        return read(folder, index)

    with patch.object(shard_index, "read_manifest", counted):
        for _ in range(2):
            assert not survey_shards(model, big_table(3_000), tmp_path).missing
            assert len(reads) == model.sets[0].n_shards == 47


@pytest.mark.parametrize(
    ("models", "layers", "utterances"), [(8, 60, 64), (8, 2, 64 * 60)], ids=["probes", "shards"]
)
def test_64_nodes_never_wait_for_a_driver_that_takes_no_time(
    tmp_path: Path, models: int, layers: int, utterances: int
) -> None:
    cluster = SimulatedCluster(64, 0.1, clock=lambda: 0.0)
    made = []
    make = ProbeJobs.make

    def counted(
        jobs: ProbeJobs, task: LayerTask, *, alone: bool, has_types: bool = False
    ) -> ProbeJob:
        made.append(task)
        return make(jobs, task, alone=alone, has_types=has_types)

    with (
        patch.object(ProbeJobs, "make", counted),
        patch.object(Ledger, "append", autospec=True, side_effect=Ledger.append) as written,
    ):
        simulate(tmp_path, cluster, models, layers, utterances)
    # The last round may be a part of one, and before it is one of the first shards.
    rounds = cluster.jobs / cluster.nodes
    assert cluster.utilisation >= rounds / (rounds + 2)
    # All that comes back at once is written at once.
    assert written.call_count <= cluster.waits
    # A job is made to be sent; one at most is made in vain each time there is no room.
    assert len(made) <= models * layers + cluster.waits + 1


@pytest.mark.slow
def test_a_million_cells_fit_into_two_gibibytes(tmp_path: Path) -> None:
    laid_out = apart(begin, tmp_path, MODELS, UTTERANCES)
    assert (laid_out.cells, laid_out.n_bytes < BYTES) == (1_050_000, True), laid_out
    apart(write_ledger, tmp_path, MODELS, UTTERANCES)
    resumed = apart(begin, tmp_path, MODELS, UTTERANCES)
    assert (resumed.cells, resumed.n_bytes < BYTES) == (105_000, True), resumed
