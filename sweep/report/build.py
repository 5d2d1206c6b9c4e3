"""Everything a run leaves for people, rebuilt from its ledger."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from jobs.audio.segments import split_tempo
from jobs.storage.atomic import write_text
from sweep.analyses.tempo_tables import TempoTables
from sweep.report.figures.one_layer import write_one_layer_figures
from sweep.report.figures.plots import write_plots
from sweep.report.page import write_page
from sweep.report.sections.joint_cca import write_canonical
from sweep.report.sections.residuals import write_residuals
from sweep.report.sections.similarity import write_similarity
from sweep.report.sections.tempo import write_tempo
from sweep.report.tables.model_tables import write_tables
from sweep.report.text.findings import differences_tables, findings, write_differences
from sweep.report.text.methods import write_methods
from sweep.results.precision import precision_notes
from sweep.results.run import Run
from sweep.state.ledger import Record
from sweep.wording import counted

NAMED = 3
"""Utterances, or failed layers of a model, that are named; the rest are counted."""
MOST_FAILURES = 10
"""Footnotes on failed cells, those with the most cells; the rest are counted."""


def build_report(run: Run) -> Path:
    """Write the run's tables, plots and ``report.html``, replacing those of before.

    Returns:
        The page.
    """
    notes = list(footnotes(run))
    folder = run.folder
    layers = run.curves.layers
    said = findings(layers, run.models, run.differences)
    write_tables(folder.tables, run.metrics, layers, run.models, notes, said)
    write_differences(folder.tables, run.differences)
    write_text(folder.findings, "".join(f"{sentence}\n" for sentence in said))
    write_methods(folder.methods, run)
    plots = write_plots(folder.plots, layers)
    heatmaps = write_similarity(folder.tables, folder.plots, run.table("similarity"))
    predictions = write_one_layer_figures(folder.plots, run)
    of_tempo, best = write_tempo(
        folder.tables,
        folder.plots,
        TempoTables(run.table("tempo"), run.table("tempo_changes")),
        layers,
    )
    residuals = write_residuals(folder.tables, folder.plots, run)
    canonical = run.table("canonical")
    joint, components = write_canonical(folder.tables, folder.plots, canonical, layers)
    kept = [*residuals, *plots, *heatmaps, *predictions, *of_tempo, *joint]
    _remove_others(folder.plots, kept)
    write_page(
        folder.report,
        name=run.plan.name,
        layers=layers,
        models=run.models,
        said=(said, differences_tables(run.differences)),
        notes=notes,
        provenance=run.provenance,
        residuals=[path.with_suffix(".svg") for path in residuals],
        plots=[path.with_suffix(".svg") for path in plots],  # a tenth of the size, and sharp
        similarity=[path.with_suffix(".svg") for path in heatmaps],
        tempo=([path.with_suffix(".svg") for path in of_tempo], best),
        canonical=([path.with_suffix(".svg") for path in joint], components),
        predictions=predictions,  # points without number: as PNG
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
    yield from _failures(run)
    reasons: dict[tuple[str, float | None], list[str]] = {}
    for skipped in run.skipped:
        key = (skipped.reason.partition(":")[0], split_tempo(skipped.path)[1])
        reasons.setdefault(key, []).append(skipped.utterance_id)
    for (reason, factor), names in reasons.items():
        shown = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
        heard = "" if factor is None else f" at {factor:g} times their rate"
        who = counted(len(names), "utterance")
        yield f"{who} skipped{heard}, {reason}: {shown} (all in skipped.csv)"
    if run.plan.scored_by_sums:
        yield (
            "store: gram with kfold keeps sums of folds and no prediction: MAE, Spearman's and "
            "within-speaker correlations, residuals and figures of predictions need them and are "
            f"empty. Intervals are a jackknife over the {run.plan.n_folds} folds with Student's t, "
            "wider than those over speakers that store: activations gives."
        )
    for note in run.provenance.get("audio", []):
        yield f"{note}."
    yield from precision_notes(run.provenance.get("precision", {}))
    if run.spec.corpus.kind == "espeak":
        yield "The corpus is synthetic speech (espeak-ng): nothing here is about human speakers."


def _failures(run: Run) -> Iterator[str]:
    """Failed cells by model and reason: a model that fails in a hundred layers does so once."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in run.records.values():
        if record.status == "failed":
            groups.setdefault((record.model, _kind_of_error(record)), []).append(record)
    by_size = sorted(groups.values(), key=len, reverse=True)
    for records in by_size[:MOST_FAILURES]:
        yield _failure(records, len(run.plan.probes))
    rest = by_size[MOST_FAILURES:]
    if rest:
        models = len({records[0].model for records in rest})
        yield (
            f"{sum(map(len, rest))} more failed cells of {models} models, for {len(rest)} other "
            "reasons: see ledger.jsonl."
        )


def _failure(records: Sequence[Record], n_probes: int) -> str:
    layers = {r.layer_index: r.layer for r in records}
    names = [layers[index] for index in sorted(layers)]
    where = ", ".join(names)
    if len(names) > NAMED:
        where = f"{len(names)} layers from {names[0]} to {names[-1]}"
    probes = list(dict.fromkeys(r.probe for r in records))
    who = records[0].model + (f", {', '.join(probes)}" if len(probes) < n_probes else "")
    first = min(records, key=lambda r: r.layer_index)
    errors = {r.error for r in records}
    link = ": " if len(errors) == 1 else "; the first: "
    return f"{who}: {counted(len(records), 'cell')} of {where} failed{link}{first.error}"


def _kind_of_error(record: Record) -> str:
    """The error without what differs from cell to cell: the layer's name, and numbers."""
    return re.sub(r"\d+", "#", (record.error or "").replace(record.layer, "…"))
