"""The files of a run that its driver writes before and after the work."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jobs.corpus import corpus_sources
from jobs.corpus.table import write_table
from jobs.storage.atomic import is_temporary, write_text
from jobs.storage.location import Location
from jobs.storage.object_store import remove, remove_folder
from jobs.storage.regular_files import DamagedFile
from sweep.errors import describe_os_error
from sweep.plan.plan import Plan
from sweep.plan.provenance import describe_plan, describe_session
from sweep.prepare.prepare import Prepared
from sweep.results.precision import precision_errors
from sweep.running.options import RunOptions
from sweep.running.out_folder import refuse_inputs
from sweep.spec.schema import Spec
from sweep.state.provenance_file import read_provenance, write_provenance
from sweep.state.run_folder import RunFolder
from sweep.state.stored_plan import write_plan


def check_inputs(folder: RunFolder, spec_path: Path, spec: Spec, options: RunOptions) -> None:
    """Make sure that the run replaces neither its spec nor what its corpus is read from.

    Raises:
        SpecError: it would.
    """
    sources = corpus_sources(spec.corpus) or []
    is_rerun = _is_own_spec(folder, spec_path) and not options.overrides
    refuse_inputs(folder, [*sources, *([] if is_rerun else [spec_path])])


def _is_own_spec(folder: RunFolder, spec_path: Path) -> bool:
    return spec_path.resolve() == folder.spec.resolve()


def write_inputs(folder: RunFolder, prepared: Prepared, spec_path: Path) -> None:
    """Write the inputs of the run before anything runs; the spec that is read stays as it is."""
    if not _is_own_spec(folder, spec_path):
        write_text(folder.spec, prepared.spec.to_yaml())
    write_table(folder.utterances, prepared.table)
    write_plan(folder, prepared.plan)


def previous_provenance(folder: RunFolder, warn: Callable[[str], object]) -> dict[str, Any]:
    """Read the provenance; one that cannot be read is set aside, and an empty one returned."""
    try:
        return read_provenance(folder.provenance)
    except FileNotFoundError:
        return {}
    except (OSError, DamagedFile) as error:
        aside = folder.provenance.with_name(f"{folder.provenance.name}.damaged")
        folder.provenance.replace(aside)
        why = describe_os_error(error) if isinstance(error, OSError) else str(error)
        warn(f"{why}; set aside as {aside.name}: earlier sessions are no longer listed")
        return {}


def add_session(
    folder: RunFolder, prepared: Prepared, options: RunOptions, before: Mapping[str, Any]
) -> None:
    """Write the current plan to the provenance, and add this process to its sessions."""
    session = describe_session(options.arguments, options.where)
    provenance = {
        "cache": str(options.cache),
        **describe_plan(prepared.plan),
        "audio": list(prepared.notes),
        "columns": sorted(prepared.columns),
        "runs": [*before.get("runs", []), session],
    }
    write_provenance(folder.provenance, provenance)


def add_precision(folder: RunFolder, plan: Plan, cache: Location) -> None:
    """Add the errors of reduced precision to the provenance, if there are any."""
    errors = precision_errors(plan, cache)
    if errors:
        provenance = read_provenance(folder.provenance)
        write_provenance(folder.provenance, provenance | {"precision": errors})


def remove_leftovers(folder: RunFolder) -> None:
    """Remove temporary files of a killed driver or worker; none is running now."""
    for path in folder.written():
        if is_temporary(path.name):
            path.unlink(missing_ok=True)


def forget(folder: RunFolder) -> None:
    """Delete the finished cells of a run and what belongs to them."""
    for path in (folder.ledger, folder.events, folder.provenance, folder.submission):
        for place in {path, folder.for_jobs(path)}:
            remove(place)
    for path in (folder.predictions, folder.probes, folder.similarity):
        for place in {path, folder.for_jobs(path)}:
            remove_folder(place)
