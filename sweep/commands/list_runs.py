"""``sweep list``."""

from pathlib import Path
from typing import Annotated

import typer

from sweep.commands.options import AsJson, exit_codes


def list_runs(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder with runs in it.")
    ] = Path("results"),
    as_json: AsJson = False,
) -> None:
    """List the runs in DIR: their state, and how many cells are done and failed."""
    from sweep.commands.print_list import print_list

    with exit_codes():
        print_list(folder, as_json=as_json)
