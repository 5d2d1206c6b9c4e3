"""The first figure of the page: what each layer predicts, one panel per target."""

from sweep.plan.untrained_twins import twins
from sweep.report.figures.summary import write_summary
from sweep.report.section import Content, Section, as_svg
from sweep.results.run import Run


def _render(run: Run) -> Content | None:
    figure = write_summary(run.folder.plots, run.curves.layers, twins(run.plan))
    return Content(figures=as_svg([figure])) if figure else None


SECTION = Section("summary", "At a glance", _render)
