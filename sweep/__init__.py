"""Layer-wise probing sweeps of speech models: plan, schedule, record, show.

What runs is in ``jobs``; here it is decided with which arguments, where, and what becomes of it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sweep.own_packages import import_own_jobs

if TYPE_CHECKING:
    from jobs.probing.saved_probes import SavedProbe
    from sweep.report.notebook import NotebookRun

__all__ = ["load_probe", "open_run"]

import_own_jobs()


def __dir__() -> list[str]:
    """The public names alone."""
    return sorted(__all__)


def open_run(path: str | Path) -> "NotebookRun":
    """The run in the folder ``path``, finished or not: its tables, plots, predictions, activations.

    Raises:
        sweep.errors.RunError: there is no run.
    """
    from sweep.report.notebook import NotebookRun  # here: ``sweep --help`` needs none of it

    return NotebookRun.open(path)


def load_probe(path: str | Path) -> "SavedProbe":
    """The fitted probe at ``path``, a card or its weights in a run's folder ``probes``.

    Raises:
        jobs.probing.saved_probes.SavedProbeError: there is none.
    """
    from jobs.probing.saved_probes import load_probe as load

    return load(path)
