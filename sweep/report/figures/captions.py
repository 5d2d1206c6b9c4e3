"""The caption of a figure in small multiples: it explains what is drawn, and only that."""

from collections.abc import Iterator, Sequence

import pandas as pd

from jobs.statistics.points import DECIDING_SPEAKER, FOLDS, SPEAKERS, WITHOUT_SPEAKER
from jobs.statistics.scores import SCORES
from sweep.report.figures.curve_panel import DECIDED, MOST_BANDS, MOST_NAMED
from sweep.report.figures.panel import Panel, reaches_beyond
from sweep.report.figures.scores import best_position, models_in, on_main_path
from sweep.report.figures.style import TEXT, signed, text_width
from sweep.report.tables.cells import by_fold
from sweep.report.tables.markup import one_line

MOST_DECIDED = 3
"""Number of decided best layers that the caption lists; the tables have all."""


def caption_of(
    panels: Sequence[Panel], width: float, notes: Sequence[str], *, seeds: bool
) -> list[str]:
    """Write the caption in lines of ``width`` inches."""
    return wrapped(" ".join([*_sentences(panels, seeds=seeds), *notes]), width, TEXT)


def _sentences(panels: Sequence[Panel], *, seeds: bool) -> Iterator[str]:
    models = [panel.rows[panel.rows["model"].isin(models_in(panel.rows))] for panel in panels]
    rows = pd.concat(models)
    counts = [of_panel["model"].nunique() for of_panel in models]
    if not on_main_path(rows).all():
        yield (
            "Lines join the input, the outputs of blocks and the embedding; faint dots are layers "
            "inside or between blocks."
        )
    several = any(o.groupby("model", observed=True)["layer"].nunique().max() > 1 for o in models)
    if several:
        named = "" if max(counts) <= MOST_NAMED else ", that of the best model named"
        by = panels[0].score.best_by
        best = f"best layer by {SCORES[by].label}" if by else "best layer"
        yield f"Large marker: {best}{named or ', named with its score'}."
    if any(f"{p.score.column}_low" in p.rows and p.rows[f"{p.score.column}_low"].notna().any()
           for p in panels):  # fmt: skip
        over = FOLDS if by_fold(rows) else SPEAKERS
        where = "Shaded" if max(counts) <= MOST_BANDS else "Bars at the best layers"
        but = "; of untrained twins, the range over seeds" if seeds else ""
        yield f"{where if several else 'Bars'}: 95 % interval over {over}{but}."
    if any(reaches_beyond(panel) for panel in panels):
        yield f"{'▼' if panels[0].score.high_is_good else '▲'}: beyond the axis."
    if any(p.detailed for p in panels) and (rows.get("missing", pd.Series([0])) > 0).any():
        yield "Open squares: fewer cells than planned."
    if DECIDING_SPEAKER in rows and (rows[DECIDING_SPEAKER] != "").any():
        yield f"{DECIDED}: one speaker decides the score{_decided(panels)}."


def _decided(panels: Sequence[Panel]) -> str:
    """List the best layers that one speaker decides, with the score without that speaker."""
    found = []
    for panel in panels:
        for model in models_in(panel.rows):
            group = panel.rows[panel.rows["model"] == model].sort_values("layer_index")
            best = best_position(panel.score, group)
            without = f"{panel.score.column}{WITHOUT_SPEAKER}"
            if best is None or without not in group:
                continue
            row = group.iloc[best].to_dict()
            if row[DECIDING_SPEAKER] and pd.notna(row[without]):
                where = f"{model}, {row['target']}, {row['layer']}"
                score = signed(f"{row[without]:z.2f}")
                found.append(f"{where}: {score} without {row[DECIDING_SPEAKER]}")
    more = len(found) - MOST_DECIDED
    end = f"; and {more} more" if more > 0 else ""
    return f" ({one_line('; '.join(found[:MOST_DECIDED]))}{end})" if found else ""


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Break a text of ``size`` points into lines of ``width`` inches."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
