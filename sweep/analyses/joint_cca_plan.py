"""Joint CCA in a plan: its probes, targets and files."""

from jobs.identity import content_id
from jobs.probes import CcaSettings
from jobs.storage.atomic import slug
from sweep.plan.plan import LayerTask, Plan, made_from


def joint_targets(plan: Plan) -> tuple[str, ...]:
    """Targets that are fitted jointly: all numeric ones that have no protocol of their own."""
    return tuple(
        name
        for name in plan.targets
        if plan.kind(name) == "regression" and name not in plan.protocols
    )


def joint_probes(plan: Plan) -> dict[str, CcaSettings]:
    """Probes that fit targets jointly, by name."""
    return {
        name: probe
        for name, probe in plan.probes.items()
        if isinstance(probe, CcaSettings) and probe.components > 1
    }


def canonical_file(plan: Plan, task: LayerTask) -> str:
    """Name of the file of a layer's components; it differs where the numbers in it differ."""
    made = [
        [made_from(plan, task.model, target, probe) for target in joint_targets(plan)]
        for probe in joint_probes(plan)
    ]
    components = [probe.components for probe in joint_probes(plan).values()]
    digest = content_id([made, components, list(joint_targets(plan)), task.layer.name])
    return f"{slug(task.model.name)}--{slug(task.layer.name)}--canonical-{digest}.npz"
