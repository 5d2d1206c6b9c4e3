"""The command line: verbs, options and exit codes; no logic.

Exit codes: 0 all done · 1 some cells failed · 2 the spec or a value on the command line is wrong ·
3 the cluster cannot run it · 130, 143 stopped by a signal. Data goes to standard output, progress
and messages to standard error.
"""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from sweep import views
from sweep.display import make_display
from sweep.events import EventLog
from sweep.executors import ClusterError
from sweep.lock import RunIsLocked
from sweep.logs import terminal_stream
from sweep.report.build import build_report
from sweep.results import RunError, open_run
from sweep.run import RunOptions, RunResult, run_sweep
from sweep.source import SpecError
from sweep.stop import EXIT_CODES

app = typer.Typer(
    help="Layer-wise probing sweeps of speech models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

SpecPath = Annotated[
    Path, typer.Argument(metavar="SPEC", help="A YAML spec, such as specs/demo.yaml.")
]
RunPath = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's folder, such as results/demo.")
]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the spec; repeatable."),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Where activations and made corpora are kept [$SWEEP_CACHE, results/.cache]."
    ),
]
Out = Annotated[Path | None, typer.Option(help="The run's folder [results/<name>].")]


@app.command()
def run(
    spec: SpecPath,
    local: Annotated[
        bool, typer.Option("--local", help="Ray on this machine (the default).")
    ] = False,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster.")] = None,
    inline: Annotated[
        bool, typer.Option("--inline", help="No Ray: this process, for debugging.")
    ] = False,
    out: Out = None,
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nothing writes it
    display: Annotated[
        Literal["rich", "plain", "json", "none"] | None,
        typer.Option(help="Progress on standard error [rich on a terminal, else plain]."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Work on these model/layer/probe.")
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast/--keep-going", help="Stop at the first failure.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget finished cells, not activations.")
    ] = False,
    cache: Cache = None,
) -> None:
    """Run what is left of SPEC; run it again to go on where it stopped."""
    if local + inline + (address is not None) > 1:
        raise typer.BadParameter("choose one of --local, --inline and --address")
    options = RunOptions(
        where="inline" if inline else "cluster" if address else "local",
        address=address,
        out=out,
        cache=_cache(cache),
        overrides=overrides,
        only=only,
        fail_fast=fail_fast,
        fresh=fresh,
        arguments=sys.argv[1:],
    )
    with (
        _exit_codes(),
        terminal_stream() as terminal,
        make_display(display, terminal) as shown,
        EventLog([shown]) as events,
    ):
        result = run_sweep(spec, options, events)
    views.print_result(result)
    raise typer.Exit(_exit_code(result))


@app.command()
def plan(spec: SpecPath, overrides: Overrides = [], out: Out = None, cache: Cache = None) -> None:  # noqa: B006
    """Show what `run` would do: cells, forward passes, disk. Runs nothing."""
    with _exit_codes():
        views.print_plan(spec, overrides, out, _cache(cache))


@app.command()
def validate(spec: SpecPath, overrides: Overrides = [], cache: Cache = None) -> None:  # noqa: B006
    """Check SPEC, its corpus, its models and its layers."""
    with _exit_codes():
        views.print_validation(spec, overrides, _cache(cache))


@app.command()
def status(run: RunPath) -> None:
    """Show where a run stands, from its files."""
    with _exit_codes():
        views.print_status(open_run(run))


@app.command()
def report(run: RunPath) -> None:
    """Rebuild tables, plots and report.html from the ledger."""
    with _exit_codes():
        print(build_report(open_run(run)))


@app.command()
def layers(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A checkpoint folder, an architecture, or SPEC:NAME."),
    ],
) -> None:
    """List a model's layers: index, name, the study's name, shape, pooled width."""
    with _exit_codes():
        views.print_layers(model)


def main() -> None:
    """The ``sweep`` command."""
    app(prog_name="sweep")


def _cache(given: Path | None) -> Path:
    return given or Path(os.environ.get("SWEEP_CACHE") or "results/.cache")


def _exit_code(result: RunResult) -> int:
    if result.stopped_by is not None and result.status == "interrupted":
        print(f"stopped; go on with: {shlex.join(['sweep', *sys.argv[1:]])}", file=sys.stderr)
        return EXIT_CODES[result.stopped_by]
    return 1 if result.failed else 0


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Errors of the user and of the cluster as a message and an exit code, without a traceback."""
    try:
        yield
    except (SpecError, RunError, RunIsLocked, views.UsageError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    except ClusterError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(3) from None
