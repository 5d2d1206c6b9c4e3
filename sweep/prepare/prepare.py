"""Prepare a spec: read its corpus, describe its models, check it, and lay out the plan.

The context of the checks is built in stages: first the models and the corpus, of a synthetic
corpus an outline; then, if nothing is wrong so far, the final table with the measured targets. All
problems that a stage can find are reported together, with those of form. The audio is measured
last, if at all.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from jobs.audio.segments import split_span
from jobs.corpus import outline_corpus
from jobs.corpus import prepare as read_corpus
from jobs.corpus.skipped import Skipped, commonest_reason
from jobs.corpus.table import Corpus, CorpusError
from jobs.models import ModelInfo, describe_model
from jobs.models.errors import ModelError
from jobs.progress import ProgressCallback, ignore_progress
from jobs.targets.registry import add_targets, describe_columns, is_measured
from sweep.analyses import plan_run, table_columns
from sweep.plan.make_plan import all_models, used_splits
from sweep.plan.plan import Plan
from sweep.prepare.checks import run_checks
from sweep.prepare.notes import limit_notes, target_notes, twin_notes
from sweep.prepare.plausibility import plausibility_notes
from sweep.spec.check import CheckContext, Finding
from sweep.spec.loading import LoadedSpec, read_spec
from sweep.spec.schema import Spec


@dataclass(frozen=True)
class Prepared:
    """A spec that can be run."""

    spec: Spec
    table: pd.DataFrame
    """The utterances of the splits that the protocols use, with the targets as columns."""
    skipped: tuple[Skipped, ...]
    """Utterances that were left out because they are unreadable."""
    notes: tuple[str, ...]
    """Remarks for the user: conversions of the audio, implausible utterances, assumptions about
    models, missing values of targets."""
    plan: Plan
    audio: frozenset[Path]
    """All audio files of the corpus, those of unused splits included."""
    unmeasured: tuple[str, ...] = ()
    """Targets that were not measured: the table and the plan have no values of them, and what
    depends on these was not checked."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Own columns of the corpus, and what each is as a target: numbers or classes."""


def load_and_prepare(
    path: Path,
    overrides: Sequence[str],
    cache: Path,
    progress: ProgressCallback = ignore_progress,
) -> Prepared:
    """Read a spec file and prepare it.

    Args:
        path: the spec.
        overrides: ``KEY=VALUE`` assignments to it.
        cache: where synthetic corpora and measured targets are kept.
        progress: called while the corpus is read and its audio is measured.

    Raises:
        SpecError: the spec is wrong; with all problems, in form and in meaning.
    """
    return prepare(read_spec(path, overrides), cache, progress)


def prepare(
    loaded: LoadedSpec,
    cache: Path,
    progress: ProgressCallback = ignore_progress,
    *,
    measure: bool = True,
) -> Prepared:
    """Read the corpus and the models of a spec, check it and lay out the plan.

    Args:
        loaded: the spec.
        cache: where synthetic corpora and measured targets are kept.
        progress: called while the corpus is read and its audio is measured.
        measure: whether to compute the targets that are measured in the audio; the ids of the plan
            depend on them.

    Raises:
        SpecError: the spec is wrong; with all problems, in form and in meaning.
    """
    spec = loaded.spec
    models, findings = _describe_models(spec, progress)
    utterances, corpus = None, None
    try:
        utterances = outline_corpus(spec.corpus)
        if utterances is None:
            corpus = read_corpus(spec.corpus, cache, progress)
            findings += nothing_left(corpus)
            utterances = None if corpus.utterances.empty else corpus.utterances
    except (CorpusError, ValueError, OSError) as error:  # OSError: a path may be too long
        findings.append((("corpus",), str(error)))
    context = CheckContext(bool(loaded.invalid), models, utterances)
    loaded.raise_problems([*findings, *_explained(run_checks(spec, context), corpus)])

    if corpus is None:
        corpus = read_corpus(spec.corpus, cache, progress)
        loaded.raise_problems(nothing_left(corpus))
    utterances = corpus.utterances
    table = utterances[utterances["split"].isin(used_splits(spec, utterances))]
    table = table.reset_index(drop=True)
    columns = table_columns(spec)
    measured = [name for name in columns if is_measured(name, utterances)]
    at_once = add_targets(table, [name for name in columns if name not in measured])
    context = replace(context, utterances=utterances, table=at_once)
    loaded.raise_problems(_explained(run_checks(spec, context), corpus))
    if measured and measure:
        table = add_targets(table, columns, cache, progress)
        loaded.raise_problems(run_checks(spec, replace(context, table=table)))
    else:
        table = at_once.assign(**dict.fromkeys(measured, math.nan))

    known = table if measure else at_once
    of_corpus = (*corpus.notes, *plausibility_notes(table))
    of_models = (f"{name}: {note}" for name, info in models.items() for note in info.notes)
    limits = limit_notes(columns, utterances.columns, table, cache)
    plan = plan_run(spec, table, models)
    notes = (*of_corpus, *of_models, *target_notes(spec, known), *limits, *twin_notes(spec, plan))
    audio = frozenset(split_span(path)[0] for path in corpus.utterances["audio_path"])
    unmeasured = () if measure else tuple(measured)
    own = describe_columns(corpus.utterances)
    return Prepared(spec, table, corpus.skipped, notes, plan, audio, unmeasured, own)


def nothing_left(corpus: Corpus | None) -> list[Finding]:
    """Report a corpus none of whose utterances can be used."""
    if corpus is None or len(corpus.utterances):
        return []
    why = commonest_reason(corpus.skipped) if corpus.skipped else "it has none"
    return [(("corpus",), f"no utterance can be used: {why}")]


def _explained(findings: Iterable[Finding], corpus: Corpus | None) -> Iterator[Finding]:
    """Add to problems of protocols why utterances are missing from the corpus."""
    for place, message in findings:
        if place[0] in ("protocol", "protocols") and corpus is not None and corpus.skipped:
            yield place, f"{message}; {commonest_reason(corpus.skipped)}"
        else:
            yield place, message


def _describe_models(
    spec: Spec, progress: ProgressCallback
) -> tuple[dict[str, ModelInfo], list[Finding]]:
    """Load every model and baseline once; those that cannot be loaded are findings."""
    models: dict[str, ModelInfo] = {}
    findings: list[Finding] = []
    every = all_models(spec)
    for position, settings in enumerate(every):
        progress("describing models", position, len(every))
        try:
            models[settings.name] = describe_model(settings, spec.pooling)
        except (ModelError, OSError) as error:
            key = getattr(error, "key", None)
            path = ("models", position, *([key] if key else []))
            findings.append((path, f"{settings.name}: {error}"))
    return models, findings
