"""Curves of every score over layers."""

from sweep.plan.untrained_twins import twins
from sweep.report.figures.plots import write_plots
from sweep.report.section import Content, Section, as_svg
from sweep.results.run import Run


def _render(run: Run) -> Content:
    figures = write_plots(run.folder.plots, run.curves.layers, twins(run.plan))
    return Content(files=as_svg(figures))  # the page's chart shows all of them


SECTION = Section("plots", "Curves over layers", _render)
