"""``sweep stop``."""

import typer

from sweep.commands.options import RunPath, exit_codes, place_of, say


def stop(run: RunPath) -> None:
    """Ask the driver of a run, on whatever machine, to finish what is in flight and end."""
    from sweep.state.control import is_run, stop_run
    from sweep.state.run_folder import run_folder

    with exit_codes():
        folder = run_folder(place_of(run))
        if not is_run(folder):
            say(f"{run} is not a run: expected what its driver puts there when it begins")
            raise typer.Exit(2)
        stopped = stop_run(folder, say)
    raise typer.Exit(0 if stopped else 1)
