"""Outcome of an export."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Exported:
    """The folder that was written, and notes on missing files."""

    folder: Path
    notes: list[str] = field(default_factory=list)
    """Messages for the user about missing files, with the reasons."""
