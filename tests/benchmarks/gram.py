"""Row 12: what it adds to a forward pass to sum up statistics instead of storing activations."""

import numpy as np
import torch

from jobs.extraction.extractor import LOT
from jobs.gram.settings import BLOCK_ROWS, GramSettings
from jobs.gram.sums import LayerSums
from jobs.models import describe_model, load_model
from jobs.protocol.settings import SplitsProtocol
from tests.benchmarks.measure import interleaved, ratios
from tests.benchmarks.result import Result, Target
from tests.benchmarks.workbench import FRAMES, Workbench, untrained

ARCHITECTURE = "SimAM_ResNet34_ASP"
LAYERS = 4
"""That are summed: 0.2 GB each, far more than a cache holds, so that the others cost the same."""
WIDTH = 5120
"""Of most layers: 64 channels × 80 bins, and the same product further up."""


def run(bench: Workbench) -> list[Result]:
    """As many utterances at a time as extraction adds, a block of them; an utterance's share."""
    model = load_model(untrained(ARCHITECTURE, in_planes=64))
    features = torch.randn(1, FRAMES, 80, generator=torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    names = tuple(f"layer {number}" for number in range(LAYERS))
    settings = GramSettings(
        targets=("cps",),
        row_sets=(0,),
        controls=("none", "shuffled"),
        layers=names,
        protocol=SplitsProtocol(),
    )
    sums = LayerSums(settings, torch.device("cpu"))
    block = {name: rng.standard_normal((LOT, WIDTH)).astype(np.float32) for name in names}
    labels = rng.standard_normal((LOT, settings.n_columns))

    def update() -> None:
        for _ in range(BLOCK_ROWS // LOT):
            sums.add(block, labels)

    def forward() -> None:
        with torch.inference_mode():
            model.module(features)

    seconds = interleaved({"update": update, "forward": forward}, bench.repetitions(12))
    # A layer costs as many operations as its width squared.
    taps = describe_model(untrained(ARCHITECTURE, in_planes=64), "mean").taps
    squares = sum(tap.width**2 for tap in taps)
    share = squares / (LAYERS * WIDTH**2) / BLOCK_ROWS
    return [
        Result(
            row=12,
            what=f"streaming Gram update ÷ forward, {ARCHITECTURE[:-4]}, all layers, in_planes 64",
            values=tuple(ratio * share for ratio in ratios(seconds, "update", "forward")),
            target=Target(0.05, 0.02),
            percent=True,
        )
    ]
