"""``sweep layers``."""

from typing import Annotated

import typer

from sweep.commands.options import AsJson, exit_codes


def layers(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A checkpoint folder, an architecture, or SPEC:NAME."),
    ],
    as_json: AsJson = False,
) -> None:
    """List a model's layers: index, name, the study's name, level, shape, pooled width."""
    from sweep.commands.print_layers import print_layers

    with exit_codes():
        print_layers(model, as_json=as_json)
