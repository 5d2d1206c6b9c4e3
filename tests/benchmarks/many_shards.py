"""Row 17, what is on disk: the shards of LibriSpeech-960 × 100 models, looked over by a run that
goes on.

The files of one set are made, manifests as long as real ones, tensors sparse; the other models'
sets are links to them. A process of its own then finds what is missing, which is nothing.
"""

import os
import time
from pathlib import Path

from jobs.activations.cache_layout import INDEX, data_path, manifest_path
from jobs.activations.manifest import LayerEntry, ShardManifest, to_json
from sweep.plan.plan import PlannedSet
from sweep.running.remaining import survey_shards
from tests.benchmarks.result import Result, Target
from tests.benchmarks.scale import (
    BYTES,
    LAYERS,
    MODELS,
    SECONDS,
    WIDTH,
    Phase,
    apart,
    big_plan,
    big_spec,
    big_table,
    million_cells,
    peak_bytes,
)
from tests.benchmarks.workbench import Workbench

UTTERANCES = 292_367
"""Of LibriSpeech-960 with its development and test parts (README of OpenSLR 12): 4 569 shards."""


def make_set(cache: Path, planned: PlannedSet) -> None:
    """The files of a set that is complete."""
    folder = cache / "activations" / planned.activation_id
    folder.mkdir(parents=True)
    layers = {
        f"layer{i // 50}.{i % 50}.relu": LayerEntry(WIDTH, "float32", f"{i:032x}")
        for i in range(LAYERS)
    }
    for index in range(planned.n_shards):
        first = index * planned.shard_size
        names = range(first, min(first + planned.shard_size, planned.n_utterances))
        n_bytes = len(names) * WIDTH * 4 * LAYERS
        ids = tuple(f"{name:06d}" for name in names)
        manifest = ShardManifest(index, ids, (), n_bytes, layers, {"seconds": 1.25})
        os.truncate(_touched(data_path(folder, index)), n_bytes)
        _touched(manifest_path(folder, index)).write_text(to_json(manifest))


def _touched(path: object) -> Path:
    assert isinstance(path, Path)
    path.touch()
    return path


def link_sets(cache: Path, first: PlannedSet, others: list[PlannedSet]) -> None:
    """The same files, for other models; the index, too, if there is one."""
    source = cache / "activations" / first.activation_id
    names = [entry.name for entry in os.scandir(source)]
    for planned in others:
        folder = cache / "activations" / planned.activation_id
        folder.mkdir(exist_ok=True)
        for name in names:
            if not (folder / name).exists():
                os.link(source / name, folder / name)


def look(root: Path, n_models: int, n_utterances: int, n_looked_at: int) -> Phase:
    """Find what is missing of the first models; all is there."""
    table = big_table(n_utterances)
    plan = big_plan(big_spec(n_models), table)
    start, began = time.process_time(), time.perf_counter()
    missing = sum(
        len(survey_shards(model, table, root).missing) for model in plan.models[:n_looked_at]
    )
    wall = time.perf_counter() - began
    return Phase(time.process_time() - start, wall, peak_bytes(), missing)


def plans_and_shards(bench: Workbench) -> list[Result]:
    """All of row 17."""
    return [*million_cells(bench), *shards_on_disk(bench)]


def shards_on_disk(bench: Workbench) -> list[Result]:
    """CPU seconds for the first look, at every manifest, and for the next, at one listing a set."""
    n_models, n_utterances = (5, 2_000) if bench.quick else (MODELS, UTTERANCES)
    cache = bench.scratch / "shards"
    plan = big_plan(big_spec(n_models), big_table(n_utterances))
    first, *others = [model.sets[0] for model in plan.models]
    make_set(cache, first)
    before = apart(look, cache, n_models, n_utterances, 1)
    link_sets(cache, first, others)
    after = apart(look, cache, n_models, n_utterances, n_models)
    assert not before.cells and not after.cells
    assert (cache / "activations" / first.activation_id / INDEX).exists()
    what = f"look over {n_models * first.n_shards} shards on disk"
    seconds, wall, n_bytes = after.seconds / SECONDS, after.wall / SECONDS, after.n_bytes / BYTES
    reading = n_models * before.seconds / SECONDS
    return [
        Result(17, f"{what}, CPU time of {SECONDS:g} s", (seconds,), Target(1.0, 0.5)),
        Result(17, f"{what}, wall clock of {SECONDS:g} s", (wall,), Target(1.0, 0.5)),
        Result(17, f"{what}, peak memory, of 2 GiB", (n_bytes,), Target(1.0, 0.5)),
        Result(17, "  the first time, when every manifest is read, of 60 s", (reading,), None),
    ]
