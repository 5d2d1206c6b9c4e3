"""Rows 3 and 4: what a padded batch of utterances costs in accuracy and in time, masked."""

from collections.abc import Callable

import torch

from jobs.extraction.padding_check import check_mask
from jobs.models import load_model
from jobs.models.padding import masked_batch, pad
from jobs.models.pooling import POOLINGS
from jobs.models.tap_reader import TapReader
from jobs.models.wespeaker.settings import WespeakerSettings
from tests.benchmarks.measure import interleaved, ratios
from tests.benchmarks.result import Result, Target
from tests.benchmarks.workbench import FRAMES, Workbench, untrained

SMALL = {"m_channels": 8, "num_blocks": [2, 1, 2, 1]}
FAMILIES: tuple[tuple[str, dict[str, object]], ...] = (
    ("SimAM_ResNet34_ASP", {"in_planes": 16}),
    ("SimAM_ResNet100_ASP", {"in_planes": 4}),
    ("ResNet34", {}),
    ("ResNet50", {"pooling_func": "MQMHASTP"}),
    ("ECAPA_TDNN_c512", {}),
    ("ECAPA_TDNN_GLOB_c512", {}),
    ("CAMPPlus", {}),
    ("ERes2Net", SMALL),
    ("Res2Net", SMALL),
    ("REPVGG_TINY_A0", {}),
    ("Gemini_DF_ResNet60", {}),
    ("XVEC", {}),
    ("XI_VEC_ECAPA_TDNN_c512", {}),
    ("ReDimNetB0", {}),
    ("ReDimNetB2", {}),
)
"""Architecture, and arguments where its own size takes long: float64 is slow."""
LENGTHS = (FRAMES, FRAMES - 6, FRAMES - 15, FRAMES - 20)
"""Padded by as much as a batch may be."""


def errors(bench: Workbench) -> list[Result]:
    """Of every family, the layer whose error is the largest multiple of its rounding."""
    families = FAMILIES[:3] if bench.quick else FAMILIES
    return [_error(architecture, model_args) for architecture, model_args in families]


def _error(architecture: str, model_args: dict[str, object]) -> Result:
    settings = WespeakerSettings(name="x", architecture=architecture, model_args=model_args)
    checks = check_mask(load_model(settings), "mean")
    worst = max(check.ratio for check in checks)
    return Result(
        row=3,
        what=f"masked-batch error ÷ rounding error, worst of {len(checks)} layers, {architecture}",
        values=(worst,),
        target=Target(3, 2),
    )


def seconds(bench: Workbench) -> list[Result]:
    """A padded batch with masks and one without, all layers read in both."""
    cases = ((16, 12),) if bench.quick else ((16, 12), (64, 6))
    results = []
    for in_planes, repetitions in cases:
        variants = _variants(in_planes)
        measured = interleaved(variants, bench.repetitions(repetitions))
        results.append(
            Result(
                row=4,
                what="masked ÷ plain padded batch, time, "
                f"{len(LENGTHS)} utterances, SimAM_ResNet34, in_planes {in_planes}",
                values=ratios(measured, "masked", "plain"),
                target=Target(1.10, 1.00),
            )
        )
    return results


def _variants(in_planes: int) -> dict[str, Callable[[], object]]:
    generator = torch.Generator().manual_seed(0)
    batch, lengths = pad([torch.randn(n, 80, generator=generator) for n in LENGTHS])
    model = load_model(untrained("SimAM_ResNet34_ASP", in_planes))
    reader = TapReader(model.module, model.taps, POOLINGS["mean"])

    def masked() -> None:
        with masked_batch(batch, lengths):
            reader.read(batch)

    return {"masked": masked, "plain": lambda: reader.read(batch)}
