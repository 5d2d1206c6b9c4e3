"""Heat map of a score: models in rows, layers in columns, as the page's script draws it."""

from sweep.report.figures.scores import models_in
from sweep.report.section import Content, Section
from sweep.results.run import Run

READING = (
    "The score that is chosen above, at every layer of the models that are chosen there: a row per "
    "model, layers from the input on the left to the output on the right. Choose a layer to see "
    "its predictions."
)


def _render(run: Run) -> Content | None:
    if not models_in(run.layers):
        return None
    return Content(introduction=READING, drawing="heatmap")


SECTION = Section("heatmap", "Heat map", _render)
