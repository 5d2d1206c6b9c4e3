"""``sweep view``."""

from typing import Annotated

import typer

from sweep.commands.options import RunPath, exit_codes


def view(
    run: RunPath,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine [0: any that is free].")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser, if any.")
    ] = True,
) -> None:
    """Show the report of a run in a browser, served on this machine until Ctrl-C."""
    from sweep.commands.serve_report import serve_report

    with exit_codes():
        serve_report(run, port, open_browser=browser)
