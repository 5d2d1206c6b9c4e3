"""Rows 2 and 5: how often, and with how many frames, a sweep runs a network. Counted, not timed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from jobs.corpus.table import write_table
from jobs.extraction.extractor import Extractor
from jobs.extraction.settings import ExtractSettings
from jobs.extraction.shard import Shard, ShardReport
from jobs.models import load_model
from jobs.models.describe import weights_digest
from jobs.probes import CcaSettings, MlpSettings, ProbeSettings, RidgeSettings
from jobs.probing.job import ProbeJob, probe_layer
from jobs.protocol.cells import Cell
from jobs.protocol.settings import Protocols, SplitsProtocol
from jobs.targets.registry import add_targets
from tests.benchmarks.result import Result, Target
from tests.benchmarks.workbench import Workbench, untrained

MODEL = untrained("SimAM_ResNet34_ASP", in_planes=4)
PROBES: dict[str, ProbeSettings] = {
    "ridge": RidgeSettings(),
    "mlp": MlpSettings(epochs=2, seeds=2),
    "cca": CcaSettings(),
}
TARGETS = ("cps", "words_per_second", "duration")


@dataclass
class Seen:
    """What went through networks of one class, whoever called them."""

    utterances: int = 0
    """An utterance counts once for every pass that it is in."""
    frames: int = 0


def forward_passes(bench: Workbench) -> list[Result]:
    """Extract the corpus, then probe every layer with every probe and target from the store."""
    table = add_targets(bench.utterances(), TARGETS)
    folder = bench.scratch / "forward_passes"
    model = load_model(MODEL)
    with _watch(type(model.module)) as seen:
        reports = _extract(table, folder)
        n_cells = sum(_probe(table, folder, len(reports), tap.name) for tap in model.taps)
    n_utterances = sum(report.n_utterances for report in reports)
    return [
        Result(
            row=2,
            what=f"forward passes an utterance, {len(model.taps)} taps, "
            f"{len(PROBES)} probes, {len(TARGETS)} targets ({n_cells} cells)",
            values=(seen.utterances / n_utterances,),
            target=Target(1, 1),
        )
    ]


def frames(bench: Workbench) -> list[Result]:
    """Extract the corpus; its utterances have many lengths.

    Raises:
        RuntimeError: the network saw other frames than the reports say.
    """
    table = bench.utterances()
    with _watch(type(load_model(MODEL).module)) as seen:
        reports = _extract(table, bench.scratch / "frames")
    computed = sum(report.frames_computed for report in reports)
    if computed != seen.frames:
        raise RuntimeError(f"the reports count {computed} frames, the network saw {seen.frames}")
    return [
        Result(
            row=5,
            what=f"frames computed ÷ frames useful, {len(table)} utterances of "
            f"{table['seconds'].min():.1f}–{table['seconds'].max():.1f} s",
            values=(computed / sum(report.frames_useful for report in reports),),
            target=Target(1.05, 1.00),
        )
    ]


@contextmanager
def _watch(network_class: type[nn.Module]) -> Iterator[Seen]:
    seen = Seen()

    def count(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        # On the meta device nothing is computed: a network's arguments are checked there.
        if isinstance(module, network_class) and not arguments[0].is_meta:
            n_utterances, n_frames, _ = arguments[0].shape
            seen.utterances += n_utterances
            seen.frames += n_utterances * n_frames

    handle = register_module_forward_pre_hook(count)
    try:
        yield seen
    finally:
        handle.remove()


def _extract(table: pd.DataFrame, folder: Path, size: int = 32) -> list[ShardReport]:
    """In shards of ``size`` utterances, in table order, as a sweep does it."""
    extractor = Extractor(ExtractSettings(model=MODEL))
    digest = weights_digest(load_model(MODEL))
    ids, paths = tuple(table["utterance_id"]), tuple(table["audio_path"])
    return [
        extractor.extract(
            Shard(folder, index, ids[start : start + size], paths[start : start + size], digest)
        )
        for index, start in enumerate(range(0, len(table), size))
    ]


def _probe(table: pd.DataFrame, folder: Path, n_shards: int, layer: str) -> int:
    """Probe one layer; the number of cells.

    Raises:
        RuntimeError: a cell failed.
    """
    path = folder / "table.csv"
    write_table(path, table)
    cells = tuple(
        Cell(f"{layer}/{probe}/{target}/{control}", probe, target, 0, 0, control)
        for probe in PROBES
        for target in TARGETS
        for control in ("none", "shuffled")
    )
    predictions = folder / f"{layer}.npz"
    job = ProbeJob(
        MODEL.name,
        layer,
        ((folder, n_shards),),
        path,
        PROBES,
        Protocols(SplitsProtocol()),
        cells,
        predictions,
    )
    errors = [result.error for result in probe_layer(job) if result.error]
    if errors:
        raise RuntimeError(f"{layer}: {len(errors)} cells failed: {errors[0]}")
    return len(cells)
