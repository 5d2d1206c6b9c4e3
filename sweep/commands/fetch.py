"""``sweep fetch corpus`` and ``sweep fetch model``."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.downloads.catalogue import CORPORA, MODELS
from sweep.commands.options import exit_codes

Mirror = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="SWEEP_MIRROR",
        help="A folder that has the archive [its publisher's].",
    ),
]
To = Annotated[Path | None, typer.Option(help="The folder that it arrives in.")]


def fetch_corpus(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"{', '.join(CORPORA)}.")],
    to: To = None,
    mirror: Mirror = None,
) -> None:
    """Bring a LibriSpeech subset to data/raw/LibriSpeech."""
    from sweep.commands.fetch_named import fetch

    with exit_codes():
        print(fetch("corpus", name, to, mirror))


def fetch_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"{', '.join(MODELS)}.")],
    to: To = None,
    mirror: Mirror = None,
) -> None:
    """Bring a WeSpeaker checkpoint to data/models, where specs find it by its name."""
    from sweep.commands.fetch_named import fetch

    with exit_codes():
        print(fetch("model", name, to, mirror))
