"""Row 13: what it costs to get from a FLAC file to features."""

from pathlib import Path

import numpy as np
import soundfile
import torch

from jobs.audio.frames import SAMPLE_RATE
from jobs.audio.read import load_audio
from jobs.audio.settings import FeatureSettings
from jobs.models import load_model
from tests.benchmarks.measure import interleaved, ratios
from tests.benchmarks.result import Result, Target
from tests.benchmarks.workbench import FRAMES, SAMPLES, Workbench, untrained

CALLS = 10
"""Of the front end for one forward pass: it takes milliseconds, and a shard is loaded in a row."""


def run(bench: Workbench) -> list[Result]:
    """One utterance of `FRAMES` frames of synthetic speech."""
    path = _write_speech(bench)
    model = load_model(untrained("SimAM_ResNet34_ASP", in_planes=64))
    front_end = model.front_end(FeatureSettings())
    features = front_end(load_audio(path))[None]
    assert features.shape[1] == FRAMES, features.shape

    def load() -> None:
        for _ in range(CALLS):
            front_end(load_audio(path))

    def forward() -> None:
        with torch.inference_mode():
            model.module(features)

    seconds = interleaved({"load": load, "forward": forward}, bench.repetitions(12))
    return [
        Result(
            row=13,
            what="FLAC decoding + fbank ÷ forward, SimAM_ResNet34, in_planes 64",
            values=tuple(ratio / CALLS for ratio in ratios(seconds, "load", "forward")),
            target=Target(0.005, 0.002),
            percent=True,
        )
    ]


def _write_speech(bench: Workbench) -> Path:
    """As many utterances one after the other as it takes: silence would pack too well."""
    waves = [load_audio(path) for path in bench.utterances()["audio_path"].head(4)]
    path = bench.scratch / "utterance.flac"
    soundfile.write(path, np.concatenate(waves)[:SAMPLES].astype(np.int16), SAMPLE_RATE)
    return path
