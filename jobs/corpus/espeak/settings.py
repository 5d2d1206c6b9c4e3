"""Settings of a synthetic corpus."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from jobs.corpus.settings import SELECTION_EXAMPLE, CorpusSettings
from jobs.settings import Seed

Speakers = Annotated[int, Field(ge=1, le=1_000_000)]
SplitName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class EspeakSettings(CorpusSettings):
    """A synthetic corpus, spoken by espeak-ng for demonstrations and tests.

    Equal settings give equal audio.
    """

    EXAMPLES = (
        "{kind: espeak, seed: 0, speakers: {train: 9, test: 6}, utterances_per_speaker: 5,"
        " voices: probe}",
        f"{{kind: espeak, speakers: {{test: 6}}, utterances_per_speaker: 5, {SELECTION_EXAMPLE}}}",
    )

    kind: Literal["espeak"] = "espeak"
    """Synthetic speech. Needs the extra ``demo``."""
    seed: Seed = 0
    """Seed of the voices, speaking rates and sentences."""
    speakers: Annotated[dict[SplitName, Speakers], Field(min_length=1)]
    """Number of voices in each split: ``{train: 36, validation: 12, test: 24}``. No voice is in two
    splits."""
    utterances_per_speaker: Annotated[int, Field(ge=1, le=9_999)]
    """Number of utterances of each voice, 2 to 5 seconds long."""
    voices: Literal["probe", "pretrain"] = "probe"
    """Half of the voices to draw from. The demo's checkpoint was trained on ``pretrain``, so it has
    heard no voice of ``probe``."""
