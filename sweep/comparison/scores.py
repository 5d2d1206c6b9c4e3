"""Scores of several runs, layer by layer, with their differences from the first run.

A difference is that of the same layer of the same model, paired over speakers as differences
between models are (`jobs.statistics.differences.between_layers`). It is only computed where both
runs tested the same utterances with the same values.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jobs.arrays import FloatArray
from jobs.models import is_baseline
from jobs.statistics.attainable import within_reach
from jobs.statistics.curves import CURVE
from jobs.statistics.differences import Differences, between_layers, holm
from jobs.statistics.intervals import ScaleName
from jobs.statistics.scores import MAIN_SCORE, with_ends
from sweep.results.run import Run

KEY = ["target", "probe", "model", "layer"]
"""Columns that identify a point in all runs; ``model`` is the name in the first run."""
COLUMNS = [
    *("target", "probe", "score", "model", "layer", "layer_index", "run"),
    *("value", "low", "high", "difference", "difference_low", "difference_high", "p", "p_holm"),
]
"""Columns of ``compare.csv``. ``difference`` is this run's score minus the first run's; Holm's
correction holds over the layers of one target, probe, model and run."""
_SCALES: dict[str, ScaleName] = {"r2": "rest", "accuracy": "share"}


@dataclass(frozen=True)
class RunScores:
    """Scores of several runs."""

    table: pd.DataFrame
    """A row per run, target, probe, model and layer: ``COLUMNS``."""
    notes: Sequence[str]
    """Sentences on what could not be compared, and why."""


def compare_scores(runs: Mapping[str, Run]) -> RunScores:
    """Align the layers of ``runs``, label → run, and compare each run with the first."""
    (first_label, first), *others = runs.items()
    tables = [_points(first_label, first, {})]
    notes: list[str] = []
    for label, other in others:
        names = _aligned_models(first, other)
        notes += [
            f"model {theirs} of {label} stands beside {ours} of {first_label}"
            for theirs, ours in names.items()
            if theirs != ours
        ]
        points = _points(label, other, names)
        compared = list(_compared(first_label, first, label, other, names, notes))
        if compared:
            points = points.merge(pd.DataFrame(compared), on=KEY, how="left")
        tables.append(points)
    table = pd.concat([one.reindex(columns=COLUMNS) for one in tables], ignore_index=True)
    return RunScores(table, list(dict.fromkeys(notes)))


def _points(label: str, run: Run, names: Mapping[str, str]) -> pd.DataFrame:
    """List the main scores of a run, with models under the names of the first run."""
    rows = []
    for kind, main in MAIN_SCORE.items():
        layers = run.layers[run.layers["target_kind"] == kind]
        score, low, high = with_ends(main)
        renamed = {score: "value", low: "low", high: "high"}
        columns = [*KEY, "layer_index", *renamed]
        rows.append(layers[columns].rename(columns=renamed).assign(score=score))
    found = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=[*KEY, "score"])
    for column in ("target", "probe", "model"):
        found[column] = found[column].astype(str)
    found["model"] = found["model"].replace(dict(names))
    return found.assign(run=label)


def _aligned_models(first: Run, other: Run) -> dict[str, str]:
    """Map models of ``other`` to those of ``first``: by name, or the only one to the only one."""
    ours, theirs = ({model.name for model in run.plan.models} for run in (first, other))
    names = {name: name for name in sorted(ours & theirs)}
    networks = [
        [m.name for m in run.plan.models if not is_baseline(m.extract.model)]
        for run in (other, first)
    ]
    shared = set(networks[0]) & set(networks[1])
    if not shared and all(len(found) == 1 for found in networks):
        names[networks[0][0]] = networks[1][0]
    return names


def _compared(
    first_label: str, first: Run, label: str, other: Run, names: Mapping[str, str], notes: list[str]
) -> Iterator[dict[str, object]]:
    """Yield the differences of all layers that both runs have; append to ``notes`` why not."""
    for target, probe in other.plan.pairs():
        if (target, probe) not in set(first.plan.pairs()):
            continue
        why = _incomparable(first, other, target, probe)
        if why is not None:
            notes.append(f"{target}: {why} in {first_label} and {label}: no difference computed")
            continue
        for theirs, ours in names.items():
            yield from _of_model(first, ours, other, theirs, target, probe)


def _incomparable(first: Run, other: Run, target: str, probe: str) -> str | None:
    """Say why scores of a target cannot be compared in pairs; None: they can."""
    if first.plan.scored_by_sums or other.plan.scored_by_sums:
        return "predictions are not kept by store: gram with kfold"
    tested = [_tested(run, target, probe) for run in (first, other)]
    return None if tested[0] == tested[1] else "not the same test utterances"


def _tested(run: Run, target: str, probe: str) -> dict[str, tuple[str, object]]:
    """Return the tested utterances of one layer: id → speaker and true value."""
    rows = run.layers[(run.layers["target"] == target) & (run.layers["probe"] == probe)]
    if rows.empty:
        return {}
    place = rows.iloc[0]
    found = run.predictions(str(place["model"]), str(place["layer"]), probe=probe, target=target)
    values = zip(found["speaker_id"], found["y_true"], strict=True)
    return dict(zip(found["utterance_id"], values, strict=True))


def _of_model(
    first: Run, ours: str, other: Run, theirs: str, target: str, probe: str
) -> Iterator[dict[str, object]]:
    keys = [_keys(run, model, target, probe) for run, model in ((first, ours), (other, theirs))]
    shared = [layer for layer in keys[0] if layer in keys[1]]
    if not shared:
        return
    of_layers = [
        [run.curves.errors[key[layer]] for layer in shared]
        for run, key in zip((first, other), keys, strict=True)
    ]
    speakers = sorted({name for errors in of_layers for one in errors for name in one.speakers})
    if len(speakers) < 2:
        return
    a, b = (np.stack([one.at(speakers) for one in errors]) for errors in of_layers)
    score = MAIN_SCORE[first.plan.kind(target)]
    found = _difference(b, a, _SCALES[score])
    for row, (layer, p_holm) in enumerate(zip(shared, holm(found.p), strict=True)):
        yield {
            "target": target,
            "probe": probe,
            "model": ours,
            "layer": layer,
            "difference": float(found.value[row]),
            "difference_low": float(found.low[row]),
            "difference_high": float(found.high[row]),
            "p": float(found.p[row]),
            "p_holm": float(p_holm),
        }


def _difference(b: FloatArray, a: FloatArray, scale: ScaleName) -> Differences:
    """Compare the layers (L, S, 4) of a run with those of the first, cut at what scores reach."""
    return within_reach(between_layers(b, a), b, a, scale)


def _keys(run: Run, model: str, target: str, probe: str) -> dict[str, tuple[object, ...]]:
    """Map the layers of a curve to their keys in ``Curves.errors``, in depth order."""
    layers = run.layers
    chosen = (layers["model"] == model) & (layers["target"] == target) & (layers["probe"] == probe)
    keys = layers.loc[chosen, CURVE].itertuples(index=False, name=None)
    return {str(key[1]): key for key in keys}
