"""Verbs that run a spec, and that have to do with a run at work."""

import sys
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from sweep import open_run
from sweep.commands.options import (
    Address,
    Cache,
    FailFast,
    Inline,
    Local,
    Out,
    Overrides,
    RunPath,
    ShowAs,
    SpecPath,
    Unlock,
    cache_of,
    check_address,
    exit_codes,
    how_to_go_on,
    out_of,
    place_of,
    say,
    typed_arguments,
    where_of,
)
from sweep.signals import (
    EXIT_CODES,
    Terminated,
    end_with,
    ignore_signals_at_exit,
    sigterm_interrupts,
)

if TYPE_CHECKING:
    from sweep.progress.display import Kind
    from sweep.running.options import RunOptions
    from sweep.running.run import RunResult


def run(
    spec: SpecPath,
    local: Local = False,
    address: Address = None,
    inline: Inline = False,
    out: Out = None,
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nothing writes it
    display: ShowAs = None,
    only: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Work on these model/layer/probe.")
    ] = None,
    fail_fast: FailFast = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget finished cells, not activations.")
    ] = False,
    cache: Cache = None,
    unlock: Unlock = False,
) -> None:
    """Run what is left of SPEC; run it again to go on where it stopped."""
    from sweep.running.options import RunOptions

    options = RunOptions(
        where=where_of(local, address, inline),
        address=address,
        out=out_of(out),
        cache=cache_of(cache),
        overrides=overrides,
        only=only,
        fail_fast=fail_fast,
        fresh=fresh,
        unlock=unlock,
        arguments=typed_arguments(),
    )
    _sweep(spec, options, display)


def retry(
    run: RunPath,
    local: Local = False,
    address: Address = None,
    inline: Inline = False,
    display: ShowAs = None,
    fail_fast: FailFast = False,
    cache: Cache = None,
    unlock: Unlock = False,
) -> None:
    """Run the failed cells of a run again, and nothing else."""
    from sweep.running.options import RunOptions
    from sweep.state.control import count_failed

    with exit_codes():
        opened = open_run(run)
        if not count_failed(opened):
            print(f"{run}: no cell failed; go on with what is left with `sweep run`")
            return
        used = opened.provenance["cache"]
    options = RunOptions(
        where=where_of(local, address, inline),
        address=address,
        out=place_of(run),
        cache=cache_of(cache or used),
        fail_fast=fail_fast,
        only_failed=True,
        unlock=unlock,
        arguments=typed_arguments(),
    )
    _sweep(opened.folder.spec, options, display)


def watch(
    run: RunPath,
    display: Annotated[
        Literal["rich", "plain", "json"] | None,
        typer.Option(help="On standard output [rich on a terminal, else plain]."),
    ] = None,
) -> None:
    """Show a run that goes on elsewhere, until it ends; wait for it to begin."""
    from sweep.commands.watch import watch_run
    from sweep.progress.display import make_display
    from sweep.state.run_folder import run_folder

    with exit_codes(), make_display(display, sys.stdout) as shown:
        try:
            ending = watch_run(run_folder(place_of(run)), shown, say)
        except ValueError as error:  # the file is not what a driver writes
            say(str(error))
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print(f"the run goes on; watch it again with: sweep watch {run}", file=sys.stderr)
            raise typer.Exit(EXIT_CODES[SIGINT]) from None
    raise typer.Exit(0 if ending == "done" else 1)


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


def submit(
    spec: SpecPath,
    address: Annotated[
        str, typer.Option(metavar="URL", help="The cluster's dashboard: http://HOST:8265.")
    ],
    out: Out = None,
    cache: Cache = None,
    overrides: Overrides = [],  # noqa: B006
    unlock: Unlock = False,
) -> None:
    """Have a cluster run SPEC by itself. Paths are those of its nodes; --out and --cache, too."""
    from sweep.commands.submit import submit

    check_address(address)
    with exit_codes():
        job = submit(
            spec,
            address,
            out=out_of(out),
            cache=cache_of(cache),
            overrides=overrides,
            unlock=unlock,
            command=sys.argv[1:],
        )
    shipped = f"shipped {job.shipped_bytes / 2**20:.1f} MiB: this project's wheel and the spec"
    print(shipped, file=sys.stderr)
    print(f"log:   ray job logs --follow {job.id} --address {address}", file=sys.stderr)
    where = "   # where that folder is" if isinstance(job.out, Path) else ""
    print(f"watch: sweep watch {job.out}{where}", file=sys.stderr)
    print(f"stop:  sweep stop {job.out}", file=sys.stderr)
    print(job.id)


def _sweep(spec: Path, options: "RunOptions", display: "Kind | None") -> NoReturn:
    """Run, show, and exit."""
    ignore_signals_at_exit()
    from sweep.commands.run_output import print_result, print_up_to_date
    from sweep.running.up_to_date import find_up_to_date

    # Whoever reads events as JSON waits for those of an ordinary run.
    found = find_up_to_date(spec, options) if display != "json" else None
    if found is not None:
        print_up_to_date(found)
        raise typer.Exit(0)
    from sweep.progress.display import make_display
    from sweep.running.driver_log import terminal_stream
    from sweep.running.run import run_sweep
    from sweep.state.events import EventLog

    with (
        exit_codes(),
        terminal_stream() as terminal,
        make_display(display, terminal) as shown,
        EventLog([shown]) as events,
        sigterm_interrupts(),
    ):
        try:
            result = run_sweep(spec, options, events)
        except KeyboardInterrupt as interrupt:  # before the driver listens for it, or after
            code = EXIT_CODES[SIGTERM if isinstance(interrupt, Terminated) else SIGINT]
            end_with(code)
            print(how_to_go_on(), file=terminal)
            raise typer.Exit(code) from None
        end_with(exit_code(result))  # before SIGTERM is given back to the system
    print_result(result)
    if result.status == "interrupted":
        print(how_to_go_on(), file=sys.stderr)
    raise typer.Exit(exit_code(result))


def exit_code(result: "RunResult") -> int:
    """0: nothing is left to do; 1: something failed; else that of the signal."""
    if result.stopped_by is not None and result.status == "interrupted":
        return EXIT_CODES[result.stopped_by]
    return 0 if result.status == "done" else 1
