"""``sweep export --to parquet``: what is written, and what a run lacks for it."""

from collections.abc import Iterator
from pathlib import Path

from jobs.optional_packages import PYARROW
from jobs.storage.atomic import write_text
from sweep.errors import RunError
from sweep.export.activations import check_room, missing_activations
from sweep.export.exported import Exported
from sweep.export.parquet.activations import exported_models, write_activations
from sweep.export.parquet.card import CardFacts, card
from sweep.export.parquet.folder import ExportFolder
from sweep.export.parquet.licences import UNKNOWN
from sweep.export.parquet.tables import write_predictions, write_tables
from sweep.results.run import Run

CARD = "README.md"


def export_parquet(
    run: Run, to: Path | None, *, licence: str = UNKNOWN, activations: bool = True
) -> Exported:
    """Write tables, predictions and activations of a finished run, with a card.

    Args:
        run: the run.
        to: folder to write to, absent, empty or an export of this run, which is replaced;
            ``parquet`` in the run's folder if None.
        licence: licence of the export, for its card.
        activations: also write the activations of every layer, by far the most data.

    Raises:
        RunError: the folder holds something else, pyarrow is missing, no cell of the run is done,
            its activations are missing, or the disk has too little space.
    """
    missing = PYARROW.missing()
    if missing is not None:
        raise RunError(f"--to parquet: {missing}")
    if run.metrics.empty:
        raise RunError(f"{run.folder.root} has no finished cell to export: run its spec first")
    exported = Exported(to or run.folder.root / "parquet", list(_notes(run, activations)))
    models = exported_models(run) if activations else []
    check_room(exported.folder, models)
    folder = ExportFolder(exported.folder, run.plan.name)
    folder.begin()
    write_tables(folder, run)
    if not run.plan.scored_by_sums:
        write_predictions(folder, run)
    if models:
        with missing_activations(run):
            write_activations(folder, run)
    write_text(folder.path(CARD), card(run, folder.files, CardFacts(licence, exported.notes)))
    folder.add(CARD)
    folder.finish()
    return exported


def _notes(run: Run, activations: bool) -> Iterator[str]:
    """Say what is left out, and why."""
    if run.plan.scored_by_sums:
        yield "no activations or predictions: store: gram with kfold keeps none"
    elif run.spec.store == "gram" and activations:
        yield "activations of the tested split only: store: gram keeps sums of the others"
    if not activations:
        yield "no activations: they were left out with --no-activations"
