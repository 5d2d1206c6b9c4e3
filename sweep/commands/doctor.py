"""``sweep doctor``."""

from typing import Annotated

import typer

from sweep.commands.options import Cache, cache_of, exit_codes


def doctor(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Check its padded batches: as `sweep layers` names models."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every check, also those that succeeded.")
    ] = False,
    cache: Cache = None,
) -> None:
    """Check this machine; or, with --model, that padded batches give what one at a time gives."""
    from sweep.commands.check_machine import print_environment, print_model_check
    from sweep.state.run_folder import local_cache

    with exit_codes():
        well = (
            print_environment(local_cache(cache_of(cache)), everything=everything)
            if model is None
            else print_model_check(model)
        )
    raise typer.Exit(0 if well else 1)
