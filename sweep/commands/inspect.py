"""Verbs that look, and run nothing: at specs, models, runs, and this machine."""

from typing import Annotated

import typer

from sweep import open_run
from sweep.commands.options import (
    Cache,
    Out,
    Overrides,
    RunPath,
    SpecPath,
    cache_of,
    exit_codes,
    out_of,
    say,
)


def plan(spec: SpecPath, overrides: Overrides = [], out: Out = None, cache: Cache = None) -> None:  # noqa: B006
    """Show what `run` would do: cells, forward passes, disk. Runs nothing."""
    from sweep.commands.output import print_plan

    with exit_codes():
        print_plan(spec, overrides, out_of(out), cache_of(cache))


def validate(spec: SpecPath, overrides: Overrides = [], cache: Cache = None) -> None:  # noqa: B006
    """Check SPEC, its corpus, its models and its layers."""
    from sweep.commands.output import print_validation
    from sweep.state.run_folder import local_cache

    with exit_codes():
        print_validation(spec, overrides, local_cache(cache_of(cache)))


def status(run: RunPath) -> None:
    """Show where a run stands, from its files."""
    from sweep.commands.output import print_status

    with exit_codes():
        print_status(open_run(run))


def report(run: RunPath) -> None:
    """Rebuild tables, plots and report.html from the ledger."""
    from sweep.commands.rebuild_report import rebuild_report

    with exit_codes():
        print(rebuild_report(open_run(run), say))


def layers(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A checkpoint folder, an architecture, or SPEC:NAME."),
    ],
) -> None:
    """List a model's layers: index, name, the study's name, shape, pooled width."""
    from sweep.commands.output import print_layers

    with exit_codes():
        print_layers(model)


def doctor(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Check its padded batches: as `sweep layers` names models."
        ),
    ] = None,
    cache: Cache = None,
) -> None:
    """Check this machine; or, with --model, that padded batches give what one at a time gives."""
    from sweep.commands.doctor import print_environment, print_model_check
    from sweep.state.run_folder import local_cache

    with exit_codes():
        well = (
            print_environment(local_cache(cache_of(cache)))
            if model is None
            else print_model_check(model)
        )
    raise typer.Exit(0 if well else 1)
