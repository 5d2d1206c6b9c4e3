"""From a spec to a plan: read the corpus, look at the models, check that everything fits.

Every problem of meaning is collected and reported at once, each at its place in the spec.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from jobs.corpus import prepare as prepare_corpus
from jobs.corpus.table import Corpus, CorpusError, Skipped
from jobs.identity import content_id
from jobs.models import ModelError, ModelInfo, describe_model
from jobs.models.taps import select_taps
from jobs.probes import probe_name
from jobs.protocol import check_speakers
from jobs.reduce import MEAN_PREDICTOR
from jobs.targets import add_targets, find_target
from sweep.plan import Plan, all_models, make_plan, used_parts
from sweep.source import Problem, Source, SpecError
from sweep.spec import Spec


@dataclass(frozen=True)
class Prepared:
    """A spec that can be run."""

    spec: Spec
    table: pd.DataFrame
    """Utterances of the parts that the protocol uses, with the targets."""
    skipped: tuple[Skipped, ...]
    """Utterances that were left out: unreadable, or without a value of a target."""
    notes: tuple[str, ...]
    """What is done to the audio that a user should know."""
    plan: Plan


def prepare(spec: Spec, source: Source, cache: Path) -> Prepared:
    """Read the corpus and the models of ``spec`` and lay out the plan.

    Raises:
        SpecError: with everything that does not fit.
    """
    problems = [*_name_problems(spec, source)]
    models, model_problems = _describe_models(spec, source)
    problems += [*model_problems, *_twin_problems(spec, source, models)]
    if not model_problems:
        problems += _layer_problems(spec, source, models)
    corpus, corpus_problems = _read_corpus(spec, source, cache)
    problems += corpus_problems
    if corpus is not None:
        problems += _target_problems(spec, source, corpus.utterances)
    if problems or corpus is None:
        raise SpecError(problems)
    table = corpus.utterances
    table = table[table["split"].isin(used_parts(spec, table))].reset_index(drop=True)
    table, valueless = _with_targets(spec, source, table)
    skipped = (*corpus.skipped, *valueless)
    return Prepared(spec, table, skipped, corpus.notes, make_plan(spec, table, models))


def _name_problems(spec: Spec, source: Source) -> Iterator[Problem]:
    """Names tell rows of the tables apart: they must differ, and not be those of baselines."""
    for position, model in enumerate(spec.models):
        taken = model.name.startswith("baseline:") and model.kind != "baseline"
        if taken or model.name == MEAN_PREDICTOR:
            message = f"models: the name {model.name!r} is kept for baselines; choose another"
            yield source.problem(("models", position, "name"), message)
    yield from _repeated(source, "models", [model.name for model in all_models(spec)])
    yield from _repeated(source, "probes", [probe_name(probe) for probe in spec.probes])
    yield from _repeated(source, "targets", spec.targets)
    yield from _repeated(source, "controls", spec.controls)
    yield from _repeated(source, "baselines", spec.baselines)


def _repeated(source: Source, key: str, names: Iterable[str]) -> Iterator[Problem]:
    seen: Counter[str] = Counter()
    for position, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            message = f"{key}: the name {name!r} is used twice; give one of them another `name`"
            yield source.problem((key, position), message)


def _twin_problems(spec: Spec, source: Source, models: dict[str, ModelInfo]) -> Iterator[Problem]:
    """Two names for one thing would be one set of cells, and one of them missing in the tables."""
    first: dict[str, str] = {}
    for position, model in enumerate(all_models(spec)):
        if model.name in models:
            twin = first.setdefault(models[model.name].digest, model.name)
            if twin != model.name:
                message = f"{model.name}: the same weights as {twin!r}; remove one of them"
                yield source.problem(("models", position), message)
    first.clear()
    for position, probe in enumerate(spec.probes):
        twin = first.setdefault(content_id(probe.identity()), probe_name(probe))
        if twin != probe_name(probe):
            message = f"{probe_name(probe)}: the same settings as {twin!r}; remove one of them"
            yield source.problem(("probes", position), message)


def _target_problems(spec: Spec, source: Source, table: pd.DataFrame) -> Iterator[Problem]:
    for position, name in enumerate(spec.targets):
        try:
            find_target(name, table)
        except ValueError as error:
            yield source.problem(("targets", position), str(error))


def _with_targets(
    spec: Spec, source: Source, table: pd.DataFrame
) -> tuple[pd.DataFrame, list[Skipped]]:
    """The utterances that have a value of every target, and the others.

    Raises:
        SpecError: too few are left.
    """
    table = add_targets(table, spec.targets)
    skipped = []
    whole = np.ones(len(table), dtype=bool)
    for name in spec.targets:
        has_value = np.isfinite(table[name].to_numpy(dtype=float))
        for row in table[whole & ~has_value].itertuples():
            reason = f"no value of the target {name}: it is empty, or not finite"
            skipped.append(Skipped(str(row.utterance_id), str(row.audio_path), reason))
        whole &= has_value
    table = table[whole].reset_index(drop=True)
    if skipped:
        problems = [
            source.problem(("targets",), f"without the {len(skipped)} utterances that have no "
                           f"value of a target, {message}")
            for message in check_speakers(spec.protocol, table)
        ]  # fmt: skip
        if problems:
            raise SpecError(problems)
    return table, skipped


def _describe_models(spec: Spec, source: Source) -> tuple[dict[str, ModelInfo], list[Problem]]:
    models: dict[str, ModelInfo] = {}
    problems: list[Problem] = []
    for position, settings in enumerate(all_models(spec)):
        try:
            models[settings.name] = describe_model(settings, spec.pooling)
        except ModelError as error:
            problems.append(source.problem(("models", position), f"{settings.name}: {error}"))
    return models, problems


def _layer_problems(spec: Spec, source: Source, models: dict[str, ModelInfo]) -> Iterator[Problem]:
    """A pattern must match a layer of some model; a model must have a layer that is matched."""
    if spec.layers == "all":
        return
    probed = {model.name: models[model.name].taps for model in spec.models}
    matched: Counter[str] = Counter()
    for position, pattern in enumerate(spec.layers):
        messages = []
        for name, taps in probed.items():
            try:
                matched[name] += len(select_taps([pattern], taps))
            except ValueError as error:
                messages.append(f"{name}: {error}")
        if len(messages) == len(probed):
            yield source.problem(("layers", position), messages[0])
    for position, model in enumerate(spec.models):
        if not matched[model.name] and any(matched.values()):
            message = f"{model.name}: none of its layers is chosen by `layers`"
            yield source.problem(("models", position), message)


def _read_corpus(spec: Spec, source: Source, cache: Path) -> tuple[Corpus | None, list[Problem]]:
    try:
        corpus = prepare_corpus(spec.corpus, cache)
    except (CorpusError, ValueError) as error:
        return None, [source.problem(("corpus",), str(error))]
    return corpus, [
        source.problem(("protocol",), message)
        for message in check_speakers(spec.protocol, corpus.utterances)
    ]
