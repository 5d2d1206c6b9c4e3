"""The top of the page: the headlines; and a figure for papers, one panel per target."""

from sweep.plan.untrained_twins import twins
from sweep.report.figures.summary import write_summary
from sweep.report.section import Content, Section, as_svg
from sweep.report.text.claims import claims_of
from sweep.results.run import Run


def _render(run: Run) -> Content | None:
    figure = write_summary(run.folder.plots, run.curves.layers, twins(run.plan))
    headlines = claims_of(run).headlines
    if not headlines and not figure:
        return None
    return Content(headlines=headlines, files=as_svg([figure] if figure else []))


SECTION = Section("summary", "At a glance", _render, place="top")
