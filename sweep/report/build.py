"""Everything a run leaves for people, rebuilt from its ledger."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from sweep.report.page import write_page
from sweep.report.plots import write_plots
from sweep.report.tables import write_tables
from sweep.results import Run

NAMED = 3
"""Utterances, or reasons of failure, that are named; the rest are counted."""


def build_report(run: Run) -> Path:
    """Write the run's tables, plots and ``report.html``, replacing those of before.

    Returns:
        The page.
    """
    notes = list(footnotes(run))
    folder = run.folder
    write_tables(folder.tables, run.metrics, run.layers, run.models, notes)
    plots = write_plots(folder.plots, run.layers)
    _remove_others(folder.plots, plots)
    write_page(
        folder.report,
        name=run.plan.name,
        layers=run.layers,
        models=run.models,
        notes=notes,
        provenance=run.provenance,
        plots=plots,
    )
    return folder.report


def _remove_others(folder: Path, plots: Sequence[Path]) -> None:
    """Figures of what is no longer in the spec would pass for results."""
    stems = {path.stem for path in plots}
    for pattern in ("*.png", "*.svg"):
        for path in folder.glob(pattern):
            if path.stem not in stems:
                path.unlink()


def footnotes(run: Run) -> Iterator[str]:
    """What a reader of the tables must know: what is missing from them, and from the data."""
    counts = Counter(record.status for record in run.records.values())
    left = run.plan.n_cells - counts["done"] - counts["failed"]
    if left:
        yield f"{left} of {run.plan.n_cells} cells are not done yet."
    errors = Counter(r.error for r in run.records.values() if r.status == "failed")
    for error, count in errors.most_common(NAMED):
        yield f"{count} cells failed: {error}"
    if len(errors) > NAMED:
        rest = sum(errors.values()) - sum(count for _, count in errors.most_common(NAMED))
        yield f"{rest} more cells failed for {len(errors) - NAMED} other reasons: see ledger.jsonl."
    reasons: dict[str, list[str]] = {}
    for skipped in run.skipped:
        reasons.setdefault(skipped.reason.partition(":")[0], []).append(skipped.utterance_id)
    for reason, names in reasons.items():
        shown = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
        yield f"{len(names)} utterances skipped, {reason}: {shown} (all in skipped.csv)"
    for note in run.provenance.get("audio", []):
        yield f"{note}."
    if run.spec.corpus.kind == "espeak":
        yield "The corpus is synthetic speech (espeak-ng): nothing here is about human speakers."
