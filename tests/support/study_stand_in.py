"""A small stand-in for the study: LibriSpeech's subsets and WeSpeaker's checkpoints, by name."""

from pathlib import Path

import torch
import yaml

from jobs.corpus.espeak.corpus import make_espeak_corpus
from jobs.corpus.espeak.settings import EspeakSettings
from jobs.downloads.catalogue import MODELS
from jobs.models.wespeaker.model import build_network

SPEC_FOLDER = Path(__file__).parents[2] / "specs"
STUDY_MODELS = {
    "SimAMResNet34 vb": 51, "SimAMResNet34 vb+vc": 51,
    "SimAMResNet100 vb": 150, "SimAMResNet100 vc": 150,
}  # fmt: skip
"""Name → number of layers."""
SPEAKERS = {"train-clean-100": 4, "dev-clean": 5, "test-clean": 3}
UTTERANCES_PER_SPEAKER = 3
SMALL = {"in_planes": 2, "embed_dim": 16}


def make_corpus(cache: Path) -> Path:
    """Synthetic speech under the names of LibriSpeech's subsets; returns the root."""
    settings = EspeakSettings(speakers=SPEAKERS, utterances_per_speaker=UTTERANCES_PER_SPEAKER)
    return make_espeak_corpus(settings, cache).root


def make_checkpoints(folder: Path) -> Path:
    """Untrained networks, each with other weights, in WeSpeaker's format, by the study's names."""
    for seed, name in enumerate(name for name in MODELS if "samresnet" in name):
        architecture = f"SimAM_ResNet{100 if 'resnet100' in name else 34}_ASP"
        network = build_network(architecture, SMALL, seed)
        (folder / name).mkdir(parents=True)
        config = {"model": architecture, "model_args": SMALL}
        (folder / name / "config.yaml").write_text(yaml.safe_dump(config))
        torch.save(network.state_dict(), folder / name / "avg_model.pt")
    return folder


def path_overrides(spec: Path, corpus: Path, checkpoints: Path) -> list[str]:
    """``--set`` assignments that change the paths of a spec, and nothing else."""
    values = yaml.safe_load(spec.read_text())
    overrides = []
    if values["corpus"]["kind"] == "librispeech":
        overrides.append(f"corpus.root={corpus}")
    for position, model in enumerate(values["models"]):
        if model.get("checkpoint") in MODELS:
            folder = checkpoints / model["checkpoint"]
            overrides.append(f"models.{position}.checkpoint={folder}")
    return overrides
