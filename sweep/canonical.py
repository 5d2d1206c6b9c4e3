"""Targets that a CCA probe takes together: what is wrong with asking for it, what is left to do,
and the table ``canonical.csv``."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from jobs.canonical import FoldComponents, Joint, read_components
from jobs.files import slug
from jobs.identity import content_id
from jobs.metrics import FloatArray, pearson, score_intervals, speaker_sums
from jobs.probes import probe_name
from jobs.probes.cca import CcaSettings
from jobs.protocol import StrArray
from jobs.targets import find_target
from sweep.ledger import Finished, Record
from sweep.plan import LayerTask, Plan, layer_tasks, made_from
from sweep.run_folder import RunFolder
from sweep.source import Problem, Source
from sweep.spec import Spec

COLUMNS = (
    "model", "layer", "layer_index", "probe", "component", "correlation", "correlation_low",
    "correlation_high", "in_sample", "n_train", "n_test", "n_speakers", "flagged", "targets",
    "loadings",
)  # fmt: skip
"""Of ``canonical.csv``."""


def component_problems(spec: Spec, source: Source, table: pd.DataFrame) -> Iterator[Problem]:
    """Components that the targets, or what is stored, cannot give, each at its place."""
    numbers = [name for name in spec.targets if _is_number(name, table)]
    for position, probe in enumerate(spec.probes):
        if not isinstance(probe, CcaSettings) or probe.components == 1:
            continue
        place, message = ("probes", position, "components"), None
        if probe.components > len(numbers):
            shown = ", ".join(numbers) or "none"
            message = (
                f"{probe.components} components need as many targets that are numbers, found "
                f"{len(numbers)} ({shown}): lower it, or add targets"
            )
        elif spec.store == "gram":
            message = (
                "several targets together need `store: activations`, found gram: use 1 component, "
                "or store activations"
            )
        if message:
            yield source.problem(place, f"{probe_name(probe)}: components: {message}")


def _is_number(name: str, table: pd.DataFrame) -> bool:
    try:
        return find_target(name, table).kind == "regression"
    except ValueError:  # a problem of its own
        return False


def joint_targets(plan: Plan) -> tuple[str, ...]:
    """The targets that are taken together: all numbers."""
    return tuple(name for name in plan.targets if plan.kind(name) == "regression")


def joint_probes(plan: Plan) -> dict[str, CcaSettings]:
    """The probes that take targets together, by name."""
    return {
        name: probe
        for name, probe in plan.probes.items()
        if isinstance(probe, CcaSettings) and probe.components > 1
    }


def joint_fit(plan: Plan, task: LayerTask, folder: RunFolder) -> Joint | None:
    """What a task fits to several targets together: all of it where it has a real cell of such a
    probe, so that a file is whole; None: nothing."""
    probes = joint_probes(plan)
    if not any(cell.control == "none" and cell.probe in probes for cell in task.cells):
        return None
    file = folder.for_jobs(folder.predictions / canonical_file(plan, task))
    return Joint(probes, joint_targets(plan), file)


def canonical_file(plan: Plan, task: LayerTask) -> str:
    """The name of the file of a layer's components; another one where other numbers are in it."""
    made = [
        [made_from(plan, task.model, target, probe) for target in joint_targets(plan)]
        for probe in joint_probes(plan)
    ]
    components = [probe.components for probe in joint_probes(plan).values()]
    digest = content_id([made, components, list(joint_targets(plan)), task.layer.name])
    return f"{slug(task.model.name)}--{slug(task.layer.name)}--canonical-{digest}.npz"


def without_components(
    plan: Plan, records: Mapping[str, Finished | Record], present: Collection[str]
) -> frozenset[str]:
    """The ids of done cells that are to run again since their layer has no file of components.

    Args:
        plan: the run's.
        records: what is finished.
        present: names of the files beside the predictions.
    """
    probes = list(joint_probes(plan))
    return frozenset(
        cell.cell_id
        for task in (layer_tasks(plan) if probes else ())
        if canonical_file(plan, task) not in present
        for cell in task.cells
        if (cell.probe, cell.target) == (probes[0], joint_targets(plan)[0])
        and cell.control == "none"
        and (record := records.get(cell.cell_id)) is not None
        and record.status == "done"
    )


def canonical_table(plan: Plan, folder: Path, utterances: pd.DataFrame) -> pd.DataFrame:
    """``canonical.csv``: a row per model × layer × probe × component that is on disk.

    ``correlation`` is held out: of folds the mean, weighted by utterances, with its 95 % interval
    over speakers (``jobs.intervals``). ``loadings`` are the correlations of the component's target
    side with each of the ``targets``, which tell what it is about. ``n_train`` is that of the
    smallest fold.

    Args:
        plan: the run's.
        folder: of predictions.
        utterances: the utterance table, with the targets.

    Raises:
        jobs.canonical.CanonicalError: a file is damaged.
    """
    rows = []
    table = utterances.set_index("utterance_id") if joint_probes(plan) else utterances
    for task in layer_tasks(plan) if joint_probes(plan) else ():
        path = folder / canonical_file(plan, task)
        found = read_components(path) if path.exists() else {}
        for name, folds in zip(joint_probes(plan), found.values(), strict=False):
            place = (task.model.name, task.layer.name, task.layer.index, name)
            tested = [_Tested.of(fold, table, joint_targets(plan)) for fold in folds]
            n_components = max(len(fold.found.in_sample) for fold in folds)
            for component in range(n_components):
                row = dict(zip(COLUMNS, place, strict=False)) | {"component": component + 1}
                rows.append(row | _scores(tested, component, joint_targets(plan)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


@dataclass(frozen=True)
class _Tested:
    """The test part of a fold."""

    fold: FoldComponents
    speakers: StrArray
    """(n_test,)"""
    Y: FloatArray
    """(n_test, K) the targets."""

    @classmethod
    def of(cls, fold: FoldComponents, table: pd.DataFrame, targets: Sequence[str]) -> "_Tested":
        rows = table.loc[fold.utterance_id.tolist()]
        speakers = rows["speaker_id"].to_numpy(dtype=np.str_)
        return cls(fold, speakers, rows[list(targets)].to_numpy(dtype=np.float64))


def _scores(tested: Sequence[_Tested], component: int, targets: Sequence[str]) -> dict[str, object]:
    """The columns of ``canonical.csv`` of one component, over the folds that have it."""
    tested = [one for one in tested if component < len(one.fold.found.in_sample)]
    pairs = [
        (one.fold.found.targets[:, component], one.fold.found.activations[:, component])
        for one in tested
    ]
    sums = [
        speaker_sums(v, u, 0.0, one.speakers) for one, (v, u) in zip(tested, pairs, strict=True)
    ]
    low, high = score_intervals([sums])["pearson"]
    sizes = [len(one.speakers) for one in tested]
    loadings = mean_loadings([v for v, _ in pairs], [one.Y for one in tested])
    shown = (f"{name} {loading:z.2f}" for name, loading in zip(targets, loadings, strict=True))
    return {
        "correlation": _mean([pearson(v, u) for v, u in pairs], sizes),
        "correlation_low": low,
        "correlation_high": high,
        "in_sample": float(np.mean([one.fold.found.in_sample[component] for one in tested])),
        "n_train": min(one.fold.n_train for one in tested),
        "n_test": sum(sizes),
        "n_speakers": len({name for one in tested for name in one.speakers.tolist()}),
        "flagged": any(one.fold.found.saturated for one in tested),
        "targets": " + ".join(targets),
        "loadings": ", ".join(shown),
    }


def mean_loadings(variates: Sequence[FloatArray], targets: Sequence[FloatArray]) -> list[float]:
    """(K,) mean over folds of the correlations of ``targets`` (n_test, K) with their side of a
    component (n_test,), ``variates``.

    A component has no sign of its own: that of a fold is turned so that its loadings agree with
    those of the first one, since they would cancel otherwise.
    """
    by_fold = np.array(
        [
            [np.nan if (r := pearson(v, y)) is None else r for y in Y.T]
            for v, Y in zip(variates, targets, strict=True)
        ]
    )
    agreement = np.nansum(by_fold * by_fold[0], axis=1)
    turned = by_fold * np.where(agreement < 0, -1, 1)[:, None]
    sizes = [len(v) for v in variates]
    return [_mean([None if np.isnan(r) else r for r in of_one], sizes) for of_one in turned.T]


def _mean(values: Sequence[float | None], weights: Sequence[int]) -> float:
    """Over folds that define it; NaN where none does."""
    known = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
    if not known:
        return float("nan")
    total = sum(weight for _, weight in known)
    return float(sum(value * weight for value, weight in known) / total)
