"""Selection of finished cells whose files are all present; the others run again."""

from collections.abc import Callable, Mapping

from jobs.probes import PROBES
from jobs.probing.saved_probes import card_path
from sweep.analyses import ANALYSES
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
    """Drop records whose predictions or saved probes are missing, with a warning; their cells run
    again."""
    present = {path.name for path in folder.predictions.glob("*.npz")}
    predicted = {
        cell_id: record
        for cell_id, record in records.items()
        if record.status == "failed"
        or record.predictions in present
        or prepared.plan.scored_by_sums  # it never had predictions
    }
    lost = len(records) - len(predicted)
    if lost:
        warn(f"{lost} cells have lost their predictions; they run again")
    again: set[str] = set()
    for analysis in ANALYSES:
        if incomplete := analysis.incomplete(prepared.plan, predicted, present):
            warn(incomplete.warning)
            again |= incomplete.cell_ids
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
