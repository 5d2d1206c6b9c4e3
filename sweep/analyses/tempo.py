"""The tempo counterfactual of a run: what is wrong with asking for it, and what is left to do."""

from collections.abc import Collection, Iterator, Mapping

from jobs.identity import content_id
from jobs.optional_packages import PYTHON_STRETCH
from jobs.probes import PROBES
from jobs.probing.tempo_settings import EXPONENTS, is_asked
from jobs.protocol.cells import Cell
from sweep.plan.plan import LayerTask, Plan, PlannedModel, layer_tasks
from sweep.spec.check import CheckContext, Finding
from sweep.spec.schema import Spec
from sweep.spec.suggestions import nearest
from sweep.state.ledger import Finished, Record


def check_tempo(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse what prevents predictions for stretched speech."""
    if spec.tempo is None or context.partial:
        return
    missing = PYTHON_STRETCH.missing()
    if missing is not None:
        yield ("tempo",), f"tempo: {missing}"
    yield from _check_targets(spec)
    appliable = [name for name, one in PROBES.items() if one.apply and "regression" in one.predicts]
    if not any(probe.kind in appliable for probe in spec.probes):
        kinds = " or ".join(appliable)
        message = f"no probe can be given speech that it was not tested on: add one of kind {kinds}"
        yield ("tempo",), message


def _check_targets(spec: Spec) -> Iterator[Finding]:
    assert spec.tempo is not None
    known = ", ".join(EXPONENTS)
    for position, name in enumerate(spec.tempo.targets or ()):
        message = None
        if name not in spec.targets:
            message = f"{name!r} is none of the targets of the spec{nearest(name, spec.targets)}"
        elif name not in EXPONENTS:
            message = f"what {name!r} is at another tempo is not known: expected one of {known}"
        if message:
            yield ("tempo", "targets", position), f"tempo: {message}"
    if not spec.tempo.targets and not spec.tempo.among(spec.targets):
        message = f"tempo: none of the targets is known at another tempo: add one of {known}"
        yield ("tempo",), message


def asked_cells(plan: Plan, task: LayerTask) -> list[Cell]:
    """The task's cells whose probes are to predict stretched speech."""
    if plan.tempo is None:
        return []
    return [
        cell
        for cell in task.cells
        if is_asked(plan.tempo.targets, cell.target, cell.control, plan.probes[cell.probe])
    ]


def tempo_file(predictions: str, plan: Plan, model: PlannedModel) -> str:
    """The name of the file, beside that of ``predictions``, of those for stretched speech.

    Other factors, utterances or targets make it another file.
    """
    targets = plan.tempo.targets if plan.tempo else ()
    heard = [[planned.split, planned.activation_id] for planned in model.stretched]
    return f"{predictions.removesuffix('.npz')}--tempo-{content_id([heard, sorted(targets)])}.npz"


def without_tempo(
    plan: Plan, records: Mapping[str, Finished | Record], present: Collection[str]
) -> frozenset[str]:
    """The ids of done cells whose probes have not predicted the stretched speech that is asked for.

    Args:
        plan: the run's.
        records: what is finished.
        present: names of the files of predictions that are there.
    """
    return frozenset(
        cell.cell_id
        for task in (layer_tasks(plan) if plan.tempo else ())
        for cell in asked_cells(plan, task)
        if (record := records.get(cell.cell_id)) is not None
        and record.status == "done"
        and tempo_file(record.predictions, plan, task.model) not in present
    )
