"""From a spec to a plan: read the corpus, look at the models, check that everything fits.

Every problem of meaning is collected and reported at once, each at its place in the spec.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from jobs.corpus import prepare as prepare_corpus
from jobs.corpus.table import Skipped
from jobs.progress import ProgressCallback, ignore_progress
from jobs.targets.registry import add_targets
from sweep.analyses.similarity import count_problems
from sweep.errors import SpecError
from sweep.plan.make_plan import make_plan, used_parts
from sweep.plan.plan import Plan
from sweep.prepare.checks import _check, _gaps, _protocol_problems, _value_problems
from sweep.prepare.class_checks import class_problems, unknown_classes
from sweep.spec.loading import load_spec, sound_part
from sweep.spec.schema import Spec
from sweep.spec.source import Source


@dataclass(frozen=True)
class Prepared:
    """A spec that can be run."""

    spec: Spec
    table: pd.DataFrame
    """Utterances of the parts that the protocol uses, with the targets."""
    skipped: tuple[Skipped, ...]
    """Utterances that were left out: unreadable."""
    notes: tuple[str, ...]
    """What is done to the audio, and missing among the targets, that a user should know."""
    plan: Plan


def load_and_prepare(
    path: Path, overrides: Sequence[str], cache: Path, tell: ProgressCallback = ignore_progress
) -> Prepared:
    """Read a spec file and prepare it.

    ``tell`` is told how far reading the corpus and measuring its audio are.

    Raises:
        SpecError: with everything that is wrong, in form and in meaning.
    """
    try:
        spec, source = load_spec(path, overrides)
    except SpecError as form:
        rest = sound_part(path, overrides)
        problems = _check(*rest, cache, whole=False).problems if rest else []
        raise SpecError([*form.problems, *problems]) from None
    return prepare(spec, source, cache, tell)


def prepare(
    spec: Spec, source: Source, cache: Path, tell: ProgressCallback = ignore_progress
) -> Prepared:
    """Read the corpus and the models of ``spec`` and lay out the plan.

    Raises:
        SpecError: with everything that does not fit.
    """
    checked = _check(spec, source, cache, tell)
    if checked.problems:
        raise SpecError(checked.problems)
    corpus = checked.corpus or prepare_corpus(spec.corpus, cache, tell)
    table = corpus.utterances
    table = table[table["split"].isin(used_parts(spec, table))].reset_index(drop=True)
    table = add_targets(table, spec.targets, cache, tell)
    # Of a synthetic corpus only an outline was checked.
    problems = list(_protocol_problems(spec, source, table))
    if not problems:
        problems += [*_value_problems(spec, source, table), *class_problems(spec, source, table)]
    problems += count_problems(spec, source, table)
    if problems:
        raise SpecError(problems)
    notes = (*corpus.notes, *_gaps(spec, table), *unknown_classes(spec, table))
    return Prepared(spec, table, corpus.skipped, notes, make_plan(spec, table, checked.models))
