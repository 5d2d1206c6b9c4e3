"""The form of a check of a spec: a function that yields what is wrong, and where in the spec.

All checks stand in ``sweep.prepare.checks.CHECKS``; ``sweep.spec.loading`` turns what they find
into lines and columns of the file.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sweep.spec.schema import Spec

if TYPE_CHECKING:
    import pandas as pd

    from jobs.models import ModelInfo

KeyPath = tuple[str | int, ...]
"""The path to a value in a spec: ``("probes", 0, "hidden")``."""

Finding = tuple[KeyPath, str]
"""One mistake in a spec: the path to the value, and a message that says what to do."""


@dataclass(frozen=True)
class CheckContext:
    """Everything known about a spec beyond its text, at one stage of preparing it.

    The checks run at every stage. A check that needs more than is known yet yields nothing, and is
    called again at a later stage.
    """

    partial: bool = False
    """Whether invalid parts of the spec were left out. A check must then not complain that
    something is missing: it may be in what was left out."""
    models: "Mapping[str, ModelInfo]" = field(default_factory=dict)
    """Model name → its description, for all models and baselines that could be loaded."""
    utterances: "pd.DataFrame | None" = None
    """The utterance table of the whole corpus; of a synthetic corpus, which is made only if the
    spec is valid, an outline with a row for each speaker. None: the corpus could not be read."""
    table: "pd.DataFrame | None" = None
    """The final utterance table: the splits that the protocol uses, with the targets as columns,
    at first without those that are measured in the audio. None until the spec has passed the checks
    that need less."""


Check = Callable[[Spec, CheckContext], Iterable[Finding]]
