"""Targets that a CCA probe takes together: what is wrong with asking for it, what is left to do,
and the table ``canonical.csv``."""

from collections.abc import Collection, Iterator, Mapping

import pandas as pd

from jobs.identity import content_id
from jobs.probes import probe_name
from jobs.probes.cca import CcaSettings
from jobs.probing.joint_cca import JointCca
from jobs.storage.atomic import slug
from jobs.targets.registry import find_target
from sweep.plan.plan import LayerTask, Plan, layer_tasks, made_from
from sweep.spec.check import CheckContext, Finding
from sweep.spec.schema import Spec
from sweep.state.ledger import Finished, Record
from sweep.state.run_folder import RunFolder


def check_components(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse more components than there are numeric targets, and any with stored sums."""
    if context.utterances is None or context.partial:
        return
    numbers = [name for name in spec.targets if _is_number(name, context.utterances)]
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
            yield place, f"{probe_name(probe)}: components: {message}"


def _is_number(name: str, table: pd.DataFrame) -> bool:
    try:
        return find_target(name, table).kind == "regression"
    except ValueError:  # reported by check_targets
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


def joint_fit(plan: Plan, task: LayerTask, folder: RunFolder) -> JointCca | None:
    """What a task fits to several targets together: all of it where it has a real cell of such a
    probe, so that a file is whole; None: nothing."""
    probes = joint_probes(plan)
    if not any(cell.control == "none" and cell.probe in probes for cell in task.cells):
        return None
    file = folder.for_jobs(folder.predictions / canonical_file(plan, task))
    return JointCca(probes, joint_targets(plan), file)


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
