"""Running of a spec with a display, shared by ``sweep run`` and ``sweep retry``."""

import sys
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import TYPE_CHECKING, NoReturn

import typer

from sweep.commands.options import exit_codes, resume_hint, say
from sweep.signals import (
    EXIT_CODES,
    Terminated,
    end_with,
    ignore_signals_at_exit,
    sigterm_interrupts,
)
from sweep.streams import drop_standard_output

if TYPE_CHECKING:
    from sweep.progress.display import Kind
    from sweep.running.options import RunOptions
    from sweep.running.run import RunResult


def drive(spec: Path, options: "RunOptions", display: "Kind | None") -> NoReturn:
    """Run, show, and exit."""
    ignore_signals_at_exit()
    from sweep.commands.run_output import print_result, print_up_to_date
    from sweep.running.up_to_date import find_up_to_date

    # Readers of JSON events expect those of an ordinary run.
    found = find_up_to_date(spec, options) if display != "json" else None
    if found is not None:
        print_up_to_date(found)
        raise typer.Exit(0)
    from sweep.progress.display import make_display
    from sweep.running.driver_log import terminal_stream
    from sweep.state.events import EventLog

    with (
        exit_codes(),
        terminal_stream() as terminal,
        make_display(display, terminal) as shown,
        EventLog([shown]) as events,
        sigterm_interrupts(),
    ):
        try:
            events.emit("activity", message="loading torch and Ray")
            from sweep.running.run import run_sweep  # takes seconds

            result = run_sweep(spec, options, events)
        except KeyboardInterrupt as interrupt:  # before the driver listens for it, or after
            code = EXIT_CODES[SIGTERM if isinstance(interrupt, Terminated) else SIGINT]
            end_with(code)
            print(resume_hint(), file=terminal)
            raise typer.Exit(code) from None
        end_with(exit_code(result))  # before SIGTERM is given back to the system
    try:
        print_result(result)
        sys.stdout.flush()
    except OSError as error:  # what was computed is complete, and in the run's folder
        say(f"cannot print the result: {error}")
        drop_standard_output()
    if result.status == "interrupted":
        print(resume_hint(), file=sys.stderr)
    raise typer.Exit(exit_code(result))


def exit_code(result: "RunResult") -> int:
    """Return 0 if nothing is left to do, 1 if something failed, else the code of the signal."""
    if result.stopped_by is not None and result.status == "interrupted":
        return EXIT_CODES[result.stopped_by]
    return 0 if result.status == "done" else 1
