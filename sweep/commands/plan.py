"""``sweep plan``."""

from typing import Annotated

import typer

from sweep.commands.options import (
    AsJson,
    Cache,
    Out,
    Overrides,
    SpecPath,
    cache_of,
    exit_codes,
    out_of,
)


def plan(
    spec: SpecPath,
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nothing writes it
    out: Out = None,
    cache: Cache = None,
    as_json: AsJson = False,
    timing: Annotated[
        bool,
        typer.Option(
            "--timing/--no-timing",
            help="Time a batch of each model and a fit of each probe here, for minutes.",
        ),
    ] = True,
) -> None:
    """Show what `run` would do: cells, forward passes, disk. Runs nothing."""
    from sweep.commands.print_plan import print_plan

    with exit_codes():
        print_plan(spec, overrides, out_of(out), cache_of(cache), as_json=as_json, timing=timing)
