"""Gain of layers over nuisances: one figure per kind of target, and the report's table."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from jobs.beyond.settings import NUISANCES
from sweep.plan.untrained_twins import twins
from sweep.report.figures.lines import Twins
from sweep.report.figures.plots import write_rows
from sweep.report.figures.scores import Score, with_levels
from sweep.report.figures.style import figure_style
from sweep.report.figures.summary import title_of
from sweep.report.section import Content, Section, drawn
from sweep.report.tables.cells import CLASSES, NUMBERS, assemble, best_rows, interval, number, text
from sweep.report.tables.markup import Table
from sweep.results.run import Run
from sweep.wording import listed

READING = (
    "The gain of a layer over <em>nuisances</em>, variables that are known without the network: R² "
    "(for classes, accuracy) of a probe of nuisances and layer together, minus that of a probe of "
    "the nuisances alone, on the same test utterances. At 0 the layer adds no information about "
    "the target to the nuisances; below 0 the probe with the layer overfits. The probe is "
    "banded ridge regression, in which each nuisance and the layer have a penalty of their own. "
    "The interval is over speakers and of the difference itself, so that it excludes 0 where p is "
    "below 0.05. The p-value is two-sided and corrected for the number of layers (Holm). The layer "
    "named is the best of many on the speakers shown, so its value is slightly too high; all "
    "layers are in <code>tables/beyond.csv</code>. <em>Edge</em>: the layer's penalty is the "
    "smallest candidate, and a smaller one may be better."
)
"""HTML."""
_NAMES: dict[str, str] = {NUMBERS: "R²", CLASSES: "accuracy"}


def score_of(kind: str) -> Score:
    """Return the curve of what layers add to targets of ``kind``."""
    return Score(
        "beyond",
        f"{_NAMES[kind]} beyond the nuisances",
        high_is_good=True,
        nothing=None,
        worst=-0.5,
        knows_nothing="0: adds nothing",
        decimals=3,
    )


def write_beyond(
    plots: Path, beyond: pd.DataFrame, layers: pd.DataFrame, twins: Twins = ()
) -> tuple[list[Path], list[Table]]:
    """Write ``beyond_r2`` and ``beyond_accuracy`` with a row per target.

    Args:
        plots: folder of the figures.
        beyond: ``beyond.csv``.
        layers: ``layers.csv``, with the order of models and targets.
        twins: models and their untrained twins.

    Returns:
        The PNG files, and the table of the report: every model's best layer, by target.
    """
    if beyond.empty:
        return [], []
    names = {name: layers[name].dtype for name in ("model", "target")}
    rows = with_levels(beyond.astype(names).assign(cells=1, missing=0), layers)
    figures = []
    with figure_style():
        for score_name, of_kind in rows.groupby("score", sort=False):
            score = score_of(of_kind["target_kind"].iloc[0])
            panels = [
                (title_of(str(target)), cell)
                for target, cell in of_kind.groupby("target", sort=True, observed=True)
            ]
            nuisances = max(of_kind["nuisances"], key=len)  # some targets leave one out
            heading = f"{score.label}: {nuisances}"
            name = f"beyond_{score_name}"
            figures.append(write_rows(plots, name, heading, panels, score, layers, twins))
    return figures, [_best_table(rows)]


def _best_table(rows: pd.DataFrame) -> Table:
    columns = [
        ("Model", False), ("Best layer", False), ("Nuisances", False), ("Score of nuisances", True),
        ("With the layer", True), ("Added [95 %]", True), ("p (Holm)", True), ("Speakers", True),
        ("Notes", False),
    ]  # fmt: skip
    return assemble(
        True,
        columns,
        [
            (
                text(row["target"]), text(row["model"]), text(row["layer"]),
                text(row["nuisances"]), number(row["score_nuisances"], 3),
                number(row["score_both"], 3), interval(row, "beyond"), number(row["p_holm"], 4),
                number(row["n_speakers"], 0), text("edge" if row["alpha_at_edge"] else ""),
            )
            for row in best_rows(rows, ("target", "model"), "beyond")
        ],
    )  # fmt: skip


def _render(run: Run) -> Content | None:
    figures, tables = write_beyond(
        run.folder.plots, run.table("beyond"), run.curves.layers, twins(run.plan)
    )
    return drawn(READING, figures, tables)


def _methods(run: Run) -> Iterator[str]:
    beyond = run.spec.beyond
    if beyond is None:
        return
    names = listed(NUISANCES[name] for name in beyond.nuisances)
    yield (
        f"The gain of a layer over nuisances ({names}) was measured as R²(nuisances + layer) − "
        "R²(nuisances), for classes as the difference of the accuracies of one-hot targets, with "
        "banded ridge regression (Nunez-Elizalde, Huth & Gallant 2019): features were standardised "
        "on the training split, and each nuisance and the layer had a penalty of its own, one of "
        f"{len(beyond.alphas)} from {beyond.alphas[0]:g} to {beyond.alphas[-1]:g}, chosen by "
        "coordinate descent on the validation data, or on inner folds of the training split where "
        "there are none. A nuisance that is itself the target was left out. The interval of the "
        "difference is that of a paired comparison over speakers."
    )
    if "speaker_mean" in beyond.nuisances:
        yield (
            "The mean of the speaker's other utterances was taken over utterances of the same "
            "split, for targets that are numbers; that of test utterances uses test targets, which "
            "no real probe has."
        )


SECTION = Section("beyond", "Beyond the input", _render, _methods)
