"""What several benchmarks work with."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from jobs.audio.frames import FRAME_LENGTH, FRAME_SHIFT
from jobs.corpus import prepare
from jobs.corpus.espeak.settings import EspeakSettings
from jobs.models.wespeaker.settings import WespeakerSettings

FRAMES = 400
"""Of the utterance whose forward pass the others are compared with: 4 s."""
SAMPLES = FRAME_LENGTH + (FRAMES - 1) * FRAME_SHIFT


@dataclass(frozen=True)
class Workbench:
    """A folder to work in, and how much to do."""

    scratch: Path
    """Emptied by its owner when all is done; also the activation cache of sweeps."""
    quick: bool
    """Smaller and less often: shows that a benchmark works, its numbers mean less."""

    def repetitions(self, full: int) -> int:
        """``full``, or three when in a hurry."""
        return 3 if self.quick else full

    @property
    def corpus(self) -> EspeakSettings:
        """Synthetic speech of 2 to 5 s an utterance, in three parts."""
        speakers = {"train": 2, "validation": 2, "test": 2}
        if not self.quick:
            speakers = {"train": 6, "validation": 3, "test": 3}
        return EspeakSettings(speakers=speakers, utterances_per_speaker=4 if self.quick else 8)

    def utterances(self) -> pd.DataFrame:
        """The corpus' utterance table; it is spoken once a run."""
        return prepare(self.corpus, self.scratch).utterances


def untrained(architecture: str, in_planes: int) -> WespeakerSettings:
    """A network of WeSpeaker's; weights do not change what a pass costs."""
    return WespeakerSettings(
        name=f"{architecture} {in_planes}",
        architecture=architecture,
        model_args={"in_planes": in_planes},
    )
