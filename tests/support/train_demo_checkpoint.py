"""Makes the demo's small checkpoint: ``python -m tests.support.train_demo_checkpoint FOLDER``.

A SimAM-ResNet34 with 8 channels learns to tell synthetic voices apart that the demo never uses
(the ``pretrain`` half of the espeak variants), with additive-margin softmax (Wang et al. 2018,
arXiv 1801.05599). It is written in WeSpeaker's folder format, in half precision to keep it small.
About fifteen minutes on one core.

Legend: B utterances, T frames, F bins, S speakers, E embedding width.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional

from jobs.audio.features import Fbank
from jobs.audio.read import load_audio
from jobs.corpus import prepare
from jobs.corpus.espeak.settings import EspeakSettings
from jobs.models.wespeaker.arguments import network_args
from jobs.models.wespeaker.folders import CONFIG, WEIGHTS
from jobs.models.wespeaker.model import build_network
from jobs.storage.atomic import atomic_path, write_text

ARCHITECTURE = "SimAM_ResNet34_ASP"
EMBED_DIM = 256
ARGS = network_args(ARCHITECTURE, {"in_planes": 8, "embed_dim": EMBED_DIM})
CORPUS = EspeakSettings(
    seed=1, voices="pretrain", speakers={"train": 64}, utterances_per_speaker=24
)
HELD_OUT = 4
"""Utterances of every voice that measure the equal error rate."""
CROP = 150
"""Frames of a training example."""
EPOCHS, BATCH, PEAK_RATE = 14, 32, 4e-3
SCALE, MARGIN = 30.0, 0.2


@dataclass(frozen=True)
class Example:
    """One utterance."""

    features: Tensor
    """(T, F), mean over time left in: it is taken out of each crop."""
    speaker: int


def train(cache: Path, folder: Path) -> None:
    """Train, measure, and write the checkpoint with a ``training.json`` beside it."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    train_part, held_out = load_examples(prepare(CORPUS, cache).utterances)
    n_speakers = 1 + max(example.speaker for example in train_part)
    network = build_network(ARCHITECTURE, ARGS, seed=0)
    centres = nn.Parameter(torch.randn(n_speakers, EMBED_DIM))
    optimiser = torch.optim.AdamW([*network.parameters(), centres], weight_decay=1e-2)
    steps = EPOCHS * (len(train_part) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps)
    for epoch in range(EPOCHS):
        losses = []
        for features_BTF, speaker_B in batches(train_part, rng):
            loss = margin_loss(network(features_BTF), centres, speaker_B)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}/{EPOCHS}: loss {np.mean(losses):.3f}", flush=True)
    write_checkpoint(folder, network.half().float().eval(), n_speakers, held_out)


def load_examples(table: pd.DataFrame) -> tuple[list[Example], list[Example]]:
    """Training examples, and the last utterances of every speaker."""
    fbank = Fbank()
    speakers = {name: number for number, name in enumerate(sorted(table["speaker_id"].unique()))}
    train_part, held_out = [], []
    for speaker, rows in table.sort_values("utterance_id").groupby("speaker_id"):
        examples = [
            Example(fbank.uncentred(load_audio(path)), speakers[str(speaker)])
            for path in rows["audio_path"]
        ]
        train_part += examples[:-HELD_OUT]
        held_out += examples[-HELD_OUT:]
    return train_part, held_out


def batches(examples: list[Example], rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled batches of centred random crops: (B, T, F) and speakers (B,)."""
    order = rng.permutation(len(examples))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = [examples[i] for i in order[start : start + BATCH]]
        crops = []
        for example in chosen:
            first = int(rng.integers(max(1, len(example.features) - CROP + 1)))
            crop = example.features[first : first + CROP]
            if len(crop) < CROP:  # a short utterance, from its start again
                crop = crop.repeat(-(-CROP // len(crop)), 1)[:CROP]
            crops.append(crop - crop.mean(dim=0))
        yield torch.stack(crops), torch.tensor([example.speaker for example in chosen])


def margin_loss(embedding_BE: Tensor, centres_SE: Tensor, speaker_B: Tensor) -> Tensor:
    """Cross-entropy of s · (cos θ − m for the true speaker)."""
    cosine_BS = functional.normalize(embedding_BE) @ functional.normalize(centres_SE).T
    margin_BS = MARGIN * functional.one_hot(speaker_B, len(centres_SE))
    return functional.cross_entropy(SCALE * (cosine_BS - margin_BS), speaker_B)


@torch.inference_mode()
def equal_error_rate(network: nn.Module, examples: list[Example]) -> float:
    """Of verification by cosine, over all pairs of ``examples``."""
    embeddings = torch.cat([network((e.features - e.features.mean(dim=0))[None]) for e in examples])
    embeddings = functional.normalize(embeddings)
    speaker = torch.tensor([example.speaker for example in examples])
    first, second = torch.triu_indices(len(examples), len(examples), offset=1)
    scores = (embeddings @ embeddings.T)[first, second].numpy()
    same = (speaker[first] == speaker[second]).numpy()
    order = np.argsort(-scores)
    missed = 1 - np.cumsum(same[order]) / same.sum()
    false = np.cumsum(~same[order]) / (~same).sum()
    return float((missed + false)[np.argmin(np.abs(missed - false))] / 2)


def write_checkpoint(
    folder: Path, network: nn.Module, n_speakers: int, held_out: list[Example]
) -> None:
    """``config.yaml``, ``avg_model.pt``, and how it was made."""
    config = {
        "model": ARCHITECTURE,
        "model_args": ARGS,
        "dataset_args": {
            "resample_rate": 16000,
            "fbank_args": {
                "num_mel_bins": 80, "frame_shift": 10, "frame_length": 25, "dither": 0.0,
            },
        },
    }  # fmt: skip
    made = {
        "synthetic": "trained on espeak-ng voices only; knows nothing of human speakers",
        "corpus": CORPUS.model_dump(mode="json"),
        "speakers": n_speakers,
        "crop_frames": CROP,
        "epochs": EPOCHS,
        "equal_error_rate_on_held_out_utterances": equal_error_rate(network, held_out),
        "torch": str(torch.__version__),
    }
    write_text(folder / CONFIG, yaml.safe_dump(config, sort_keys=False))
    with atomic_path(folder / WEIGHTS) as path:
        half = {
            key: value.half() if value.is_floating_point() else value
            for key, value in network.state_dict().items()
        }
        torch.save(half, path)
    write_text(folder / "training.json", json.dumps(made, indent=1) + "\n")
    print(json.dumps(made, indent=1))


if __name__ == "__main__":
    train(Path("results/.cache"), Path(sys.argv[1]))
