"""Verbs for what goes into a run and comes out of it: corpora, checkpoints, activations, files."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from jobs.downloads.catalogue import CORPORA, MODELS
from sweep import open_run
from sweep.commands.options import Cache, Overrides, RunPath, SpecPath, cache_of, exit_codes, say

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
    from sweep.commands.fetch import fetch

    with exit_codes():
        print(fetch("corpus", name, to, mirror))


def fetch_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"{', '.join(MODELS)}.")],
    to: To = None,
    mirror: Mirror = None,
) -> None:
    """Bring a WeSpeaker checkpoint to data/models, where specs find it by its name."""
    from sweep.commands.fetch import fetch

    with exit_codes():
        print(fetch("model", name, to, mirror))


def export(
    run: RunPath,
    to: Annotated[Path | None, typer.Option(help="Folder to write to [RUN/export].")] = None,
    chroma: Annotated[
        Path | None, typer.Option(help="Write the embeddings to a ChromaDB in this folder, too.")
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


def predict(
    run: RunPath,
    audio: Annotated[list[Path], typer.Argument(metavar="AUDIO...", help="Files to predict.")],
    model: Annotated[str, typer.Option(help="A model of the run.")],
    layer: Annotated[str, typer.Option(help="A probed layer of it.")],
    probe: Annotated[str | None, typer.Option(help="A probe of the run [all of them].")] = None,
    target: Annotated[str | None, typer.Option(help="A target of the run [all of them].")] = None,
) -> None:
    """Apply the saved probes of a layer to new audio (a run with `save_probes: true`)."""
    from sweep.commands.predict import predict_audio, print_predictions

    with exit_codes():
        predicted = predict_audio(open_run(run), model, layer, audio, probe, target)
        print_predictions(predicted, audio)
    raise typer.Exit(1 if predicted.skipped else 0)


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
    from sweep.commands.gc import collect, report_lines

    with exit_codes():
        try:
            items = collect(cache_of(cache), results, dry_run=dry_run)
        except PermissionError as error:
            say(f"{error.filename} cannot be looked into ({error.strerror}): nothing was dropped")
            raise typer.Exit(2) from None
    print("\n".join(report_lines(items, dry_run=dry_run)))
    raise typer.Exit(1 if any(item.error for item in items) else 0)
