"""Footnotes of a run's tables: unfinished and failed cells, skipped utterances, caveats."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from jobs.audio.segments import split_tempo
from jobs.corpus.skipped import Skipped
from jobs.protocol.folds import TestedSpeakers
from jobs.statistics.intervals import LEAST_UNITS
from sweep.results.precision import precision_notes
from sweep.results.run import Run
from sweep.state.ledger import Record
from sweep.wording import counted

NAMED = 3
"""Number of skipped utterances, or of a model's failed layers, that are named; the rest are
counted."""
MOST_FAILURES = 10
"""Number of footnotes on failed cells, by descending number of cells; the rest are counted."""


def footnotes(run: Run) -> Iterator[str]:
    """Write the footnotes of the tables: missing cells and data, and other caveats."""
    counts = Counter(record.status for record in run.records.values())
    left = run.plan.n_cells - counts["done"] - counts["failed"]
    if left:
        yield f"{left} of {run.plan.n_cells} cells are not done yet."
    yield from _failures(run)
    yield from _skipped(run.skipped)
    yield from _unequal_tests(run.records.values())
    if run.plan.scored_by_sums:
        yield (
            "store: gram with kfold keeps sums over folds and no predictions, so MAE, Spearman's "
            "and within-speaker correlations, residuals and figures of predictions are empty, and "
            "how far predictions vary is not known: Pearson's correlation is also given where they "
            "hardly do, in which case other runs have none. "
            f"Intervals come from a jackknife over the {run.plan.n_folds} folds with Student's t; "
            "they are wider than those over speakers that store: activations gives."
        )
    if short := too_few_units(run):
        units = "folds" if run.plan.scored_by_sums else "test speakers"
        yield (
            f"Too few {units} for an interval or a p-value: {', '.join(short)}. At least "
            f"{LEAST_UNITS} are needed."
        )
    yield from _shared_speakers(run)
    for note in run.provenance.get("audio", []):
        yield f"{note}."
    yield from precision_notes(run.provenance.get("precision", {}))
    if run.spec.corpus.kind == "espeak":
        yield "The corpus is synthetic speech (espeak-ng), so nothing here is about human speakers."


def too_few_units(run: Run) -> list[str]:
    """List the targets with fewer than ``LEAST_UNITS`` test speakers (or folds), with numbers."""
    layers = run.layers
    column = "folds" if run.plan.scored_by_sums else "n_speakers"
    most = layers.groupby("target", sort=False, observed=True)[column].max()
    return [f"{number} for {target}" for target, number in most.items() if number < LEAST_UNITS]


def _shared_speakers(run: Run) -> Iterator[str]:
    """One footnote per number of shared speakers, with its targets unless it holds for all."""
    counts: dict[TestedSpeakers, list[str]] = {}
    for target in run.targets_with_shared_speakers:
        counts.setdefault(run.tested_speakers[target], []).append(target)
    for shared, targets in counts.items():
        of_targets = "" if len(targets) == len(run.plan.targets) else f"{', '.join(targets)}: "
        yield (
            f"{of_targets}{shared.trained} of {counted(shared.tested, 'test speaker')} are also "
            "in the training split: no score says how well probes do on speakers that they were "
            "not trained on."
        )


def _skipped(utterances: Sequence[Skipped]) -> Iterator[str]:
    """One footnote per reason and tempo."""
    reasons: dict[tuple[str, float | None], list[str]] = {}
    for skipped in utterances:
        key = (skipped.reason.partition(":")[0], split_tempo(skipped.path)[1])
        reasons.setdefault(key, []).append(skipped.utterance_id)
    for (reason, factor), names in reasons.items():
        shown = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
        tempo = "" if factor is None else f" at {factor:g} times their rate"
        count = counted(len(names), "utterance")
        yield f"{count} skipped{tempo}, {reason}: {shown} (all in skipped.csv)"


def _unequal_tests(records: Iterable[Record]) -> Iterator[str]:
    """One footnote per target whose cells were not all tested on equally many utterances."""
    counts: dict[tuple[str, int], set[int]] = {}
    for record in records:
        if record.status == "done":
            counts.setdefault((record.target, record.fold), set()).add(record.n_test)
    unequal = {target: sorted(found) for (target, _), found in counts.items() if len(found) > 1}
    for target, numbers in unequal.items():
        yield (
            f"{target}: cells were tested on different numbers of utterances, "
            f"{' or '.join(map(str, numbers))}, so their scores are not comparable; extraction "
            "skipped some for a part of the cells (see skipped.csv)"
        )


def _failures(run: Run) -> Iterator[str]:
    """One footnote per model and reason, however many layers failed for it."""
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
    subject = records[0].model + (f", {', '.join(probes)}" if len(probes) < n_probes else "")
    first = min(records, key=lambda r: r.layer_index)
    errors = {r.error for r in records}
    link = ": " if len(errors) == 1 else "; the first: "
    return f"{subject}: {counted(len(records), 'cell')} of {where} failed{link}{first.error}"


def _kind_of_error(record: Record) -> str:
    """Reduce an error to its kind, without the layer's name and numbers, which differ between
    cells."""
    return re.sub(r"\d+", "#", (record.error or "").replace(record.layer, "…"))
