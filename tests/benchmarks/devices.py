"""Rows 6 and 16: precision below float32, and a whole extraction beside its network alone.

On a CUDA GPU where there is one, else on the CPU: each row says which.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from jobs.audio.read import load_audio
from jobs.audio.settings import FeatureSettings
from jobs.extraction.extractor import Extractor
from jobs.extraction.forward import Forward
from jobs.extraction.settings import ExtractSettings
from jobs.extraction.shard import Shard
from jobs.models import load_model
from jobs.models.describe import weights_digest
from jobs.models.settings import Precision
from tests.benchmarks.result import Result, Target
from tests.benchmarks.workbench import FRAMES, Workbench, untrained

IN_PLANES = 64


def device() -> torch.device:
    """Where these rows are measured."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _where() -> str:
    on = device()
    return torch.cuda.get_device_name(on) if on.type == "cuda" else "CPU"


def _wall_seconds(work: Callable[[], object]) -> float:
    """Until the device is done, too."""
    start = time.perf_counter()
    work()
    if device().type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def precision(bench: Workbench) -> list[Result]:
    """One pass in bfloat16 and one in float32; on a GPU of as many utterances as fill it."""
    n_utterances = 32 if device().type == "cuda" else 1
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(FRAMES, 80, generator=generator) for _ in range(n_utterances)]
    names = [str(row) for row in range(n_utterances)]

    def forward(kind: Precision) -> Callable[[], object]:
        model = load_model(untrained("SimAM_ResNet34_ASP", IN_PLANES))
        network = Forward(model, "mean", device(), kind)
        network.read(inputs, names)  # the first batch is measured against float32
        return lambda: network.read(inputs, names)

    full, half = forward("fp32"), forward("bf16")
    values = tuple(_wall_seconds(half) / _wall_seconds(full) for _ in range(bench.repetitions(12)))
    what = f"bf16 ÷ fp32, wall time, SimAM_ResNet34, in_planes {IN_PLANES}, {_where()}"
    return [Result(row=6, what=what, values=values, target=Target(0.65, 0.55))]


def end_to_end(bench: Workbench) -> list[Result]:
    """The corpus from FLAC files to shards, two at a time as an actor does it, and its network."""
    on_gpu = device().type == "cuda"
    in_planes = IN_PLANES if on_gpu else 16
    settings = ExtractSettings(model=untrained("SimAM_ResNet34_ASP", in_planes))
    model = load_model(settings.model)
    digest, table = weights_digest(model), bench.utterances()
    table = table if on_gpu else table.head(12)
    front_end = model.front_end(FeatureSettings())
    ids, paths = tuple(table["utterance_id"]), tuple(table["audio_path"])
    inputs = [front_end(load_audio(path)) for path in paths]
    alone = Forward(model, "mean", device())
    alone.read(inputs, ids)
    extractor = Extractor(settings, device().type)
    size = max(1, len(ids) // 4)
    values = []
    for repetition in range(3):
        folder = bench.scratch / f"end_to_end-{repetition}"
        shards = [
            Shard(folder, start // size, ids[start:][:size], paths[start:][:size], digest)
            for start in range(0, len(ids), size)
        ]
        with ThreadPoolExecutor(2) as calls:
            whole = _wall_seconds(lambda: list(calls.map(extractor.extract, shards)))  # noqa: B023
        values.append(_wall_seconds(lambda: alone.read(inputs, ids)) / whole)
    what = f"network alone ÷ end to end, wall time, in_planes {in_planes}, {_where()}"
    return [Result(row=16, what=what, values=tuple(values), target=Target(0.80, 0.90))]
