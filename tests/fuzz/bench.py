"""Fast stand-ins for speech, networks and measurements; the code that reads a spec is real."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

import sweep.plan.make_plan
import sweep.prepare.prepare
from jobs.corpus import prepare as prepare_corpus
from jobs.corpus.espeak.corpus import outline
from jobs.corpus.espeak.settings import EspeakSettings
from jobs.corpus.librispeech_settings import LibriSpeechSettings
from jobs.corpus.table import Corpus, Utterance, make_table
from jobs.identity import content_id
from jobs.models import ModelInfo, describe_model
from jobs.models.python.settings import PythonSettings
from jobs.models.settings import ModelSettings
from jobs.models.taps import Pooling, TapShape
from jobs.models.wespeaker.arguments import network_args
from jobs.models.wespeaker.folders import find_checkpoint
from jobs.models.wespeaker.settings import WespeakerSettings
from jobs.progress import ProgressCallback
from jobs.targets import registry
from jobs.targets.measurements import MEASUREMENTS

FETCHED = Path("data/raw/LibriSpeech")
"""Treated as present, like the study's checkpoints."""
MODULES = {
    "voice_encoder:make": ("mel", "lstm1", "lstm2", "lstm3", "embedding"),
    "pitch_network:make": ("conv2", "conv3", "conv4", "conv5", "conv6", "pitch"),
}
"""Factories of the specs' own modules, with the layers that they have."""
LAYERS = ("stem", "layer1.0.relu1", "layer2.0.relu2", "layer3.0.relu2", "pooling", "embedding")


def patches() -> Iterator[Any]:
    """Yield the patches that replace speech, networks and measurements."""
    yield patch.object(sweep.prepare.prepare, "read_corpus", _corpus)
    yield patch.object(sweep.prepare.prepare, "describe_model", _describe)
    yield patch.object(sweep.plan.make_plan, "with_absolute_paths", lambda settings: settings)
    yield patch.object(registry, "measure", _measured)


def _corpus(settings: Any, cache: Path, tell: ProgressCallback) -> Corpus:
    if isinstance(settings, EspeakSettings):
        voices = outline(settings)
        return Corpus(_repeated(voices, 3), ())
    if isinstance(settings, LibriSpeechSettings) and settings.root == FETCHED:
        return Corpus(_repeated(_speakers(settings.splits), 3), ())
    return prepare_corpus(settings, cache, tell)


def _speakers(parts: Iterable[str]) -> pd.DataFrame:
    table = make_table(
        Utterance(
            utterance_id=f"{part}-{number}", speaker_id=f"{part}{number}", split=part, text="A B",
            chapter_id=f"{part}{number}", audio_path="", audio_digest="", seconds=2.0,
            n_samples=32_000,
        )
        for part in parts
        for number in range(6)
    )  # fmt: skip
    return table.assign(sex=["F", "M"] * (len(table) // 2))


def _repeated(table: pd.DataFrame, times: int) -> pd.DataFrame:
    """Repeat every row as ``times`` utterances."""
    copies = [table.assign(utterance_id=table["utterance_id"] + f"-{n}") for n in range(times)]
    return pd.concat(copies, ignore_index=True).assign(
        audio_digest=lambda whole: whole["utterance_id"]
    )


def _describe(settings: ModelSettings, pooling: Pooling) -> ModelInfo:
    """Describe known networks by their settings; errors come from the real code."""
    if isinstance(settings, WespeakerSettings) and _is_known(settings):
        if settings.architecture is not None:
            network_args(settings.architecture, settings.model_args)
        return _described(settings, LAYERS)
    if isinstance(settings, PythonSettings) and _is_shipped(settings):
        return _described(settings, MODULES[settings.factory])
    return describe_model(settings, pooling)


def _described(settings: ModelSettings, layers: Iterable[str]) -> ModelInfo:
    taps = tuple(
        TapShape(index=i, name=name, study_name=name, shape=(8,), width=8)
        for i, name in enumerate(layers)
    )
    return ModelInfo("network", content_id(settings.identity()), 1, taps)


def _is_shipped(settings: PythonSettings) -> bool:
    """Return whether a model is undamaged, as far as loading it would tell."""
    undamaged = settings.args in ({}, {"hop_ms": 50}, {"hop_ms": 100})
    named = settings.factory in MODULES and settings.folder.name == "models"
    return named and undamaged and settings.input == "waveform"


def _is_known(settings: WespeakerSettings) -> bool:
    if settings.checkpoint is None:
        return True
    known = str(settings.checkpoint).startswith("voxblink2_samresnet")
    return known or find_checkpoint(settings.checkpoint).is_dir()


def _measured(
    table: pd.DataFrame, names: Iterable[str], cache: Path, tell: ProgressCallback
) -> pd.DataFrame:
    columns = [column for name in names for column in MEASUREMENTS[name].columns]
    values = np.random.default_rng(0).uniform(1, 2, (len(table), len(columns)))
    return pd.DataFrame(values, columns=columns, index=table.index)
