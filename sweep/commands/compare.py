"""``sweep compare``."""

from pathlib import Path
from typing import Annotated

import typer

from sweep import open_run
from sweep.commands.names import complete_runs, find_run
from sweep.commands.options import AsJson, exit_codes


def _find_runs(runs: list[str]) -> list[str]:
    return [find_run(run) for run in runs]


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN…",
            help="Folders, URLs or names of runs; the others are compared with the first.",
            callback=_find_runs,
            autocompletion=complete_runs,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, help="Folder for compare.html, .md, .csv and a figure for each target."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs: what differs in their settings, then in their scores, layer by layer."""
    from sweep.commands.print_comparison import print_comparison
    from sweep.comparison.compare import compare as compare_runs
    from sweep.comparison.compare import write_comparison

    with exit_codes():
        found = compare_runs([open_run(run) for run in runs])
        page = write_comparison(out, found) if out is not None else None
        print_comparison(found, page, as_json=as_json)
