"""The live view: the state of a run, redrawn in place at the bottom of a terminal."""

import threading
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweep.progress.state import Best, ModelProgress, Progress
from sweep.progress.status import stage_state
from sweep.progress.wording import clock, printable, rate_text
from sweep.state.events import Event
from sweep.wording import counted

REFRESHES_PER_SECOND = 4.0
MESSAGES = 3
"""Lines for the last failures and warnings."""
STATUS_STYLES = {"done": "bold green", "failed": "bold red", "interrupted": "bold yellow"}


class LiveView:
    """Live view, never higher or wider than the terminal, so that redrawing does not scroll."""

    def __init__(self, stream: TextIO, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()  # events come from the driver's thread, refreshes from Live's
        self._console = Console(file=stream, highlight=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=REFRESHES_PER_SECOND,
            redirect_stdout=False,  # data stays on standard output
        )

    def start(self) -> None:
        """Draw, and keep drawing from a separate thread."""
        self._live.start(refresh=True)

    def stop(self) -> None:
        """Draw a last time and leave that on the screen."""
        self._live.stop()

    def update(self, event: Event) -> None:
        """Take in one event; it is seen at the next refresh."""
        with self._lock:
            self._progress.update(event)

    def _render(self) -> Group:
        with self._lock:
            now = self._progress.moment(datetime.now(UTC))
            return view(self._progress, now, self._console.width, self._console.height - 1)


def view(progress: Progress, now: datetime, width: int, height: int) -> Group:
    """The live view at one moment, at most ``height`` lines of ``width`` columns.

    Lines go to the header first, then to the stages, the messages, and as many models as fit.
    """
    parts: list[RenderableType] = [_header(progress, now)]
    left = height - 1
    if left >= len(progress.stages):
        parts.append(_stages(progress, now, width))
        left -= len(progress.stages)
    messages = _messages(progress, min(MESSAGES, max(left - 4, 0)), width)
    left -= len(messages)
    gap = [Text()] if left >= len(progress.models) + 3 else []
    parts += [*gap, *_models(progress, left - 2 * len(gap), width), *gap]
    return Group(*parts, *messages)


def _header(progress: Progress, now: datetime) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(printable(progress.run) or "run", style="bold")
    text.append(f"  {progress.status}", style=STATUS_STYLES.get(progress.status, "cyan"))
    text.append(f"  {clock(progress.elapsed(now))}")
    if progress.failed:
        text.append(f"  {progress.failed} failed", style="red")
    if progress.skipped:
        text.append(f"  {counted(progress.skipped, 'utterance')} skipped", style="yellow")
    return text


def _stages(progress: Progress, now: datetime, width: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("left", "left", "right", "right", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    bar = max(8, min(40, width - 56))
    for stage in progress.stages.values():
        row: list[RenderableType] = [stage_state(stage, now), "", "", ""]
        if stage.total:
            eta = stage.eta(now)
            row = [
                ProgressBar(stage.total, min(stage.done, stage.total), width=bar),
                f"{stage.done}/{stage.total}",
                rate_text(stage.rate(now)),
                "ETA –" if eta is None else f"ETA {clock(eta)}" if eta else "",
            ]
        failed = Text(f"{stage.failed} failed" if stage.failed else "", style="red")
        table.add_row(Text(stage.name), *row, failed, style="" if stage.started else "dim")
    return table


def _models(progress: Progress, height: int, width: int) -> list[RenderableType]:
    """One row per model under a line of titles; if not all fit, the most recently active ones."""
    models = list(progress.models.values())
    room = height - 1
    shown = models
    if len(models) > room:
        latest = sorted(models, key=lambda model: -model.last_change)[: max(room - 1, 0)]
        shown = [model for model in models if model in latest]
    if not shown:
        return []
    table = Table(box=None, pad_edge=False, header_style="dim", width=min(width, 120))
    table.add_column("model", no_wrap=True, ratio=5)
    table.add_column("shards", justify="right", no_wrap=True)
    table.add_column("layers", justify="right", no_wrap=True)
    accurate = any(model.best_accuracy for model in models)
    scores = {"accuracy": accurate, "R²": not accurate or any(model.best for model in models)}
    for score in ("R²", "accuracy"):
        if scores[score]:
            table.add_column("best so far", no_wrap=True, ratio=3)
            table.add_column(score, justify="right", no_wrap=True)
            table.add_column("by probe", no_wrap=True, ratio=2)
    for model in shown:
        best = _best_cells(model.best) if scores["R²"] else []
        best += _best_cells(model.best_accuracy) if scores["accuracy"] else []
        table.add_row(*_model_cells(model), *best)
    hidden = len(models) - len(shown)
    return [table, Text(f"… {hidden} more", style="dim")] if hidden else [table]


def _model_cells(model: ModelProgress) -> list[RenderableType]:
    return [
        Text(printable(model.name), style="red" if model.failed else ""),
        str(len(model.shards) or "–"),
        str(len(model.layers) or "–"),
    ]


def _best_cells(best: Best | None) -> list[RenderableType]:
    if best is None:
        return ["–", "–", "–"]
    probe = Text(printable(f"{best.probe} → {best.target}"))
    return [Text(printable(best.layer)), f"{best.score:.3f}", probe]


def _messages(progress: Progress, room: int, width: int) -> list[Text]:
    """List the last failures and, if there is room, the last warnings."""
    causes = [cause.line(width) for cause in progress.causes]
    lines = [("red", text) for text in _last(causes, room)]
    lines += [("yellow", text) for text in _last(progress.warnings, room - len(lines))]
    return [
        Text(printable(text), style, no_wrap=True, overflow="ellipsis") for style, text in lines
    ]


def _last(texts: Collection[str], count: int) -> list[str]:
    return list(texts)[max(len(texts) - count, 0) :]
