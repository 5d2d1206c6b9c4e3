"""Layer-wise probing sweeps of speech models: plan, schedule, record, show.

What runs is in ``jobs``; here it is decided with which arguments, where, and what becomes of it.
"""

from sweep.results import Run, RunError, open_run

__all__ = ["Run", "RunError", "open_run"]
