"""The tempo counterfactual: the response of predictions to a changed rate of speech."""

from collections.abc import Collection, Iterator, Mapping

import pandas as pd

from jobs.optional_packages import PYTHON_STRETCH
from jobs.probes import PROBES
from jobs.probing.parts import JobPart
from jobs.probing.tempo import StretchedSpeech
from jobs.probing.tempo_rows import EXPONENTS, followed_targets, tested_rows
from jobs.protocol.folds import check_speakers
from jobs.storage.location import Location
from sweep.analyses.base import Analysis, Incomplete, RunContext, StoredRun
from sweep.analyses.tempo_plan import asked_cells, tempo_file, tempo_rows, with_tempo
from sweep.analyses.tempo_tables import tempo_tables
from sweep.plan.make_plan import target_folds
from sweep.plan.plan import LayerTask, Plan, layer_tasks
from sweep.spec.check import CheckContext, Finding
from sweep.spec.schema import Spec
from sweep.spec.suggestions import nearest
from sweep.state.ledger import Finished, Record
from sweep.state.run_folder import RunFolder
from sweep.wording import counted

GIB = 2**30


def check_tempo(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse settings that prevent predictions for stretched speech."""
    if spec.tempo is None or context.partial:
        return
    missing = PYTHON_STRETCH.missing()
    if missing is not None:
        yield ("tempo",), f"tempo: {missing}"
    yield from _check_targets(spec)
    yield from _check_tested(spec, context)
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
    if not spec.tempo.targets and not followed_targets(spec.tempo, spec.targets):
        message = f"tempo: none of the targets is known at another tempo: add one of {known}"
        yield ("tempo",), message


def _check_tested(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse targets without an utterance that the protocols of all of them test."""
    if spec.tempo is None or context.table is None or not spec.protocols:
        return
    targets = followed_targets(spec.tempo, spec.targets)
    if any(check_speakers(spec.target_protocols.of(name), context.table) for name in targets):
        return  # reported by the check of protocols
    if targets and not tested_rows(target_folds(spec, context.table), targets).size:
        message = (
            f"tempo: no utterance is tested for all of {', '.join(targets)}, whose protocols "
            "differ: give `targets` that are tested on the same utterances"
        )
        yield ("tempo",), message


class Tempo(Analysis):
    """Predictions of the fitted probes for test utterances at other rates."""

    name = "tempo"
    checks = (check_tempo,)

    def extend_plan(self, plan: Plan, spec: Spec, table: pd.DataFrame) -> Plan:
        """Add a set of activations for each factor."""
        return with_tempo(plan, spec, table)

    def extra_rows(self, plan: Plan, table: pd.DataFrame) -> pd.DataFrame | None:
        """Rows of the stretched utterances."""
        return tempo_rows(plan, table)

    def job_part(
        self, plan: Plan, task: LayerTask, predictions: str, folder: RunFolder, cache: Location
    ) -> JobPart | None:
        """Apply the layer's probes to its stretched utterances."""
        if plan.tempo is None or not asked_cells(plan, task):
            return None
        sets = tuple(
            (factor, planned.folder(cache), planned.n_shards)
            for factor, planned in zip(plan.tempo.factors, task.model.stretched, strict=True)
        )
        file = folder.predictions / tempo_file(predictions, plan, task.model)
        own = task.model.recorded
        recorded = (own.folder(cache), own.n_shards) if own else None
        return StretchedSpeech(sets, plan.tempo.targets, folder.for_jobs(file), recorded)

    def incomplete(
        self, plan: Plan, records: Mapping[str, Finished | Record], present: Collection[str]
    ) -> Incomplete | None:
        """Return the cells whose probes have not predicted the stretched speech."""
        found = _without_predictions(plan, records, present)
        warning = (
            f"{len(found)} cells have no predictions of stretched speech yet: their probes are "
            "fitted again, to the same scores"
        )
        return Incomplete(found, warning) if found else None

    def tables(self, run: StoredRun) -> dict[str, pd.DataFrame]:
        """``tempo.csv`` and ``tempo_changes.csv``."""
        utterances = run.utterances
        speakers = dict(zip(utterances["utterance_id"], utterances["speaker_id"], strict=True))
        found = tempo_tables(run.plan, run.records, run.folder.predictions, speakers)
        return {"tempo": found.scores, "tempo_changes": found.changes}

    def cost(
        self, run: RunContext, records: Mapping[str, Finished | Record], jobs_left: int
    ) -> Iterator[str]:
        """Forward passes, audio and disk."""
        plan, tempo = run.plan, run.plan.tempo
        if tempo is None:
            return
        asked = f"{counted(len(tempo.utterances), 'utterance')} at {len(tempo.factors)} other rates"
        present = {path.name for path in run.folder.predictions.glob("*.npz")}
        if not cells_left(plan, records, present):
            yield f"tempo: {asked}, all done"
            return
        rows = tempo_rows(plan, run.table)
        assert rows is not None
        disk = sum(
            planned.n_utterances * model.row_bytes
            for model in plan.models
            for planned in model.all_sets
            if planned.split in set(rows["split"])
        )
        minutes = rows["seconds"].sum() / 60
        yield (
            f"tempo: {asked}: {len(rows)} of each model's forward passes, {minutes:.3g} min of "
            f"audio, {disk / GIB:.2g} GiB of the disk for all models"
        )


def cells_left(
    plan: Plan, records: Mapping[str, Finished | Record], present: Collection[str]
) -> int:
    """Count the cells that still have to predict stretched speech.

    Args:
        plan: of the run.
        records: finished cells, by id.
        present: names of the files in the folder of predictions.
    """
    asked = {
        cell.cell_id
        for task in (layer_tasks(plan) if plan.tempo else ())
        for cell in asked_cells(plan, task)
    }
    done = {cell_id for cell_id in asked & records.keys() if records[cell_id].status == "done"}
    return len(asked) - len(done - _without_predictions(plan, records, present))


def _without_predictions(
    plan: Plan, records: Mapping[str, Finished | Record], present: Collection[str]
) -> frozenset[str]:
    return frozenset(
        cell.cell_id
        for task in (layer_tasks(plan) if plan.tempo else ())
        for cell in asked_cells(plan, task)
        if (record := records.get(cell.cell_id)) is not None
        and record.status == "done"
        and tempo_file(record.predictions, plan, task.model) not in present
    )


TEMPO = Tempo()
