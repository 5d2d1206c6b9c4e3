"""``sweep predict``."""

from pathlib import Path
from typing import Annotated

import typer

from sweep import open_run
from sweep.commands.options import RunPath, exit_codes


def predict(
    run: RunPath,
    audio: Annotated[list[Path], typer.Argument(metavar="AUDIO...", help="Files to predict.")],
    model: Annotated[str, typer.Option(help="A model of the run.")],
    layer: Annotated[str, typer.Option(help="A probed layer of it.")],
    probe: Annotated[str | None, typer.Option(help="A probe of the run [all of them].")] = None,
    target: Annotated[str | None, typer.Option(help="A target of the run [all of them].")] = None,
) -> None:
    """Apply the saved probes of a layer to new audio (a run with `save_probes: true`)."""
    from sweep.commands.predict_audio import predict_audio, print_predictions

    with exit_codes():
        predicted = predict_audio(open_run(run), model, layer, audio, probe, target)
        print_predictions(predicted, audio)
    raise typer.Exit(1 if predicted.skipped else 0)
