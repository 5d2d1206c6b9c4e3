"""What a plan costs beside its layers: tempo and similarity; and both ways to store activations.

Legend: N utterances, D width of a layer, r directions that PWCCA keeps of it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import pandas as pd

from jobs.models.settings import BASELINE_PREFIX
from sweep.analyses.similarity import draw_utterances
from sweep.analyses.tempo import asked_cells, without_tempo
from sweep.plan.activation_sets import heard_table, with_gram
from sweep.plan.plan import Plan, PlannedModel, layer_tasks
from sweep.prepare.checks.gram import gram_obstacles
from sweep.prepare.prepare import Prepared
from sweep.progress.wording import counted
from sweep.spec.schema import Spec
from sweep.state.ledger import Finished, Record

GIB = 2**30
SKETCH_FLOPS, PAIR_FLOPS = 8e9, 15e9
"""Multiplications a second of one core (AMD EPYC, Zen 4) in making a layer's sketch, and in
comparing two: measured with N = 1000, D = 640 and 5120; good to a factor of about 2."""


def extra_lines(prepared: Prepared, left_to_compare: int, left_to_hear: int) -> Iterator[str]:
    """A line on tempo and one on similarity, where the spec asks for them.

    Args:
        prepared: the spec, its table and plan.
        left_to_compare: jobs of the comparison that are not done.
        left_to_hear: cells that are to predict other tempi, and did not, see ``cells_to_hear``.
    """
    if prepared.plan.tempo is not None:
        yield _tempo_line(prepared, left_to_hear)
    if prepared.spec.similarity is not None:
        yield _similarity_line(prepared, left_to_compare)


def cells_to_hear(
    plan: Plan, records: Mapping[str, Finished | Record], present: Collection[str]
) -> int:
    """How many cells are to predict speech at other tempi, and have not.

    Args:
        plan: the run's.
        records: what is finished.
        present: names of the files of predictions that are there.
    """
    asked = {
        cell.cell_id
        for task in (layer_tasks(plan) if plan.tempo else ())
        for cell in asked_cells(plan, task)
    }
    done = {cell_id for cell_id in asked & records.keys() if records[cell_id].status == "done"}
    return len(asked) - len(done - without_tempo(plan, records, present))


def _tempo_line(prepared: Prepared, left: int) -> str:
    plan, tempo = prepared.plan, prepared.plan.tempo
    assert tempo is not None
    asked = f"{counted(len(tempo.utterances), 'utterance')} at {len(tempo.factors)} other rates"
    if not left:
        return f"tempo: {asked}, all done"
    heard = heard_table(plan, prepared.table).iloc[len(prepared.table) :]
    disk = sum(
        planned.n_utterances * model.row_bytes
        for model in plan.models
        for planned in model.all_sets
        if planned.split in set(heard["split"])
    )
    minutes = heard["seconds"].sum() / 60
    return (
        f"tempo: {asked}: {len(heard)} of each model's forward passes, {minutes:.3g} min of audio, "
        f"{disk / GIB:.2g} GiB of the disk for all models"
    )


def _similarity_line(prepared: Prepared, left: int) -> str:
    assert prepared.spec.similarity is not None
    measures = prepared.spec.similarity.measures
    n, models = len(draw_utterances(prepared.spec, prepared.table)), _compared(prepared.plan)
    widths = [layer.width for model in models for layer in model.layers]
    pairs = len(widths) * (len(widths) + 1) // 2
    if not left:
        return f"similarity: {pairs} pairs of layers, all done"
    seconds = _seconds(n, widths, "cka" in measures, "pwcca" in measures)
    numbers = sum(n * n // 2 + min(n, width) * (n + width) for width in widths)
    return (
        f"similarity: {pairs} pairs of {len(widths)} layers on {counted(n, 'utterance')}, no "
        f"forward passes of their own: about {seconds:.2g} s of one core, and at most "
        f"{4 * numbers / GIB:.2g} GiB of disk in the run's folder until it is done"
    )


def _compared(plan: Plan) -> list[PlannedModel]:
    return [model for model in plan.models if not model.name.startswith(BASELINE_PREFIX)]


def _seconds(n: int, widths: Sequence[int], cka: bool, pwcca: bool) -> float:
    """Of all sketches and all pairs, with r at half of what it could be."""
    ranks = [min(n, width) / 2 for width in widths]
    pairs = len(widths) * (len(widths) + 1) / 2
    mean_rank = sum(ranks) / len(ranks)
    sketches = sum(cka * n * n * w + pwcca * n * w * min(n, w) for w in widths)
    compared = cka * n * n + pwcca * (2 * n * mean_rank**2 + 10 * mean_rank**3)
    return sketches / SKETCH_FLOPS + pairs * compared / PAIR_FLOPS


def cost_lines(spec: Spec, table: pd.DataFrame, plan: Plan) -> Iterator[str]:
    """What both ways to store a model cost, if both are open to the spec."""
    if any(gram_obstacles(spec)):
        return
    for model in plan.models:
        gram = with_gram(spec, table, plan.targets, model)
        whole = sum(planned.n_utterances for planned in model.sets) * model.row_bytes
        tested = sum(planned.n_utterances for planned in gram.stored_sets) * model.row_bytes
        disk = tested + sum(s.n_shards for s in gram.sets if s.gram) * gram.gram_bytes
        yield (
            f"{model.name}: store: activations takes {whole / GIB:.3g} GiB of disk; store: gram "
            f"{disk / GIB:.3g} GiB, and {gram.gram_memory / GIB:.3g} GiB of memory an extractor"
        )
