"""Joint CCA of several targets: ``canonical.csv``, one figure per probe, and the report's table."""

from pathlib import Path

import pandas as pd

from jobs.storage.atomic import file_names
from sweep.plan.untrained_twins import twins
from sweep.report.figures.lines import Twins
from sweep.report.figures.plots import write_rows
from sweep.report.figures.scores import Score, models_in, with_levels
from sweep.report.figures.style import figure_style
from sweep.report.section import Content, Section, drawn
from sweep.report.tables.cells import assemble, best_rows, interval, number, text
from sweep.report.tables.markup import MISSING, Table, one_line
from sweep.results.run import Run

READING = (
    "Canonical correlation of a layer with all targets jointly. The first component is the "
    "direction of the activations and the mixture of the targets that correlate most; each further "
    "component is uncorrelated with those before it. Components are fitted on the training split. "
    "The <em>correlation</em> is measured on the test split, with its 95 % interval over speakers; "
    "<em>in sample</em> it is higher, and high even for pure noise. The <em>loadings</em>, "
    "correlations of the mixture with each target on the test split, show what a component is "
    "about; for a target that does not vary there they are undefined and left out. "
    "<em>Flagged</em>: layer and targets have more directions than the training utterances can "
    "separate, so that in-sample values are 1 whatever the data. With folds, all values are means "
    "over folds, and components of about equal strength may swap their order between folds, which "
    "blurs both. The layer named is the best of many on the speakers shown, so its value is "
    "slightly too high; all layers are in <code>tables/canonical.csv</code>."
)
"""HTML."""
SCORE = Score(
    "correlation",
    "held-out canonical correlation",
    high_is_good=True,
    nothing=None,
    worst=None,
    knows_nothing="0: no correlation",
    decimals=3,
)


def write_canonical(
    plots: Path, canonical: pd.DataFrame, layers: pd.DataFrame, twins: Twins = ()
) -> tuple[list[Path], list[Table]]:
    """Write ``canonical_<probe>`` with one row per component.

    Args:
        plots: folder of the figures.
        canonical: ``canonical.csv``.
        layers: ``layers.csv``, with the order of models and probes.
        twins: models and their untrained twins.

    Returns:
        The PNG files, and the table of the report: every model's best layer, by component.
    """
    if canonical.empty:
        return [], []
    names = {name: layers[name].dtype for name in ("model", "probe")}
    rows = canonical.astype(names).assign(cells=1, missing=0, target_kind="regression")
    rows = with_levels(rows, layers)
    shown = rows[rows["model"].isin(models_in(rows))]
    if shown.empty:
        return [], []
    files, figures = file_names(rows["probe"].unique()), []
    with figure_style():
        for probe, of_probe in rows.groupby("probe", sort=True, observed=True):
            panels = [
                (f"component {component}", cell)
                for component, cell in of_probe.groupby("component")
            ]
            heading = f"Joint CCA of all targets: {one_line(str(probe))}"
            name = f"canonical_{files[str(probe)]}"
            figures.append(write_rows(plots, name, heading, panels, SCORE, layers, twins))
    return figures, [_best_table(rows)]


def _defined(loadings: str) -> str:
    """Format ``name value, …`` without undefined values."""
    return ", ".join(one for one in loadings.split(", ") if not one.endswith(" nan")) or MISSING


def _best_table(rows: pd.DataFrame) -> Table:
    columns = [
        ("Model", False), ("Probe", False), ("Component", True), ("Best layer", False),
        ("Correlation [95 %]", True), ("In sample", True), ("Loadings", False),
    ]  # fmt: skip
    return assemble(
        False,
        columns,
        [
            (
                text(""), text(row["model"]), text(row["probe"]), number(row["component"], 0),
                text(row["layer"]), interval(row, "correlation"), number(row["in_sample"], 3),
                text(_defined(row["loadings"]) + ("; flagged" if row["flagged"] else "")),
            )
            for row in best_rows(rows, ("model", "probe", "component"), "correlation")
        ],
    )  # fmt: skip


def _render(run: Run) -> Content | None:
    layers = run.curves.layers
    figures, tables = write_canonical(
        run.folder.plots, run.table("canonical"), layers, twins(run.plan)
    )
    return drawn(READING, figures, tables)


SECTION = Section("canonical", "Joint CCA of all targets", _render)
