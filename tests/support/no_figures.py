"""Leave out the figures of a report in tests of other things: drawing takes most of its time."""

from pathlib import Path
from typing import BinaryIO

import pytest

EMPTY = {
    "png": (Path(__file__).parent / "empty.png").read_bytes(),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>',
    "pdf": b"%PDF-1.4\n",
}
"""Format → content of the placeholder file that replaces a figure."""
UNDRAWN = "from tests.support.no_figures import draw_nothing\ndraw_nothing()\n"
"""Code for a process of its own, started in the root of the project."""


def draw_nothing(patch: pytest.MonkeyPatch | None = None) -> None:
    """Let reports have neither the summary nor curves, and empty pictures of all else."""

    def save_nothing(figure: object, file: BinaryIO, *, format: str, **options: object) -> None:
        file.write(EMPTY[format])

    patch = patch or pytest.MonkeyPatch()
    patch.setattr("matplotlib.figure.Figure.savefig", save_nothing)
    patch.setattr("sweep.report.sections.curves.write_plots", lambda *anything: [])
    patch.setattr("sweep.report.sections.summary.write_summary", lambda *anything: None)
