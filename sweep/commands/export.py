"""``sweep export``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep import open_run
from sweep.commands.options import RunPath, exit_codes

if TYPE_CHECKING:
    from sweep.export.exported import Exported
    from sweep.results.run import Run

PARQUET = "parquet"


def export(
    run: RunPath,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="parquet|DIR",
            help="parquet: tables, predictions, activations as safetensors, and a card, ready for "
            "a data hub. Otherwise the folder for the study's files.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder to write to [RUN/export, RUN/parquet]."),
    ] = None,
    chroma: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, help="Write the embeddings to a ChromaDB in this folder, too."
        ),
    ] = None,
    activations: Annotated[
        bool, typer.Option("--activations/--no-activations", help="Those of every layer: large.")
    ] = True,
    license: Annotated[
        str | None,
        typer.Option(
            metavar="SPDX", help="Licence for the card of --to parquet, such as cc-by-4.0."
        ),
    ] = None,
) -> None:
    """Write the speech-rate study's own files from a finished run, or files for a data hub."""
    if to == PARQUET and chroma is not None:
        raise typer.BadParameter("--chroma belongs to the study's files: leave out --to parquet")
    if to != PARQUET and license is not None:
        raise typer.BadParameter("--license is for the card of --to parquet")
    if to not in (None, PARQUET) and out is not None:
        raise typer.BadParameter("give the folder with --out alone, or use --to parquet")
    with exit_codes():
        if to == PARQUET:
            exported = _export_parquet(open_run(run), out, license, activations)
        else:
            from sweep.export.study import export_run

            folder = Path(to) if to is not None else out
            exported = export_run(open_run(run), folder, chroma, activations=activations)
        for note in exported.notes:
            print(note, file=sys.stderr)
        print(exported.folder)


def _export_parquet(
    run: "Run", out: Path | None, licence: str | None, activations: bool
) -> "Exported":
    from sweep.export.parquet.licences import UNKNOWN
    from sweep.export.parquet.write import export_parquet

    return export_parquet(run, out, licence=licence or UNKNOWN, activations=activations)
