"""A corpus, models and specs written out by hand, from which the golden ids are computed."""

import math
from typing import Any

import pandas as pd

from jobs.corpus.table import Utterance, make_table
from jobs.models import ModelInfo
from jobs.models.taps import TapShape
from sweep.analyses import plan_run
from sweep.plan.plan import Plan
from sweep.spec.schema import Spec

NETWORK = {"kind": "python", "factory": "own:network", "input": "fbank", "taps": ["*"]}
SPEC: dict[str, Any] = {
    "name": "golden",
    "corpus": {"kind": "librispeech", "root": "/corpus", "splits": {
        "train": "train-clean-100", "validation": "dev-clean", "test": "test-clean"}},
    "targets": ["cps", "pause", "sex"],
    "models": [{**NETWORK, "name": "a"}, {**NETWORK, "name": "b"}],
    "probes": [{"kind": "ridge"}, {"kind": "mlp", "seeds": 2}, {"kind": "logistic"}],
    "controls": ["shuffled", "speaker"],
    "baselines": ["mean", "duration"],
}  # fmt: skip
SPEAKERS = {"train": "ABC", "validation": "DE", "test": "FG"}


def table() -> pd.DataFrame:
    """14 utterances of 7 speakers: a target without gaps, one with a gap, and one of classes."""
    rows = [
        Utterance(
            utterance_id=f"{speaker}-{number}", audio_path=f"/corpus/{speaker}-{number}.flac",
            text="A TEXT", speaker_id=speaker, chapter_id="1", split=split,
            seconds=1.5 + number, n_samples=16_000 * number + 24_000,
            audio_digest=f"audio of {speaker}-{number}",
        )
        for split, speakers in SPEAKERS.items() for speaker in speakers for number in range(2)
    ]  # fmt: skip
    found = make_table(rows)
    letters = found["speaker_id"].map(ord) - ord("A")
    pause = letters / 7
    pause[found["utterance_id"] == "C-1"] = math.nan
    return found.assign(
        cps=10 + letters / 3,
        pause=pause,
        sex=["F" if letter % 2 else "M" for letter in letters],
        room=[f"room {letter % 3}" for letter in letters],
    )


def info(digest: str, *widths: int) -> ModelInfo:
    taps = tuple(
        TapShape(i, f"layer.{i}", f"study {i}", (width, "T"), width)
        for i, width in enumerate(widths)
    )
    return ModelInfo(architecture="own:network", digest=digest, n_parameters=3, taps=taps)


MODELS = {
    "a": info("digest of a", 2, 3),
    "b": info("digest of b", 4),
    "baseline:duration": info("digest of duration", 1),
}


def spec(**changes: Any) -> Spec:
    return Spec.model_validate({**SPEC, **changes})


def plan(**changes: Any) -> Plan:
    """The plan of ``SPEC`` with other values at its top level."""
    found = spec(**changes)
    names = [model.name for model in found.models]
    baselines = [f"baseline:{what}" for what in found.baselines if what != "mean"]
    return plan_run(found, table(), {name: MODELS[name] for name in [*names, *baselines]})
