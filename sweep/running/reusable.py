"""Which finished cells have all the files that belong to them: the others run again."""

from collections.abc import Callable, Mapping

from jobs.probes import PROBES
from jobs.probing.saved_probes import card_path
from sweep.analyses.joint_cca import without_components
from sweep.analyses.tempo import without_tempo
from sweep.plan.plan import Plan
from sweep.prepare.prepare import Prepared
from sweep.state.ledger import Finished
from sweep.state.run_folder import RunFolder


def complete_records(
    folder: RunFolder,
    prepared: Prepared,
    records: Mapping[str, Finished],
    warn: Callable[[str], object],
) -> dict[str, Finished]:
    """The records but those whose predictions or saved probes are not there: they run again, and
    ``warn`` is told."""
    present = {path.name for path in folder.predictions.glob("*.npz")}
    predicted = {
        cell_id: record
        for cell_id, record in records.items()
        if record.status == "failed"
        or record.predictions in present
        or prepared.plan.scored_by_sums  # it never had any
    }
    lost = len(records) - len(predicted)
    if lost:
        warn(f"{lost} cells have lost their predictions; they run again")
    silent = without_tempo(prepared.plan, predicted, present)
    if silent:
        warn(
            f"{len(silent)} cells have no predictions of stretched speech yet: their probes are "
            "fitted again, to the same scores"
        )
    apart = without_components(prepared.plan, predicted, present)
    if apart:
        warn(
            f"{len(apart)} layers have no canonical components of several targets yet: a cell of "
            "each runs again, to the same scores"
        )
    again = silent | apart
    predicted = {cell_id: one for cell_id, one in predicted.items() if cell_id not in again}
    if not prepared.spec.save_probes:
        return predicted
    usable = {
        cell_id: record
        for cell_id, record in predicted.items()
        if record.status == "failed"
        or not _is_savable(prepared.plan, record)
        or card_path(folder.probes, cell_id).exists()
    }
    if len(usable) < len(predicted):
        unsaved = len(predicted) - len(usable)
        warn(f"{unsaved} cells have no saved probe yet; they run again")
    return usable


def _is_savable(plan: Plan, record: Finished) -> bool:
    settings = plan.probes.get(record.probe)
    savable = settings is not None and PROBES[settings.kind].apply is not None
    return savable and record.control == "none"
