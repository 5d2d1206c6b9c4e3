"""Checks of a spec against its corpus and models."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from jobs.corpus import prepare as prepare_corpus
from jobs.corpus.espeak.corpus import EspeakSettings, outline
from jobs.corpus.table import Corpus, CorpusError, has_value
from jobs.identity import content_id
from jobs.models import ModelError, ModelInfo, describe_model, precision_of
from jobs.models.baselines import BASELINE_PREFIX
from jobs.models.precision import check_precision
from jobs.models.taps import select_taps
from jobs.probes import probe_name
from jobs.progress import ProgressCallback, ignore_progress
from jobs.protocol.folds import check_speakers, lost_parts
from jobs.statistics.model_table import REFERENCES
from jobs.targets.registry import find_target
from sweep.analyses.joint_cca import component_problems
from sweep.analyses.similarity import part_problems
from sweep.analyses.tempo import tempo_problems
from sweep.errors import Problem
from sweep.plan.gram import gram_problems
from sweep.plan.make_plan import all_models
from sweep.prepare.class_checks import pair_problems
from sweep.spec.schema import Spec
from sweep.spec.source import Source


@dataclass(frozen=True)
class _Checked:
    """What a look at a spec's models and corpus found."""

    problems: list[Problem]
    models: dict[str, ModelInfo]
    corpus: Corpus | None
    """None while there are problems, and for a synthetic corpus, which is made when all is well."""


def _check(
    spec: Spec,
    source: Source,
    cache: Path,
    tell: ProgressCallback = ignore_progress,
    *,
    whole: bool = True,
) -> _Checked:
    """``whole``: nothing of the spec was left out, so that what is absent is missing."""
    problems = [*_name_problems(spec, source)]
    models, model_problems = _describe_models(spec, source)
    problems += [*model_problems, *_twin_problems(spec, source, models)]
    problems += _precision_problems(spec, source)
    problems += gram_problems(spec, source)
    if not model_problems:
        problems += _layer_problems(spec, source, models)
    corpus = None
    try:
        if isinstance(spec.corpus, EspeakSettings):
            table = outline(spec.corpus)
        else:
            corpus = prepare_corpus(spec.corpus, cache, tell)
            table = corpus.utterances
    except (CorpusError, ValueError, OSError) as error:  # a path may be too long to be one
        return _Checked([*problems, source.problem(("corpus",), str(error))], models, None)
    problems += target_problems(spec, source, table)
    problems += pair_problems(spec, source, table) if whole else []
    problems += _protocol_problems(spec, source, table)
    problems += part_problems(spec, source, table)
    problems += tempo_problems(spec, source) if whole else []
    problems += component_problems(spec, source, table) if whole else []
    return _Checked(problems, models, corpus)


def _name_problems(spec: Spec, source: Source) -> Iterator[Problem]:
    """Names tell rows of the tables apart: they must differ, and not be those of baselines."""
    for position, model in enumerate(spec.models):
        taken = model.name.startswith(BASELINE_PREFIX) and model.kind != "baseline"
        if taken or model.name in REFERENCES:
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
            # The same weights in another precision are there to be compared.
            what = f"{models[model.name].digest} {precision_of(model)}"
            twin = first.setdefault(what, model.name)
            if twin != model.name:
                message = f"{model.name}: the same weights as {twin!r}; remove one of them"
                yield source.problem(("models", position), message)
    first.clear()
    for position, probe in enumerate(spec.probes):
        twin = first.setdefault(content_id(probe.identity()), probe_name(probe))
        if twin != probe_name(probe):
            message = f"{probe_name(probe)}: the same settings as {twin!r}; remove one of them"
            yield source.problem(("probes", position), message)


def _precision_problems(spec: Spec, source: Source) -> Iterator[Problem]:
    """Models that the devices of ``compute`` cannot compute as they are told to."""
    device = "cuda" if spec.compute.extractor.gpus else "cpu"
    for position, model in enumerate(spec.models):
        try:
            check_precision(precision_of(model), device, model.name)
        except ModelError as error:
            yield source.problem(("models", position, "precision"), str(error))


def target_problems(spec: Spec, source: Source, table: pd.DataFrame) -> Iterator[Problem]:
    """The targets of ``spec`` that ``table`` cannot give, each at its place."""
    for position, name in enumerate(spec.targets):
        try:
            find_target(name, table)
        except ValueError as error:
            yield source.problem(("targets", position), str(error))


def _protocol_problems(spec: Spec, source: Source, table: pd.DataFrame) -> Iterator[Problem]:
    """What makes the protocol impossible or misleading."""
    for message in check_speakers(spec.protocol, table):
        yield source.problem(("protocol",), message)


def _value_problems(spec: Spec, source: Source, table: pd.DataFrame) -> Iterator[Problem]:
    """Targets with too few values to be probed by the protocol."""
    for position, name in enumerate(spec.targets):
        usable = has_value(table[name])
        if usable.all():
            continue
        for message in lost_parts(spec.protocol, table, usable):
            without = f"{name}: without the {(~usable).sum()} utterances that have no value"
            yield source.problem(("targets", position), f"{without}, {message}")


def _gaps(spec: Spec, table: pd.DataFrame) -> Iterator[str]:
    """What the probes of a target go without, and targets that say nothing."""
    for name in spec.targets:
        values = table[name][has_value(table[name])].unique()
        if len(values) == 1:
            yield (
                f"all utterances have the same {name}, {values[0]}: there is nothing to predict, "
                "and no R² and no correlation of it is defined"
            )
        missing = int((~has_value(table[name])).sum())
        if missing:
            yield (
                f"{missing} of {len(table)} utterances have no value of the target {name}: "
                "left out of its probes"
            )


def _describe_models(spec: Spec, source: Source) -> tuple[dict[str, ModelInfo], list[Problem]]:
    models: dict[str, ModelInfo] = {}
    problems: list[Problem] = []
    for position, settings in enumerate(all_models(spec)):
        try:
            models[settings.name] = describe_model(settings, spec.pooling)
        except (ModelError, OSError) as error:
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
