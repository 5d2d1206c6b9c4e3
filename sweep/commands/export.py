"""``sweep export``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sweep import open_run
from sweep.commands.options import RunPath, exit_codes


def export(
    run: RunPath,
    to: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder to write to [RUN/export].")
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
) -> None:
    """Write the speech-rate study's own files from a finished run."""
    from sweep.export.study import export_run

    with exit_codes():
        exported = export_run(open_run(run), to, chroma, activations=activations)
        for note in exported.notes:
            print(note, file=sys.stderr)
        print(exported.folder)
