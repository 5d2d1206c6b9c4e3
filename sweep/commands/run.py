"""``sweep run``."""

from typing import Annotated

import typer

from sweep.commands.drive import drive
from sweep.commands.options import (
    WHAT,
    Address,
    Cache,
    ExecutorName,
    FailFast,
    Inline,
    Local,
    Out,
    Overrides,
    ShowAs,
    SpecPath,
    Unlock,
    cache_of,
    out_of,
    typed_arguments,
    where_of,
)


def run(
    spec: SpecPath,
    local: Local = False,
    address: Address = None,
    inline: Inline = False,
    executor: ExecutorName = None,
    out: Out = None,
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nothing writes it
    display: ShowAs = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="GLOB",
            help="Work on these model/layer/probe.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    fail_fast: FailFast = False,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Forget finished cells, not activations.", rich_help_panel=WHAT
        ),
    ] = False,
    cache: Cache = None,
    unlock: Unlock = False,
) -> None:
    """Run the remaining cells of SPEC; run it again to resume after a stop."""
    from sweep.running.options import RunOptions

    options = RunOptions(
        where=where_of(local, address, inline, executor),
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
    drive(spec, options, display)
