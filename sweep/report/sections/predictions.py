"""Predictions of models that are probed at a single layer."""

from sweep.report.figures.one_layer import write_one_layer_figures
from sweep.report.section import Content, Section
from sweep.results.run import Run


def _render(run: Run) -> Content | None:
    figures = write_one_layer_figures(run.folder.plots, run)
    return Content(files=figures) if figures else None  # the page shows the same of every layer


SECTION = Section("predictions", "Predictions", _render)
