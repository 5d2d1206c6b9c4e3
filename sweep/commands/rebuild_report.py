"""``sweep report``: the tables, figures and page of a run, made anew from its files."""

from pathlib import Path

from sweep.errors import RunIsLocked
from sweep.report.build import build_report
from sweep.results.run import Run
from sweep.state.control import Say
from sweep.state.mirror import mirrored


def rebuild_report(run: Run, say: Say) -> Path:
    """Make the report of a run anew; of one on an object store it is brought there, too.

    Args:
        run: whose copy is up to date.
        say: told where it was not brought, and why.

    Returns:
        The page.

    Raises:
        OSError: the store cannot be read, or not be written to.
    """
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
