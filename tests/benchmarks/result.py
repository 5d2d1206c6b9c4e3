"""What a benchmark reports, and the table of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.benchmarks.measure import median

Verdict = Literal["goal", "pass", "FAIL", "-"]


@dataclass(frozen=True)
class Target:
    """What a ratio should reach; with a goal above the pass limit, more is better."""

    passes: float
    goal: float

    def verdict(self, value: float) -> Verdict:
        """How ``value`` does; NaN fails."""
        sign = -1 if self.goal > self.passes else 1
        if sign * value <= sign * self.goal:
            return "goal"
        return "pass" if sign * value <= sign * self.passes else "FAIL"


@dataclass(frozen=True)
class Result:
    """One ratio."""

    row: int
    """Number of the row in the table of speed goals."""
    what: str
    values: tuple[float, ...]
    """Of every repetition; one value if it was counted."""
    target: Target | None
    """None: told for comparison, not judged."""
    percent: bool = False
    """Show hundredths; ``values`` and ``target`` are plain ratios all the same."""

    @property
    def verdict(self) -> Verdict:
        """Of the median."""
        return "-" if self.target is None else self.target.verdict(median(self.values))

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        measured = self._show(median(self.values))
        if len(self.values) > 1:
            low, high = min(self.values), max(self.values)
            measured += f" ({self._show(low)}–{self._show(high)})"
        limits = ("", "")
        if self.target is not None:
            sign = "≥" if self.target.goal > self.target.passes else "≤"
            limits = (
                f"{sign} {self._show_limit(self.target.passes)}",
                f"{sign} {self._show_limit(self.target.goal)}",
            )
        return (str(self.row), self.what, measured, *limits, self.verdict)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values, ratios not in percent."""
        return {
            "row": self.row,
            "what": self.what,
            "median": median(self.values),
            "min": min(self.values),
            "max": max(self.values),
            "repetitions": len(self.values),
            "pass": self.target.passes if self.target else None,
            "goal": self.target.goal if self.target else None,
            "verdict": self.verdict,
        }

    def _show(self, value: float) -> str:
        return _three_digits(100 * value) + " %" if self.percent else f"{value:.3f}"

    def _show_limit(self, value: float) -> str:
        return f"{100 * value:g} %" if self.percent else f"{value:g}"


HEADINGS = ("row", "what", "measured: median (min–max)", "pass", "goal", "verdict")


def render(results: Sequence[Result]) -> str:
    """A plain text table."""
    rows = [HEADINGS, *(result.cells() for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _three_digits(value: float) -> str:
    """Three significant digits, never in scientific notation."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"
