"""Contents of a draft of a spec: the corpus, the targets, and the protocol."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

Values = Mapping[str, object]


def sweep_name(text: str) -> str:
    """Make a valid name of a sweep from the name of a file or folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:100] or "sweep"


@dataclass(frozen=True)
class DraftTarget:
    """A quantity to predict."""

    name: str
    is_class: bool
    meaning: str
    """Comment in the spec."""


@dataclass(frozen=True)
class Draft:
    """The parts of a spec that follow from a corpus."""

    name: str
    """Name of the sweep."""
    corpus: Values
    """Section ``corpus``."""
    about_corpus: str
    """Comment above it."""
    targets: tuple[DraftTarget, ...]
    left_out: tuple[str, ...]
    """Columns that are not used, each with the reason."""
    protocol: Values
    about_protocol: str
    """Comment beside it."""
