"""Row 19: what the probes of the demo cost beside its forward passes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from torch import Tensor

from jobs.extraction.forward import Forward, Reading
from jobs.probing.job import ProbeJob, probe_layer
from jobs.probing.results import CellResult
from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.state.events import EventLog
from tests.benchmarks.result import Result, Target
from tests.benchmarks.workbench import Workbench

SPEC = Path(__file__).parents[2] / "specs" / "demo.yaml"
SMALL = (
    "corpus.speakers.train=4",
    "corpus.speakers.validation=2",
    "corpus.speakers.test=2",
    'layers=["stem", "layer4.*"]',
)


@dataclass
class Spent:
    """CPU seconds."""

    forward: float = 0.0
    """In networks, the pooling of every tap included; no decoding, no filterbank, no writing."""
    probes: float = 0.0
    """In probe jobs, all of it: reading activations, fitting, scoring, writing predictions."""


def run(bench: Workbench) -> list[Result]:
    """The demo, all of it, in this process.

    Raises:
        RuntimeError: a cell failed.
    """
    folder = bench.scratch / "demo_share"
    overrides = SMALL if bench.quick else ()
    options = RunOptions("inline", out=folder / "run", cache=folder, overrides=overrides)
    with _watch() as spent, EventLog() as events:
        result = run_sweep(SPEC, options, events)
    if result.status != "done":
        raise RuntimeError(f"the demo ended as {result.status}; see the lines above")
    return [
        Result(
            row=19,
            what=f"demo: probes ÷ forward passes ({spent.probes:.1f} s ÷ {spent.forward:.1f} s)",
            values=(spent.probes / spent.forward,),
            target=Target(1 / 3, 1 / 4),
        )
    ]


@contextmanager
def _watch() -> Iterator[Spent]:
    spent, original = Spent(), Forward.read

    def read(forward: Forward, inputs: Sequence[Tensor], names: Sequence[str]) -> Reading:
        start = time.process_time()
        reading = original(forward, inputs, names)
        spent.forward += time.process_time() - start
        return reading

    def probe(job: ProbeJob) -> list[CellResult]:
        start = time.process_time()
        results = probe_layer(job)
        spent.probes += time.process_time() - start
        return results

    with patch.object(Forward, "read", read), patch("jobs.probing.job.probe_layer", probe):
        yield spent
