"""``sweep watch``."""

import sys
from signal import SIGINT
from typing import Annotated, Literal

import typer

from sweep.commands.options import RunPath, exit_codes, place_of, say
from sweep.signals import EXIT_CODES


def watch(
    run: RunPath,
    display: Annotated[
        Literal["rich", "plain", "json"] | None,
        typer.Option(help="On standard output [rich on a terminal, else plain]."),
    ] = None,
) -> None:
    """Show a run that is driven elsewhere, until it ends; wait for it to begin."""
    from sweep.commands.watch_run import watch_run
    from sweep.progress.display import make_display
    from sweep.state.run_folder import run_folder

    with exit_codes():
        folder = run_folder(place_of(run))
        with make_display(display, sys.stdout) as shown:
            try:
                ending = watch_run(folder, shown, say)
            except ValueError as error:  # the file was not written by a driver
                say(str(error))
                raise typer.Exit(2) from None
            except KeyboardInterrupt:
                print(f"the run continues; watch it again with: sweep watch {run}", file=sys.stderr)
                raise typer.Exit(EXIT_CODES[SIGINT]) from None
        if display != "json" and ending in ("done", "failed"):
            from sweep.commands.watch_end import print_end  # takes a moment, at the end only

            print_end(folder, ending)
    raise typer.Exit(0 if ending == "done" else 1)
