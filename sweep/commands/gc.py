"""``sweep gc``."""

from pathlib import Path
from typing import Annotated

import typer

from sweep.commands.options import Cache, cache_of, exit_codes, say


def gc(
    cache: Cache = None,
    results: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A folder with runs in it; repeatable [results]."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go; drop nothing.")
    ] = False,
) -> None:
    """Drop the activations that no run needs. Looks for runs in --results, and for those that the
    cache remembers."""
    from sweep.commands.collect_garbage import collect, report_lines

    with exit_codes():
        try:
            items = collect(cache_of(cache), results, dry_run=dry_run)
        except PermissionError as error:
            say(f"{error.filename} cannot be looked into ({error.strerror}): nothing was dropped")
            raise typer.Exit(2) from None
    print("\n".join(report_lines(items, dry_run=dry_run)))
    raise typer.Exit(1 if any(item.error for item in items) else 0)
