"""Failures grouped by cause: a line for each, however many layers and models share it."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sweep.errors import pattern
from sweep.progress.wording import printable, shortened
from sweep.wording import counted

if TYPE_CHECKING:
    from sweep.state.ledger import Record

NAMED_MODELS = 3
"""Number of models of a cause that are named; the rest are counted."""
_COUNT = re.compile(r"^\d+ cells: ")  # in events of earlier versions
_EXTRACTION = "extraction failed: "
_PLACE = re.compile(r" \(([\w.-]+\.py:\d+)(?:, in (\w+))?\)$")


@dataclass
class Cause:
    """One cause of failures, with everything that it made fail."""

    error: str
    """The first of its errors."""
    stage: str
    layers: dict[str, set[str]] = field(default_factory=dict)
    """Model → its layers that failed; empty if it failed before its layers were probed. The model
    is empty if it concerns all of them."""
    probes: set[str] = field(default_factory=set)
    """Probes that failed, if others did not."""

    def line(self, width: int | None = None) -> str:
        """Describe it: ``bad: 51 layers, RuntimeError: too wide at my_model.py:5 in forward``.

        With a ``width``, the message is shortened so that the place is kept.
        """
        message, place = _message_and_place(self.error)
        about = ", ".join(filter(None, (self._what(), message)))
        text = ": ".join(filter(None, (self._models(), about)))
        return shortened(printable(text), width, printable(place))

    def _models(self) -> str:
        names = [name for name in self.layers if name]
        more = len(names) - NAMED_MODELS
        return ", ".join(names if more <= 0 else [*names[:NAMED_MODELS], f"{more} more"])

    def _what(self) -> str:
        layers = [layer for of_model in self.layers.values() for layer in of_model]
        if self.stage not in ("extract", "probe"):
            return f"{self.stage} of {counted(len(layers), 'layer')}" if layers else self.stage
        if not layers:
            return "extraction" if self.stage == "extract" else ""
        what = f"layer {layers[0]}" if len(layers) == 1 else f"{len(layers)} layers"
        return f"{what} by {', '.join(sorted(self.probes))}" if self.probes else what


class Causes:
    """Failures of a run, grouped by cause in the order of their first appearance."""

    def __init__(self) -> None:
        self._causes: dict[tuple[str, str], Cause] = {}

    def __len__(self) -> int:
        return len(self._causes)

    def __iter__(self) -> Iterator[Cause]:
        return iter(self._causes.values())

    def add(self, stage: str, model: str | None, where: str, error: str) -> Cause:
        """Take in a failure and return its cause."""
        error = _COUNT.sub("", error).removeprefix(_EXTRACTION)
        group = "" if stage in ("extract", "probe") else stage
        cause = self._causes.setdefault((group, pattern(error)), Cause(error, stage))
        layers = cause.layers.setdefault(model or "", set())
        if stage != "extract" and model is not None:
            layers.add(where)
        return cause

    def clear(self) -> None:
        """Forget all of them."""
        self._causes.clear()


def causes_of(records: Iterable["Record"], probes: Collection[str]) -> Causes:
    """Group the failed cells among the ``records`` of a plan with these ``probes``."""
    causes = Causes()
    for record in records:
        if record.status == "failed":
            error = record.error or "no reason is recorded"
            causes.add("probe", record.model, record.layer, error).probes.add(record.probe)
    for cause in causes:
        if cause.probes == set(probes):
            cause.probes.clear()
    return causes


def _message_and_place(error: str) -> tuple[str, str]:
    """Split an error into its message and `` at file:line in function``."""
    found = _PLACE.search(error)
    if found is None:
        return error, ""
    function = f" in {found[2]}" if found[2] else ""
    return error[: found.start()], f" at {found[1]}{function}"
