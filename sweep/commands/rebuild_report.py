"""``sweep report``: rebuild the tables, figures and page of a run from its files."""

from pathlib import Path

from sweep.errors import RunIsLocked
from sweep.report.build import build_report, read_all
from sweep.report.keep_tables import refuse_shorter_tables
from sweep.results.run import Run
from sweep.state.control import Say
from sweep.state.mirror import mirrored


def rebuild_report(run: Run, say: Say) -> Path:
    """Rebuild the report of a run; for a run on an object store, upload it, too.

    Args:
        run: the run, with an up-to-date copy.
        say: called with a message if the upload is skipped.

    Returns:
        The page.

    Raises:
        OSError: the store cannot be read, or not be written to.
        RunError: a file of the run is damaged; its tables are left as they are.
    """
    refuse_shorter_tables(run, read_all(run))
    remote = run.folder.remote
    if remote is None:
        return build_report(run)
    try:
        with mirrored(run.folder, unlock=False):
            page = build_report(Run(run.folder))
    except RunIsLocked as error:
        say(f"not brought to {remote}, where its driver brings its own at the end: {error}")
        return build_report(run)
    say(f"brought to {remote}")
    return page
