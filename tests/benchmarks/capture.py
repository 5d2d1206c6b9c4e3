"""Row 1: what reading every tap adds to a forward pass."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from jobs.models import load_model
from jobs.models.pooling import POOLINGS
from jobs.models.tap_reader import TapReader
from jobs.models.wespeaker.model import build_network
from tests.benchmarks.measure import interleaved, ratios
from tests.benchmarks.result import Result, Target
from tests.benchmarks.workbench import FRAMES, Workbench, untrained

CASES = (
    # architecture, in_planes, passes a measurement (about 0.3 s or more), repetitions, target
    ("SimAM_ResNet34_ASP", 16, 5, 24, Target(1.06, 1.00)),
    ("SimAM_ResNet100_ASP", 16, 2, 24, Target(1.06, 1.00)),
    ("SimAM_ResNet34_ASP", 64, 1, 12, Target(1.03, 1.00)),
)


def run(bench: Workbench) -> list[Result]:
    """Every case, one utterance a pass, pooled by the mean."""
    features = torch.randn(1, FRAMES, 80, generator=torch.Generator().manual_seed(0))
    results = []
    for architecture, in_planes, passes, repetitions, target in CASES:
        variants, n_taps = _variants(architecture, in_planes, features)
        repeated = {name: _repeated(variant, passes) for name, variant in variants.items()}
        seconds = interleaved(repeated, bench.repetitions(repetitions))
        where = f"{architecture.removesuffix('_ASP')}, in_planes {in_planes}"
        results += [
            Result(
                row=1,
                what=f"capture of {n_taps} taps ÷ bare forward, {where}",
                values=ratios(seconds, "capture", "bare"),
                target=target,
            ),
            Result(
                row=1,
                what="  the same ÷ forward with SimAM in place, no taps",
                values=ratios(seconds, "capture", "ours"),
                target=None,
            ),
        ]
    return results


def _variants(
    architecture: str, in_planes: int, features: Tensor
) -> tuple[dict[str, Callable[[], object]], int]:
    """WeSpeaker's network as it comes, ours, whose SimAM works in place, and ours with its taps.

    Returns:
        One forward pass of each, and the number of taps.
    """
    settings = untrained(architecture, in_planes)
    bare = build_network(architecture, settings.model_args, seed=0)
    bare.eval().requires_grad_(False)
    ours, tapped = load_model(settings), load_model(settings)
    reader = TapReader(tapped.module, tapped.taps, POOLINGS["mean"])
    variants: dict[str, Callable[[], object]] = {
        "bare": lambda: _forward(bare, features),
        "ours": lambda: _forward(ours.module, features),
        "capture": lambda: reader.read(features),
    }
    return variants, len(tapped.taps)


def _forward(network: nn.Module, features: Tensor) -> None:
    with torch.inference_mode():
        network(features)


def _repeated(variant: Callable[[], object], times: int) -> Callable[[], None]:
    def repeat() -> None:
        for _ in range(times):
            variant()

    return repeat
