"""``sweep predict``: a run's saved probes on new audio."""

import csv
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.activations.store import read_layer
from jobs.audio.read import AudioUnavailable
from jobs.corpus.skipped import Skipped
from jobs.extraction.extractor import Extractor
from jobs.extraction.settings import ExtractSettings
from jobs.extraction.shard import Shard
from jobs.models.errors import ModelError
from jobs.probes import PROBES
from jobs.probing.saved_probes import SavedProbe, card_path, load_probe
from sweep.errors import RunError, UsageError
from sweep.plan.plan import PlannedModel
from sweep.progress.wording import printable
from sweep.results.run import Run
from sweep.state.ledger import Record

COLUMNS = (
    "audio",
    "target",
    "probe",
    "predicted",
    "unit",
    "agreement",
    "fits",
    "score",
    "of_score",
)
"""Columns of ``predict_audio``."""


@dataclass(frozen=True)
class Predicted:
    """Predictions of probes for audio files."""

    rows: pd.DataFrame
    """A row per file × target × probe, ``COLUMNS``. ``agreement`` is the SD over the fits (seeds
    and folds) of a number, in its unit, and for a class the share of fits that predict it;
    ``of_score`` is the mean test score of the fits, named by ``score``: ``r2`` or ``accuracy``."""
    skipped: tuple[Skipped, ...]
    """Unreadable files with reasons."""


def predict_audio(
    run: Run,
    model: str,
    layer: str,
    audio: Sequence[Path],
    probe: str | None = None,
    target: str | None = None,
) -> Predicted:
    """Read ``layer`` of ``model`` for every file and apply the run's saved probes of it.

    The fits of one probe and target (seeds, folds) are averaged; for classes, the most frequent
    counts.

    Raises:
        RunError: the run saved no such probe.
        UsageError: a file is missing, or the model can no longer be loaded.
        jobs.probing.saved_probes.SavedProbeError: a saved probe is damaged.
    """
    fits = _saved(run, model, layer, probe, target)
    missing = [path for path in audio if not path.is_file()]
    if missing:
        raise UsageError(f"no such audio file: {', '.join(map(str, missing))}")
    planned = next(one for one in run.plan.models if one.name == model)
    names, X, skipped = _read(planned, layer, audio)
    if not names:
        return Predicted(pd.DataFrame(columns=list(COLUMNS)), skipped)
    rows = [
        row
        for (of_target, of_probe), several in fits.items()
        for row in _rows(of_target, of_probe, several, names, X)
    ]
    return Predicted(pd.DataFrame(rows, columns=list(COLUMNS)), skipped)


def _saved(
    run: Run, model: str, layer: str, probe: str | None, target: str | None
) -> dict[tuple[str, str], list[SavedProbe]]:
    """Group the fits by (target, probe)."""
    here = [
        record
        for record in run.records.values()
        if (record.model, record.layer, record.control) == (model, layer, "none")
    ]
    if not here:
        raise RunError(_no_such_layer(run, model, layer))
    fits: dict[tuple[str, str], list[SavedProbe]] = {}
    for record in here:
        path = card_path(run.folder.probes, record.cell_id)
        if probe in (None, record.probe) and target in (None, record.target) and path.exists():
            fits.setdefault((record.target, record.probe), []).append(load_probe(path))
    if not fits:
        raise RunError(_none_saved(run, here))
    return fits


def _no_such_layer(run: Run, model: str, layer: str) -> str:
    models = {one.name: [tap.name for tap in one.layers] for one in run.plan.models}
    if model not in models:
        return f"the run has no model {model!r}: expected one of {', '.join(models)}"
    if layer not in models[model]:
        return (
            f"the run probed no layer {layer!r} of {model}: expected one of "
            f"{', '.join(models[model])}"
        )
    return f"no cell of {model}, {layer} is finished yet: go on with the run"


def _none_saved(run: Run, here: Sequence[Record]) -> str:
    probes = dict.fromkeys(record.probe for record in here)
    savable = [name for name in probes if PROBES[run.plan.probes[name].kind].apply is not None]
    if not run.spec.save_probes:
        return (
            f"{run.folder.root} saved no probes: set `save_probes: true` in its spec (or --set "
            "save_probes=true) and run it again; activations are kept, the probes are fitted anew"
        )
    return (
        f"no saved probe fits: those of this layer are {', '.join(savable) or 'none'}, for "
        f"{', '.join(dict.fromkeys(record.target for record in here))}"
    )


def _read(
    planned: PlannedModel, layer: str, audio: Sequence[Path]
) -> tuple[list[str], npt.NDArray[np.float32], tuple[Skipped, ...]]:
    """Return the readable positions in ``audio``, as text, and their activations (U, D).

    They pass through a shard in a temporary folder, as in a run, so that the numbers are the same.
    """
    # Stored as float32 whatever the run's dtype, as nothing is kept here.
    settings: ExtractSettings = planned.extract.model_copy(update={"dtype": "float32"})
    with tempfile.TemporaryDirectory(prefix="sweep-predict-") as folder:
        shard = Shard(
            folder=Path(folder),
            index=0,
            utterance_ids=tuple(str(number) for number in range(len(audio))),
            audio_paths=tuple(str(path.absolute()) for path in audio),
            model_digest=planned.digest,
        )
        try:
            report = Extractor(settings).extract(shard)
        except (ModelError, AudioUnavailable) as error:
            raise UsageError(str(error)) from error
        names, X = read_layer(Path(folder), 1, layer)
    return names, X, report.skipped


def _rows(
    target: str,
    probe: str,
    fits: Sequence[SavedProbe],
    names: Sequence[str],
    X: npt.NDArray[np.float32],
) -> list[dict[str, object]]:
    classes, score = fits[0].card.classes, "accuracy" if fits[0].card.classes else "r2"
    values = np.stack([fit.codes(X) for fit in fits], axis=1)
    scores = [value for fit in fits if (value := fit.card.scores.get(score)) is not None]
    rows: list[dict[str, object]] = []
    for name, of_fits in zip(names, values, strict=True):
        predicted: object = float(of_fits.mean())
        agreement = float(of_fits.std())
        if classes:
            code, count = Counter(of_fits.astype(int).tolist()).most_common(1)[0]
            predicted, agreement = classes[code], count / len(fits)
        rows.append(
            {
                "audio": int(name),
                "target": target,
                "probe": probe,
                "predicted": predicted,
                "unit": fits[0].card.unit,
                "agreement": agreement,
                "fits": len(fits),
                "score": score,
                "of_score": float(np.mean(scores)) if scores else math.nan,
            }
        )
    return rows


def print_predictions(predicted: Predicted, audio: Sequence[Path]) -> None:
    """Print a table on a terminal, else CSV, on standard output; skipped files on standard
    error."""
    for one in predicted.skipped:
        print(printable(f"skipped {audio[int(one.utterance_id)]}: {one.reason}"), file=sys.stderr)
    rows = predicted.rows.to_dict("records")
    for row in rows:
        row["audio"] = str(audio[int(row["audio"])])
    if not sys.stdout.isatty():
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _field(row[name]) for name in COLUMNS} for row in rows)
        return
    table = Table()
    for name in ("audio", "target", "probe", "predicted", "± or share", "test score"):
        table.add_column(name, justify="left" if name in ("audio", "target", "probe") else "right")
    for row in rows:
        value = row["predicted"]
        shown = value if isinstance(value, str) else f"{value:.3f} {row['unit']}".strip()
        known = not math.isnan(row["of_score"])
        score = f"{row['score']} {row['of_score']:.3f}" if known else "–"
        cells = (row["audio"], row["target"], row["probe"], shown, f"{row['agreement']:.3f}", score)
        table.add_row(*(Text(printable(str(cell))) for cell in cells))
    Console(highlight=False).print(table)


def _field(value: object) -> str:
    """Format a cell of the CSV, empty where a number is undefined."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return printable(str(value))
