"""Leave out the figures of a report in tests of other things: drawing takes most of its time."""

import pytest


def draw_no_curves(patch: pytest.MonkeyPatch) -> None:
    """Let reports have neither the summary nor curves."""
    patch.setattr("sweep.report.sections.curves.write_plots", lambda *anything: [])
    patch.setattr("sweep.report.sections.summary.write_summary", lambda *anything: None)
