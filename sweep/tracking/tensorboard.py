"""TensorBoard: event files in a folder, a run of its own for each model and probe."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from jobs.optional_packages import TENSORBOARD, OptionalPackage
from jobs.settings import Name
from jobs.storage.atomic import file_names
from sweep.tracking.base import TrackedRun, Tracker, TrackSettings

EVENTS = "events.out.tfevents.*"


class TensorboardSettings(TrackSettings):
    """Event files: curves over layers that overlay models, figures, and the spec as text."""

    EXAMPLES = ("{kind: tensorboard, uri: results/tensorboard, name: pilot}",)

    kind: Literal["tensorboard"] = "tensorboard"
    """TensorBoard; ``uri`` is a folder, by default ``tensorboard`` in the run's own. Needs the
    extra ``tensorboard``."""
    name: Name | None = None
    """Name of the run, a folder in ``uri``. null: that of the spec."""


def _packages(settings: TensorboardSettings) -> Sequence[OptionalPackage]:
    return (TENSORBOARD,)


def _send(settings: TensorboardSettings, run: TrackedRun) -> str:
    home = Path(settings.uri) if settings.uri is not None else run.folder / "tensorboard"
    [name] = file_names([settings.name or run.name]).values()
    for old in (home / name).glob(f"**/{EVENTS}"):
        old.unlink()
    with _writer(home / name) as writer:
        writer.add_text("summary", run.summary)
        for title, values in (("spec", run.parameters), ("about", run.tags)):
            rows = [f"| {key} | `{value}` |" for key, value in values.items()]
            writer.add_text(title, "\n".join(["| key | value |", "|---|---|", *rows]))
        for path in (path for path in run.files if path.suffix == ".md"):
            writer.add_text(f"tables/{path.stem}", path.read_text(encoding="utf-8"))
        for path in run.figures:
            writer.add_image(path.stem, _pixels(path), dataformats="HWC")
        writer.add_text("report", f"{run.folder / 'report.html'}")
    lines: defaultdict[str, list[tuple[str, int, float]]] = defaultdict(list)
    for curve in run.curves:
        tag = f"{curve.score}/{curve.target}"
        lines[f"{curve.model} · {curve.probe}"] += [(tag, *point) for point in curve.points]
    for line, folder in file_names(lines).items():
        with _writer(home / name / folder) as writer:
            for tag, step, value in lines[line]:
                writer.add_scalar(tag, value, step)
    return f"{home}; show it with: tensorboard --logdir {home}"


def _writer(folder: Path) -> Any:
    from torch.utils.tensorboard import SummaryWriter  # needs the package

    return SummaryWriter(str(folder))


def _pixels(path: Path) -> Any:
    from matplotlib.image import imread

    return imread(path)[..., :3]


TENSORBOARD_TRACKER = Tracker(TensorboardSettings, _packages, _send)
