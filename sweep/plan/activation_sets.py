"""The activation sets of a plan: their ids and shards.

An *activation id* identifies the pooled activations of one model on one split of the corpus, or
statistics of them. Only values that change the results are hashed.
"""

import math
from collections.abc import Mapping
from contextlib import suppress

import pandas as pd

from jobs.corpus.table import audio_digest_of_table
from jobs.extraction.settings import EXTRACT_VERSION, ExtractSettings
from jobs.extraction.shard import Shard
from jobs.gram.fit import chooses_on_inner_folds
from jobs.gram.labels import label_values, row_sets
from jobs.gram.settings import GRAM_VERSION, GramSettings
from jobs.gram.sums import Labels
from jobs.gram.units import make_units
from jobs.identity import canonical_json, content_id, lines_digest
from jobs.models import ModelInfo, is_baseline
from jobs.models.precision import precision_of
from jobs.models.taps import LayerChoice, select_taps
from jobs.probes import RidgeSettings
from jobs.protocol.folds import group_labels
from jobs.protocol.settings import KFoldProtocol, ProtocolSettings, SplitsProtocol
from jobs.storage.location import Location
from sweep.plan.plan import PlannedLayer, PlannedModel, PlannedSet
from sweep.spec.schema import Spec

SHARD_UTTERANCES = 64
"""Most utterances in a shard: the most work that a crash can lose."""
SHARD_BYTES = 256 * 2**20
"""Most activation bytes in a shard, all of which an extractor holds in memory."""
GRAM_SAVING = 10
"""Ratio of the bytes of a shard's activations to those of its statistics. A higher ratio stores
less, and loses more to a crash."""


def plan_model(
    extract: ExtractSettings,
    info: ModelInfo,
    layers: LayerChoice,
    audio: Mapping[str, str],
    counts: Mapping[str, int],
) -> PlannedModel:
    """Plan a model with all of its activations and the layers to probe.

    Args:
        extract: settings of the extraction.
        info: description of the model.
        layers: the layers to probe.
        audio: split of the corpus → digest of its audio.
        counts: split of the corpus → number of utterances.
    """
    chosen = _chosen_layers(extract, info, layers)
    row_bytes = sum(tap.width for tap in info.taps) * (4 if extract.dtype == "float32" else 2)
    return PlannedModel(
        name=extract.model.name,
        extract=extract,
        architecture=info.architecture,
        digest=info.digest,
        n_parameters=info.n_parameters,
        input=info.input,
        row_bytes=row_bytes,
        sets=tuple(
            PlannedSet(
                split=split,
                activation_id=_activation_id(extract, info.digest, digest),
                model_digest=info.digest,
                n_utterances=counts[split],
                shard_size=max(1, min(SHARD_UTTERANCES, SHARD_BYTES // row_bytes)),
            )
            for split, digest in audio.items()
        ),
        layers=tuple(
            PlannedLayer(
                index=t.index, name=t.name, study_name=t.study_name, width=t.width, level=t.level
            )
            for t in info.taps
            if t.name in chosen
        ),
    )


def with_gram(
    spec: Spec, table: pd.DataFrame, labels: Mapping[str, str], model: PlannedModel
) -> PlannedModel:
    """Replace the activations of ``model`` by statistics, except those of a test-only split.

    Args:
        spec: the spec, with `store: gram`.
        table: the utterance table, with the spec's targets as columns.
        labels: target → digest of its labels.
        model: the model, planned with all of its activations.
    """
    protocol = spec.protocol
    gram = GramSettings(
        targets=spec.targets,
        row_sets=row_sets(table, spec.targets),
        controls=("none", *spec.controls),
        layers=tuple(layer.name for layer in model.layers),
        protocol=protocol,
        inner=needs_inner_folds(spec),
    )
    n_bytes = sum(gram.stored_bytes(layer.width) for layer in model.layers)
    saving = model.row_bytes / (GRAM_SAVING * n_bytes)
    summed = _summed(model, gram, table, labels, saving)
    if isinstance(protocol, SplitsProtocol):
        summed += [planned for planned in model.sets if planned.split == protocol.test]
    change = {
        "sets": tuple(summed),
        "gram_bytes": n_bytes,
        "gram_memory": sum(gram.working_bytes(layer.width) for layer in model.layers),
    }
    return model.model_copy(update=change)


def needs_inner_folds(spec: Spec) -> bool:
    """Return True if a probe of the spec chooses alpha on inner folds of the training split."""
    return any(
        isinstance(probe, RidgeSettings)
        and chooses_on_inner_folds(probe, has_validation=spec.protocol.has_validation)
        for probe in spec.probes
    )


def plan_set(model: PlannedModel, split: str, rows: pd.DataFrame) -> PlannedSet:
    """Plan a further set of activations of ``model``, for utterances that an analysis adds.

    Args:
        model: the model to run on them.
        split: a name that no split of the corpus has, see ``corpus_rows``.
        rows: their rows of the utterance table.
    """
    return PlannedSet(
        split=split,
        activation_id=_activation_id(model.extract, model.digest, audio_digest_of_table(rows)),
        model_digest=model.digest,
        n_utterances=len(rows),
        shard_size=max(1, min(SHARD_UTTERANCES, SHARD_BYTES // model.row_bytes)),
    )


def corpus_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Drop the rows that analyses add, whose splits are named ``#analysis=value``."""
    return table[~table["split"].str.match(r"#\w+=")]


def shards(planned: PlannedSet, table: pd.DataFrame, cache: Location) -> list[Shard]:
    """List the work units of an activation set: ranges of utterances in table order × all taps.

    ``table`` has the rows of the set's split, including those that analyses add.
    """
    rows = table[table["split"] == planned.split]
    labels = None
    if planned.gram is not None:
        table = corpus_rows(table)
        chosen = make_units(planned.gram, table).of_row == planned.unit
        rows = table[chosen]
        labels = Labels(planned.gram, label_values(planned.gram, table)[chosen])
    ids, paths = list(rows["utterance_id"]), list(rows["audio_path"])
    size, folder = planned.shard_size, planned.folder(cache)
    found = []
    for index in range(planned.n_shards):
        chunk = slice(index * size, (index + 1) * size)
        found.append(
            Shard(
                folder=folder,
                index=index,
                utterance_ids=tuple(ids[chunk]),
                audio_paths=tuple(paths[chunk]),
                model_digest=planned.model_digest,
                labels=labels[chunk] if labels else None,
            )
        )
    return found


def groups_digest(protocol: ProtocolSettings, table: pd.DataFrame) -> str | None:
    """Digest of the groups that the protocol keeps together; None where these are the speakers."""
    if not isinstance(protocol, KFoldProtocol) or protocol.group == "speaker_id":
        return None
    rows = zip(table["utterance_id"], group_labels(protocol, table), strict=True)
    return lines_digest(sorted(canonical_json([str(name), str(group)]) for name, group in rows))


def _summed(
    model: PlannedModel,
    gram: GramSettings,
    table: pd.DataFrame,
    labels: Mapping[str, str],
    saving: float,
) -> list[PlannedSet]:
    """Plan the statistics of each unit of ``table``, in ``saving`` shards per utterance or one.

    Shards of statistics all have the same size on disk, however many utterances they cover.
    """
    units = make_units(gram, table)
    groups = groups_digest(gram.protocol, table)
    sets = []
    for unit in range(units.n_units):
        rows = table[units.of_row == unit]
        n_shards = max(1, int(len(rows) * saving))
        size = math.ceil(len(rows) / n_shards)
        identity = {
            "of": _activation_id(model.extract, model.digest, audio_digest_of_table(rows)),
            "gram": gram.identity(),
            "labels": [labels[target] for target in gram.targets],
            # A shard of another size would hold sums over other utterances.
            "shard_size": size,
            "version": GRAM_VERSION,
            **({"groups": groups} if groups else {}),
        }
        sets.append(
            PlannedSet(
                split=_name_of_unit(gram, rows, unit),
                activation_id=content_id(identity),
                model_digest=model.digest,
                n_utterances=len(rows),
                shard_size=size,
                gram=gram,
                unit=unit,
            )
        )
    return sets


def _name_of_unit(gram: GramSettings, rows: pd.DataFrame, unit: int) -> str:
    """Name a unit: the split that it covers completely, or else its number."""
    splits = rows["split"].unique()
    whole = isinstance(gram.protocol, SplitsProtocol) and not gram.inner and len(splits) == 1
    return str(splits[0]) if whole else f"unit {unit}"


def _chosen_layers(extract: ExtractSettings, info: ModelInfo, layers: LayerChoice) -> set[str]:
    """Select the taps to probe; a pattern may match nothing here and match in another model."""
    if is_baseline(extract.model):
        return {tap.name for tap in info.taps}
    if isinstance(layers, str):
        return set(select_taps(layers, info.taps))
    chosen: set[str] = set()
    for pattern in layers:
        with suppress(ValueError):
            chosen.update(select_taps([pattern], info.taps))
    return chosen


def extraction_id(extract: ExtractSettings, model_digest: str) -> str:
    """Identify what turns audio into activations: the model and its features, without any audio."""
    return content_id(_extraction(extract, model_digest))


def _activation_id(extract: ExtractSettings, model_digest: str, audio_digest: str) -> str:
    return content_id({**_extraction(extract, model_digest), "audio": audio_digest})


def _extraction(extract: ExtractSettings, model_digest: str) -> dict[str, object]:
    precision = precision_of(extract.model)
    return {
        # Full precision is left out, which keeps ids from before it was a setting.
        **({} if precision == "fp32" else {"precision": precision}),
        "model": model_digest,
        "features": extract.features.identity(),
        "pooling": extract.pooling,
        "dtype": extract.dtype,
        "version": EXTRACT_VERSION,
    }
