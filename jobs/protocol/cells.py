"""The cells of a sweep."""

from dataclasses import dataclass

TYPES_VERSION = 1
"""Part of the ids of cells of the control ``type``; increment it when
`jobs.probing.utterance_types` finds other types."""


@dataclass(frozen=True)
class Cell:
    """One cell of the sweep: a probe, a target, a control, a seed and a fold."""

    cell_id: str
    probe: str
    """Key of ``ProbeJob.probes``."""
    target: str
    """Column of the utterance table."""
    seed: int
    """Counted from 0; 0 for deterministic probes."""
    fold: int
    """Counted from 0."""
    control: str
    """``none``; ``type``: a random value per type of utterance; ``shuffled``: the target permuted
    within each split of the fold; or ``speaker``: a random value per speaker. See
    `jobs.protocol.controls.control_target`."""
