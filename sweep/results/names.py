"""Names that a user gives: those of models, layers, targets, probes and tables of a run."""

from collections.abc import Collection

from sweep.errors import RunError
from sweep.spec.suggestions import nearest


def check_name(what: str, name: str | None, names: Collection[str]) -> None:
    """Check that ``name`` is one of ``names``; None stands for all of them.

    Raises:
        RunError: it is not; the message suggests the nearest.
    """
    if name is not None and name not in names:
        raise RunError(f"the run has no {what} {name!r}{nearest(name, list(names))}")
