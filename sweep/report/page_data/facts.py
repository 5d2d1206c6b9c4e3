"""The top of the page: what was asked, of which data, when, and what became of it."""

from collections import Counter
from datetime import datetime
from typing import Any

from jobs.models.settings import BASELINE_PREFIX
from jobs.storage.regular_files import DamagedFile
from jobs.targets.registry import target_title
from sweep.results.run import Run
from sweep.state.events import Event, readable_events
from sweep.wording import counted, listed


def facts(run: Run) -> dict[str, Any]:
    """Return the ``question`` of the run and its ``facts``, (name, value) in text."""
    models = [one for one in run.plan.models if not one.name.startswith(BASELINE_PREFIX)]
    titles = listed(target_title(target) for target in run.plan.targets)
    n_layers = sum(len(model.layers) for model in models)
    networks = "a network" if len(models) == 1 else f"{len(models)} networks"
    return {
        "question": f"Which layers of {networks} carry {titles}?",
        "facts": [
            fact
            for fact in (
                ("Corpus", _corpus(run)),
                ("Speakers", _speakers(run)),
                ("Layers", f"{n_layers} of {counted(len(models), 'model')}"),
                ("Probes", ", ".join(run.plan.probes)),
                ("Date", _date(run)),
                ("Duration", _duration(run)),
                ("Cells", _cells(run)),
            )
            if fact[1]
        ],
    }


def _corpus(run: Run) -> str:
    corpus = run.spec.corpus
    place = getattr(corpus, "root", None) or getattr(corpus, "path", None)
    name = "/".join(str(place).rstrip("/").split("/")[-2:]) if place else ""
    kind = "synthetic speech (espeak-ng)" if corpus.kind == "espeak" else corpus.kind
    return f"{kind}{': ' if name else ''}{name}, {counted(len(run.utterances), 'utterance')}"


def _speakers(run: Run) -> str:
    """All speakers, and how many of them are tested."""
    total = run.utterances["speaker_id"].nunique()
    tested = sorted({speakers.tested for speakers in run.tested_speakers.values()})
    if not tested or tested == [total]:
        return f"{total}, all tested"
    ends = f"{tested[0]}" if len(tested) == 1 else f"{tested[0]} to {tested[-1]}"
    return f"{total}, {ends} tested"


def _date(run: Run) -> str:
    sessions = run.provenance.get("runs", [])
    if not sessions:
        return ""
    started = datetime.fromisoformat(str(sessions[-1]["started"]))
    return f"{started.day} {started:%B %Y, %H:%M} UTC"


def _cells(run: Run) -> str:
    counts = Counter(record.status for record in run.records.values())
    left = run.plan.n_cells - counts.total()
    named = {"done": counts["done"], "failed": counts["failed"], "to do": left}
    return ", ".join(f"{n:,} {name}" for name, n in named.items() if n or name == "done")


def _duration(run: Run) -> str:
    """Time that the sessions of the run took, without their reports; empty if it is not known."""
    try:
        events, _ = readable_events(run.folder.events)
    except (OSError, DamagedFile):  # a report needs no events, and a copy of a run may lack them
        return ""
    seconds = sum(_seconds(session) for session in _sessions(events))
    if not seconds:
        return ""
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _sessions(events: list[Event]) -> list[list[Event]]:
    """The events of each session; one begins with its stage ``prepare``."""
    sessions: list[list[Event]] = []
    for event in events:
        if event["kind"] == "stage_started" and event["stage"] == "prepare":
            sessions.append([])
        if sessions:
            sessions[-1].append(event)
    return sessions


def _seconds(session: list[Event]) -> float:
    """Seconds until the report of a session; 0 if nothing was computed in it."""
    if not any(event["kind"] in ("shard_done", "cells_done", "compared") for event in session):
        return 0.0
    # An activity may be the first of the next session, which begins with its stage a moment later.
    after = ("run_finished", "activity")
    before = [e for e in session if e.get("stage") != "report" and e["kind"] not in after]
    times = [datetime.fromisoformat(before[at]["time"]) for at in (0, -1)]
    return (times[1] - times[0]).total_seconds()
