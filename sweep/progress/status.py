"""A run's progress in lines of text: the end of a plain log, and ``sweep status``."""

from datetime import datetime

from sweep.progress.state import Progress, Stage
from sweep.progress.wording import clock, printable, rate_text
from sweep.wording import counted


def status_lines(progress: Progress, now: datetime) -> list[str]:
    """The whole state as lines of text: the end of a plain log, and ``sweep status``."""
    now = progress.moment(now)
    lines = [f"{progress.run}: {progress.status} after {clock(progress.elapsed(now))}"]
    stages = [stage for stage in progress.stages.values() if stage.started or stage.total]
    lines += [stage_line(stage, now) for stage in stages]
    if progress.forward_seconds and progress.probe_seconds:
        forward, probes = progress.forward_seconds, progress.probe_seconds
        share = f"{probes / forward:.2f} of these"
        lines.append(f"forward passes {forward:.0f} s, fits of probes {probes:.0f} s: {share}")
    for model in progress.models.values():
        for score, best in (("R²", model.best), ("accuracy", model.best_accuracy)):
            if best is not None:
                value = f"{score} {best.score:.3f} ({best.probe} → {best.target})"
                lines.append(f"{model.name}: best layer {best.layer}, {value}")
    if progress.skipped:
        lines.append(f"{counted(progress.skipped, 'utterance')} skipped")
    lines += [f"FAILED: {cause.line()}" for cause in progress.causes]
    if progress.n_warnings:
        lines.append(f"{counted(progress.n_warnings, 'warning')}, see events.jsonl")
    return [printable(line) for line in lines]


def stage_line(stage: Stage, now: datetime) -> str:
    """One stage in a line: ``extract 12/40 · 3.1/s · ETA 0:09``."""
    failed = [f"{stage.failed} failed"] if stage.failed else []
    if not stage.total:
        return " · ".join([f"{stage.name} {stage_state(stage, now)}", *failed])
    parts = [f"{stage.name} {stage.done}/{stage.total}"]
    rate, eta = stage.rate(now), stage.eta(now)
    if rate is not None:
        parts.append(rate_text(rate))
    if eta:
        parts.append(f"ETA {clock(eta)}")
    return " · ".join([*parts, *failed])


def stage_state(stage: Stage, now: datetime) -> str:
    """A stage without units: ``waiting``, ``running 0:03`` or ``done in 0:05``."""
    if stage.started is None:
        return "waiting"
    seconds = clock(((stage.ended or now) - stage.started).total_seconds())
    return f"done in {seconds}" if stage.ended else f"running {seconds}"
