"""A run in a notebook: its curves as matplotlib axes, and its comparison table as HTML."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from jobs.models.settings import BASELINE_PREFIX
from jobs.statistics.scores import SCORES
from sweep.errors import RunError
from sweep.plan.untrained_twins import twins
from sweep.report.tables.markup import Table
from sweep.report.tables.model_tables import models_tables
from sweep.results.names import check_name
from sweep.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sweep.report.figures.scores import Score

_SIZE = (5.2, 3.2)
"""Width and height in inches of a figure that is made for a plot."""


class NotebookRun(Run):
    """A run that can be plotted and shown."""

    def plot(
        self,
        target: str,
        *,
        probe: str | None = None,
        models: Sequence[str] | None = None,
        metric: str | None = None,
        ax: "Axes | None" = None,
    ) -> "Axes":
        """Draw a score over the layers of several models.

        Models of different depth share an axis from their first to their last layer.

        Args:
            target: name of the target.
            probe: name of the probe; by default the first one that predicts the target.
            models: names of the models; by default all. Baselines are always drawn.
            metric: column of ``layers``; by default ``r2``, for classes ``accuracy``.
            ax: axes to draw on; by default those of a new figure.

        Returns:
            The axes.

        Raises:
            RunError: a name is not one of the run's, or there are no such scores.
        """
        from sweep.report.figures.curve_axes import draw_on

        rows, score = self._rows(target, probe, models, metric)
        if ax is None:
            from matplotlib import pyplot  # shows the figure in a notebook

            _, ax = pyplot.subplots(figsize=_SIZE)
            ax.figure.subplots_adjust(left=0.12, right=0.82, bottom=0.3, top=0.88)
            ax.spines[["top", "right"]].set_visible(False)
        draw_on(ax, rows, score, self.curves.layers, twins(self.plan))
        return ax

    def _rows(
        self,
        target: str,
        probe: str | None,
        models: Sequence[str] | None,
        metric: str | None,
    ) -> "tuple[pd.DataFrame, Score]":
        from sweep.report.figures.scores import curve_of, main_score

        layers = self.curves.layers
        check_name("target", target, self.plan.targets)
        rows = layers[layers["target"] == target]
        score = main_score(rows)
        if metric is not None:
            kind = self.plan.kind(target)
            check_name("score", metric, [n for n, row in SCORES.items() if row.kind == kind])
            score = curve_of(SCORES[metric])
        shown = rows[rows[score.column].notna()]
        probes = [str(name) for name in shown["probe"].unique()]
        check_name("probe", probe, self.plan.probes)
        if not probes or probe not in (None, *probes):
            raise RunError(f"no finished cell of target {target!r} has {score.label} to draw")
        rows = rows[rows["probe"] == (probe or probes[0])]
        if models is None:
            return rows, score
        own = [name for name in rows["model"].unique() if not name.startswith(BASELINE_PREFIX)]
        for model in models:
            check_name("model", model, own)
        kept = rows["model"].isin(models) | rows["model"].str.startswith(BASELINE_PREFIX)
        return rows[kept], score

    def _repr_html_(self) -> str:
        """The comparison table, for notebooks."""
        tables = models_tables(self.models) if len(self.models) else []
        return "".join([f"<p>{escape(repr(self))}</p>", *map(_html, tables)])


def _html(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.header)
    rows = (
        "".join(
            f'<td style="text-align: {"right" if right else "left"}">{escape(cell.text)}</td>'
            for cell, right in zip(row, table.numeric, strict=True)
        )
        for row in table.rows
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
