"""Make a plan from a spec, an utterance table and descriptions of the models."""

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from jobs.corpus.table import audio_digest_of_table, classes_in, is_text, label_digest
from jobs.extraction.settings import ExtractSettings
from jobs.models import ModelInfo, with_absolute_paths
from jobs.models.baselines.settings import BaselineSettings
from jobs.models.settings import BASELINE_PREFIX, ModelSettings
from jobs.probes import probe_name
from jobs.protocol.settings import KFoldProtocol
from jobs.protocol.target_folds import TargetFolds
from sweep.plan.activation_sets import groups_digest, plan_model, with_gram
from sweep.plan.plan import Plan, PlannedProtocol
from sweep.spec.schema import Spec


def make_plan(spec: Spec, table: pd.DataFrame, models: Mapping[str, ModelInfo]) -> Plan:
    """Lay out a spec over an utterance table, without optional analyses.

    Args:
        spec: the spec.
        table: the utterance table, with the spec's targets as columns.
        models: name → description of each model, baselines included, in table order.
    """
    protocol = spec.protocol
    splits = used_splits(spec, table)
    audio = {split: audio_digest_of_table(table[table["split"] == split]) for split in splits}
    counts = Counter(table["split"])
    settings = {model.name: model for model in all_models(spec)}
    labels = {target: label_digest(table, target) for target in spec.targets}
    planned = []
    for name, info in models.items():
        extract = ExtractSettings(
            model=with_absolute_paths(settings[name]),
            features=spec.features,
            pooling=spec.pooling,
            dtype=spec.dtype,
        )
        model = plan_model(extract, info, spec.layers, audio, counts)
        planned.append(with_gram(spec, table, labels, model) if spec.store == "gram" else model)
    return Plan(
        name=spec.name,
        models=tuple(planned),
        targets=labels,
        classes={name: classes_in(table[name]) for name in spec.targets if is_text(table[name])},
        probes={probe_name(probe): probe for probe in spec.probes},
        protocol=protocol,
        groups=groups_digest(protocol, table) if spec.main_protocol == protocol else None,
        protocols={
            target: PlannedProtocol(settings=own, groups=groups_digest(own, table))
            for target, own in spec.protocols.items()
        },
        n_folds=protocol.n_folds,
        controls=("none", *spec.controls),
    )


def all_models(spec: Spec) -> list[ModelSettings]:
    """List the spec's models, then the baselines that are models of one layer."""
    return [
        *spec.models,
        *(
            BaselineSettings(name=f"{BASELINE_PREFIX}{what}", what=what)
            for what in spec.baselines
            if what != "mean"
        ),
    ]


def target_folds(spec: Spec, table: pd.DataFrame) -> TargetFolds:
    """Folds of all targets of ``spec``; those of targets that ``table`` lacks are by size alone."""
    classes = [name for name in spec.targets if name in table and is_text(table[name])]
    return TargetFolds(spec.target_protocols, table, classes)


def used_splits(spec: Spec, table: pd.DataFrame) -> list[str]:
    """List the splits of the corpus that the protocols of the targets use."""
    used: dict[str, None] = {}
    for target in spec.targets:
        protocol = spec.target_protocols.of(target)
        if isinstance(protocol, KFoldProtocol):
            return sorted(table["split"].unique())
        used |= dict.fromkeys(split for _, split in protocol.splits())
    return list(used)
