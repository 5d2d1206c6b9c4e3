"""Targets with their units, as axes name them."""

from jobs.targets.registry import TARGETS
from sweep.report.tables.markup import one_line


def unit_of(target: str) -> str:
    """Unit of ``target``; "" if it has none, or if only the corpus defines it."""
    return TARGETS[target].unit if target in TARGETS else ""


def with_unit(label: str, target: str, *, squared: bool = False) -> str:
    """Append the unit of ``target`` to ``label``: ``predicted cps (characters/s)``."""
    unit = unit_of(target)
    if not unit:
        return one_line(label)
    if squared:
        unit = f"({unit})²" if "/" in unit else f"{unit}²"
    return f"{one_line(label)} ({unit})"
