"""``sweep prepare``."""

from pathlib import Path
from typing import Annotated

import typer

from sweep.commands.options import Cache, Overrides, SpecPath, cache_of, exit_codes


def prepare(
    spec: SpecPath,
    to: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder to write to [results/<name>/corpus]."),
    ] = None,
    overrides: Overrides = [],  # noqa: B006
    cache: Cache = None,
) -> None:
    """Write the corpus of SPEC as the study's tables and show its statistics. Loads no model."""
    from sweep.commands.prepare_corpus import prepare_corpus, print_preparation
    from sweep.state.run_folder import local_cache

    with exit_codes():
        print_preparation(prepare_corpus(spec, overrides, to, local_cache(cache_of(cache))))
