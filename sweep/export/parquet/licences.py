"""Licences of the data and models of a run, as far as they are known."""

from pathlib import Path

import yaml

from jobs.corpus.espeak.settings import EspeakSettings
from jobs.corpus.librispeech_settings import LibriSpeechSettings
from jobs.corpus.settings import CorpusSettings
from jobs.models import is_baseline, is_untrained
from jobs.models.settings import ModelSettings
from sweep.report.methods.data import SUBSETS

UNKNOWN = "unknown"
_CARD = "README.md"
_RULE = "---"


def corpus_licence(corpus: CorpusSettings) -> str:
    """Return the licence of the corpus, for the card."""
    if isinstance(corpus, EspeakSettings):
        return "synthetic speech, spoken by espeak-ng"
    if isinstance(corpus, LibriSpeechSettings):
        names = [name for subsets in corpus.subsets().values() for name in subsets]
        if all(SUBSETS.fullmatch(name) for name in names):
            return "CC-BY-4.0"
    return UNKNOWN


def model_licence(model: ModelSettings) -> str:
    """Return the licence of a model's weights: that of the card in its folder, if it has one."""
    if is_baseline(model):
        return "computed from the audio"
    if is_untrained(model):
        return "random weights"
    checkpoint = getattr(model, "checkpoint", None)
    return UNKNOWN if checkpoint is None else _licence_of_card(Path(checkpoint) / _CARD)


def _licence_of_card(path: Path) -> str:
    """Read ``license`` from the front matter of a model card, as hubs write it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        if lines[:1] != [_RULE]:
            return UNKNOWN
        values = yaml.safe_load("\n".join(lines[1 : lines.index(_RULE, 1)]))
    except (OSError, ValueError, yaml.YAMLError):  # another machine's folder, or another format
        return UNKNOWN
    found = values.get("license") if isinstance(values, dict) else None
    return found if isinstance(found, str) else UNKNOWN
