"""The tempo counterfactual in a plan: its activation sets, cells and files."""

import pandas as pd

from jobs.identity import content_id
from jobs.probing.tempo_rows import (
    draw_utterances,
    followed_targets,
    predicts_stretched,
    recorded_rows,
    stretched_rows,
)
from jobs.protocol.cells import Cell
from sweep.plan.activation_sets import plan_set
from sweep.plan.make_plan import target_folds
from sweep.plan.plan import LayerTask, Plan, PlannedModel, PlannedTempo
from sweep.spec.schema import Spec


def with_tempo(plan: Plan, spec: Spec, table: pd.DataFrame) -> Plan:
    """Extend ``plan`` with the stretched utterances, a set of activations per factor and model."""
    if spec.tempo is None:
        return plan
    targets = followed_targets(spec.tempo, spec.targets)
    drawn = draw_utterances(spec.tempo, targets, target_folds(spec, table), table)
    tempo = PlannedTempo(factors=spec.tempo.factors, targets=targets, utterances=drawn)
    models = tuple(_with_stretched(model, tempo, table) for model in plan.models)
    return plan.model_copy(update={"models": models, "tempo": tempo})


def _with_stretched(model: PlannedModel, tempo: PlannedTempo, table: pd.DataFrame) -> PlannedModel:
    """Extend ``model`` with a set for each factor, and one of the recordings if no other has
    them."""
    frames = [stretched_rows(tempo.utterances, tempo.factors, table)]
    if not model.stored_sets:
        frames.append(recorded_rows(tempo.utterances, table))
    sets = [
        plan_set(model, str(split), rows)
        for split, rows in pd.concat(frames).groupby("split", sort=False)
    ]
    recorded = None if model.stored_sets else sets.pop()
    return model.model_copy(update={"stretched": tuple(sets), "recorded": recorded})


def tempo_rows(plan: Plan, table: pd.DataFrame) -> pd.DataFrame | None:
    """Rows of the utterance table for the sets that ``with_tempo`` adds."""
    if plan.tempo is None:
        return None
    frames = [stretched_rows(plan.tempo.utterances, plan.tempo.factors, table)]
    if plan.scored_by_sums:
        frames.append(recorded_rows(plan.tempo.utterances, table))
    return pd.concat(frames, ignore_index=True)


def asked_cells(plan: Plan, task: LayerTask) -> list[Cell]:
    """Cells of ``task`` whose probes are to predict stretched speech."""
    if plan.tempo is None:
        return []
    return [
        cell
        for cell in task.cells
        if predicts_stretched(
            plan.tempo.targets, cell.target, cell.control, plan.probes[cell.probe]
        )
    ]


def tempo_file(predictions: str, plan: Plan, model: PlannedModel) -> str:
    """Name of the file of predictions for stretched speech, beside the file ``predictions``.

    It differs where factors, utterances or targets differ.
    """
    targets = plan.tempo.targets if plan.tempo else ()
    sets = [[planned.split, planned.activation_id] for planned in model.stretched]
    return f"{predictions.removesuffix('.npz')}--tempo-{content_id([sets, sorted(targets)])}.npz"
