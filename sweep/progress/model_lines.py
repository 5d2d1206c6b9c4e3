"""The live view's line for each model: state, bar, and scores over layers."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from sweep.progress.models import ModelProgress, State
from sweep.progress.sparkline import bar, sparkline
from sweep.progress.state import Progress
from sweep.progress.wording import fit, printable

GAP = "  "
STYLES: dict[State, str] = {
    "waiting": "dim", "loading": "yellow", "extracting": "blue", "extracted": "blue",
    "probing": "cyan", "done": "green", "failed": "bold red",
}  # fmt: skip
NAME_WIDTH = 32
BAR_WIDTH = 24
NARROWEST = 8
"""Columns of a bar, or of a sparkline, below which it is left out."""
LAYER_WIDTH = 18
SCORE_LABELS = {"r2": "R²", "accuracy": "acc."}


@dataclass(frozen=True)
class Columns:
    """Widths of the columns in a terminal; 0 leaves a column out."""

    name: int
    state: int
    bar: int
    targets: tuple[str, ...]
    """Targets with a column."""
    spark: int
    layer: int
    """Name of the best layer."""

    @property
    def target(self) -> int:
        """Width of a target's column: sparkline, best score, and its layer."""
        return self.spark + 1 + 6 + (self.layer + 1 if self.layer else 0)


def model_lines(progress: Progress, room: int, width: int) -> list[Text]:
    """A line per model under a line of titles; if not all fit, the most recently active ones."""
    models = list(progress.models.values())
    shown = models
    if len(models) > room - 1:
        latest = sorted(models, key=lambda model: -model.last_change)[: max(room - 2, 0)]
        shown = [model for model in models if model in latest]
    if not shown:
        return []
    columns = _columns(progress, shown, width)
    tops = {target: _top(target, models) for target in columns.targets}
    lines = [_titles(progress, columns), *(_line(model, columns, tops) for model in shown)]
    hidden = len(models) - len(shown)
    return [*lines, Text(f"… {hidden} more", style="dim")] if hidden else lines


def _columns(progress: Progress, models: Sequence[ModelProgress], width: int) -> Columns:
    """Share out the width: to name and state first, then to the scores of as many targets as
    fit, then to the bar."""
    longest = max(cell_len(printable(model.name)) for model in models)
    name = max(min(longest, NAME_WIDTH, width // 3), 5)
    state = max(len("state"), *(len(model.state_text) for model in models))
    state = max(min(state, width - name - len(GAP)), 0)
    left = width - name - state - len(GAP)
    layers = max((len(model.order) or len(model.layers) for model in models), default=0)
    scored = [name for name in progress.targets if any(name in model.scores for model in models)]
    targets = scored or list(progress.targets)[:1]
    if left < len(GAP) + NARROWEST:
        return Columns(name, state, 0, (), 0, 0)
    room_for_bar = BAR_WIDTH if width >= 120 else NARROWEST
    wanted = left - len(GAP) - room_for_bar
    spark_least = min(max(layers, NARROWEST), 2 * NARROWEST)
    each = len(GAP) + spark_least + 7
    count = max(min(wanted // each, len(targets), 4), 0)
    if not count or not layers:
        return Columns(name, state, min(BAR_WIDTH, left - len(GAP)), (), 0, 0)
    share = wanted // count - len(GAP) - 7
    layer = min(_longest_layer(models), LAYER_WIDTH)
    if share - layer - 1 < spark_least:
        layer = 0
    spark = min(share - (layer + 1 if layer else 0), max(layers, NARROWEST))
    return Columns(name, state, room_for_bar, tuple(targets[:count]), spark, layer)


def _longest_layer(models: Sequence[ModelProgress]) -> int:
    names = [name for model in models for name in model.names.values()]
    return max((cell_len(printable(name)) for name in names), default=NARROWEST)


def _top(target: str, models: Sequence[ModelProgress]) -> float:
    scores = [score for model in models for score in model.scores.get(target, {}).values()]
    return max(scores, default=1.0)


def _titles(progress: Progress, columns: Columns) -> Text:
    title = fit("model", columns.name) + GAP + fit("state", columns.state)
    title += GAP + " " * columns.bar if columns.bar else ""
    for target in columns.targets:
        score = progress.targets.get(target, "")
        label = SCORE_LABELS.get(score, "")
        words = filter(None, (printable(target), label, "by layer"))
        title += GAP + fit(" ".join(words), columns.target)
    return Text(title.rstrip(), style="dim", no_wrap=True)


def _line(model: ModelProgress, columns: Columns, tops: dict[str, float]) -> Text:
    style = STYLES[model.state]
    line = Text(no_wrap=True)
    line.append(fit(printable(model.name), columns.name))
    line.append(GAP)
    line.append(fit(model.state_text, columns.state), style=style)
    if columns.bar:
        share = model.share
        full, empty = bar(share, columns.bar) if share is not None else ("", " " * columns.bar)
        line.append(GAP)
        line.append(full, style="red" if model.state == "failed" else "green")
        line.append(empty, style="dim")
    for target in columns.targets:
        line.append(GAP)
        _append_scores(line, model, target, columns, tops[target])
    line.rstrip()
    return line


def _append_scores(
    line: Text, model: ModelProgress, target: str, columns: Columns, top: float
) -> None:
    scores = model.scores.get(target, {})
    order = model.order or sorted(model.names)
    line.append(fit(sparkline(scores, order, columns.spark, top), columns.spark), style="cyan")
    best = model.best_of(target)
    score = f"{best[1]:.3f}" if best else ""
    line.append(f" {score[:6]:>6}", style="bold")
    if columns.layer:
        name = printable(best[0]) if best else ""
        line.append(f" {fit(name, columns.layer)}")
