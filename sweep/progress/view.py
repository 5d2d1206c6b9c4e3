"""The live view at one moment: a pure function of a run's state and the size of a terminal."""

from datetime import datetime

from rich.console import Group
from rich.text import Text

from sweep.progress.estimate import time_left
from sweep.progress.model_lines import model_lines
from sweep.progress.sparkline import BLOCKS, EMPTY, FULL, bar
from sweep.progress.state import ENDED, STAGES, Progress, Resources, Stage
from sweep.progress.status import stage_state
from sweep.progress.wording import clock, fit, printable, rate_text, shortened
from sweep.wording import counted

MESSAGES = 3
"""Lines for causes of failures and warnings."""
STATUS_STYLES = {"done": "bold green", "failed": "bold red", "interrupted": "bold yellow"}
STAGE_NAME, STAGE_BAR = 10, 40
_ASCII = str.maketrans({
    **{block: str(level) for level, block in enumerate(BLOCKS, start=1)},
    FULL: "=", EMPTY: "-", "·": ".", "…": "~", "→": ">", "–": "-", "²": "2",
})  # fmt: skip
"""Characters of the view that ASCII lacks; blocks become the digits 1 to 8."""


def view(
    progress: Progress, now: datetime, width: int, height: int, *, ascii_only: bool = False
) -> Group:
    """The live view at one moment, at most ``height`` lines of ``width`` columns.

    Lines go to the header first, then to the activity, the stages, failures, warnings and
    resources, and as many models as fit.
    """
    header, footer = [_header(progress, now, width)], _footer(progress, now, width)
    left = height - len(header)
    footer = footer[: max(left, 0)]
    left -= len(footer)
    stages = [_stage(stage, now, width) for stage in _shown_stages(progress, left)]
    left -= len(stages)
    messages = _messages(progress, min(MESSAGES, max(left - 4, 0)), width)
    left -= len(messages)
    spacious = left >= len(progress.models) + 3
    models = model_lines(progress, left - 2 * spacious, width)
    gap = [Text()] if spacious and models else []
    lines = [*header, *stages, *gap, *models, *gap, *messages, *footer]
    return Group(*(_in_ascii(line) for line in lines) if ascii_only else lines)


def _shown_stages(progress: Progress, room: int) -> list[Stage]:
    """All stages, or only those under way where there is no room for them and the models."""
    stages = list(progress.stages.values())
    if room < len(stages) + min(len(progress.models), 3) + 1:
        stages = [stage for stage in stages if stage.started and not stage.ended]
    return stages if room >= len(stages) else []


def _in_ascii(line: Text) -> Text:
    """Replace the view's own characters one by one, so that styles stay in place."""
    plain = line.copy()
    plain.plain = line.plain.translate(_ASCII)
    return plain


def _header(progress: Progress, now: datetime, width: int) -> Text:
    name = shortened(printable(progress.run) or "run", max(width // 2, 1))
    parts = [(progress.status, STATUS_STYLES.get(progress.status, "cyan"))]
    parts.append((clock(progress.elapsed(now)), ""))
    left = time_left(progress, now) if progress.status not in ENDED else None
    if left is not None:
        about = "about" if left.complete else "at least"
        parts.append((f"{about} {clock(left.seconds)} left", "bold"))
    if progress.failed:
        parts.append((f"{progress.failed} failed", "red"))
    if progress.skipped:
        parts.append((f"{counted(progress.skipped, 'utterance')} skipped", "yellow"))
    if progress.n_warnings:
        parts.append((counted(progress.n_warnings, "warning"), "yellow"))
    line = Text(name, style="bold")
    for text, style in parts:
        line.append(f"  {text}", style=style)
    return _cut(line, width)


def _stage(stage: Stage, now: datetime, width: int) -> Text:
    line = Text(style="" if stage.started else "dim")
    line.append(fit(printable(stage.name), STAGE_NAME) + "  ")
    if not stage.total:
        line.append(stage_state(stage, now))
        return _cut(line, width)
    columns = max(8, min(STAGE_BAR, width - 56))
    full, empty = bar(stage.done / stage.total, columns)
    line.append(full, style="green")
    line.append(empty, style="dim")
    line.append(f"  {stage.done}/{stage.total}")
    rate = rate_text(stage.rate(now))
    # Stages that overlap slow each other down: the header has the time left of all of them.
    eta = stage.eta(now) if stage.name == STAGES[0] else 0.0
    if stage.ended is not None and stage.started is not None:
        line.append(f"  in {clock((stage.ended - stage.started).total_seconds())}")
    line.append(f"  {rate}" if rate else "")
    if eta is None or eta:
        line.append("  ETA –" if eta is None else f"  ETA {clock(eta)}")
    if stage.failed:
        line.append(f"  {stage.failed} failed", style="red")
    return _cut(line, width)


def _messages(progress: Progress, room: int, width: int) -> list[Text]:
    """List the causes of failures, the latest last, and the last warnings if there is room."""
    causes = [Text(cause.line(width), style="red") for cause in progress.causes]
    shown = causes[max(len(causes) - room, 0) :]
    warnings = [Text(printable(text), style="yellow") for text in progress.warnings]
    room -= len(shown)
    return [_cut(line, width) for line in (*shown, *warnings[max(len(warnings) - room, 0) :])]


def _footer(progress: Progress, now: datetime, width: int) -> list[Text]:
    lines = []
    if progress.status not in ENDED and progress.activity and progress.activity_since:
        ago = clock((now - progress.activity_since).total_seconds())
        line = Text(f"{ago} ", style="dim")
        line.append(printable(progress.activity))
        lines.append(line)
    if progress.status not in ENDED and progress.resources is not None:
        lines.append(Text(_resources(progress.resources), style="dim"))
    return [_cut(line, width) for line in lines]


def _resources(found: Resources) -> str:
    parts = [counted(found.nodes, "node")]
    parts.append(f"{counted(found.jobs, 'job')}/{counted(found.places, 'worker')}")
    if found.cpus is not None:
        parts.append(f"CPU {found.cpus[0]:.1f}/{found.cpus[1]:g}")
    if found.memory is not None:
        parts.append("memory {:.1f}/{:.1f} GiB".format(*(count / 2**30 for count in found.memory)))
    if found.gpus is not None:
        busy = "" if found.gpu_busy is None else f" {found.gpu_busy:.0%}"
        parts.append(f"GPU {found.gpus[0]:g}/{found.gpus[1]:g}{busy}")
    return " · ".join(parts)


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line
