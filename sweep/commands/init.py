"""``sweep init``."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sweep.commands.options import Cache, cache_of, exit_codes


def _meant(spec: Path | None) -> str:
    """Return the command for data that were given in place of the spec; "" for others."""
    if spec is None or not spec.exists() or spec.suffix in (".yaml", ".yml"):
        return ""
    option = "--librispeech" if spec.is_dir() else "--csv"
    return f", as in: sweep init {option} {shlex.quote(str(spec))}"


def init(
    spec: Annotated[
        Path | None,
        typer.Argument(metavar="SPEC", help="The file to write [NAME.yaml, after the data]."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="TABLE", help="A table with a row per recording."),
    ] = None,
    librispeech: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A folder in LibriSpeech's layout."),
    ] = None,
    model: Annotated[
        list[str],
        typer.Option(
            metavar="NAME|FOLDER",
            help="A checkpoint or an architecture; repeatable [the included checkpoint].",
        ),
    ] = [],  # noqa: B006 - typer reads it, nothing writes it
    audio: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The table's column of audio files.")
    ] = None,
    speaker: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The table's column of speakers.")
    ] = None,
    cache: Cache = None,
) -> None:
    """Look at your data and write a spec for it, with comments, that can be run as it is."""
    if (csv is None) == (librispeech is None):
        raise typer.BadParameter(f"expected one of --csv TABLE and --librispeech DIR{_meant(spec)}")
    with exit_codes():
        from sweep.commands.write_draft import write_draft

        write_draft(spec, csv, librispeech, model, audio, speaker, cache_of(cache))
