"""The data behind ``report.html``: what its script draws, as plain values that are written as JSON.

Pure functions of a run and of its tables; nothing here knows how anything is drawn. What is large
is rounded, packed or thinned, so that the page of the largest run stays below 3 MB. To add a score
to the page's chart, add a `sweep.report.page_data.metrics.Metric`.
"""

from typing import Any

import pandas as pd

from sweep.plan.untrained_twins import twins
from sweep.report.page_data.chart import chart_data
from sweep.report.page_data.details import layer_details
from sweep.report.page_data.facts import facts
from sweep.report.page_data.maps import embedding_maps
from sweep.results.run import Run


def page_data(run: Run) -> dict[str, Any]:
    """Collect everything that the page draws of ``run``, without its tables."""
    layers = run.curves.layers
    widths = {
        (model.name, layer.name): layer.width for model in run.plan.models for layer in model.layers
    }
    slopes: pd.DataFrame = run.analysis_tables.get("tempo", pd.DataFrame())
    return {
        "facts": facts(run),
        "chart": chart_data(layers, twins(run.plan), widths, slopes),
        "details": layer_details(run),
        "maps": embedding_maps(run),
    }
