"""The top of the page, against runs whose facts are known."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pandas as pd
import pytest

from jobs.protocol import folds
from sweep.report.page_data.facts import facts
from sweep.state.run_folder import RunFolder

START = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)


@pytest.fixture
def run(tmp_path):
    """A run of one network with three layers, 30 cells, and six speakers, all tested."""
    layers = [SimpleNamespace(name=name) for name in ("a", "b", "c")]
    models = [
        SimpleNamespace(name="net", layers=layers),
        SimpleNamespace(name="baseline:fbank", layers=layers[:1]),
    ]
    speakers = [f"s{n % 6}" for n in range(12)]
    records = {n: SimpleNamespace(status="done" if n < 20 else "failed") for n in range(23)}
    return SimpleNamespace(
        plan=SimpleNamespace(
            models=models, targets=("cps", "mood"), probes={"ridge": 0, "knn": 0}, n_cells=30
        ),
        spec=SimpleNamespace(corpus=SimpleNamespace(kind="csv", path="/data/mine/clips.csv")),
        utterances=pd.DataFrame({"speaker_id": speakers}),
        tested_speakers={"cps": folds.TestedSpeakers(6, 0), "mood": folds.TestedSpeakers(6, 0)},
        provenance={"runs": [{"started": "2025-01-01T00:00:00"}, {"started": START.isoformat()}]},
        records=records,
        folder=RunFolder(tmp_path),
    )


def write_events(run, *events):
    """Write events: seconds after the start, kind, fields."""
    lines = [
        json.dumps({"time": (START + timedelta(seconds=at)).isoformat(), "kind": kind, **fields})
        for at, kind, fields in events
    ]
    run.folder.events.write_text("".join(f"{line}\n" for line in lines))


def shard(at):
    fields = {"model": "net", "shard": 0, "utterances": 1, "skipped": 0, "seconds": 1.0}
    return (at, "shard_done", fields)


def stage(at, name, kind="stage_started"):
    more = {"seconds": 1.0} if kind == "stage_finished" else {}
    return (at, kind, {"stage": name, **more})


def test_the_question_names_targets_and_networks_but_no_baselines(run):
    found = facts(run)
    assert found["question"] == "Which layers of a network carry speech rate and mood?"
    assert dict(found["facts"]) == {
        "Corpus": "csv: mine/clips.csv, 12 utterances",
        "Speakers": "6, all tested",
        "Layers": "3 of 1 model",
        "Probes": "ridge, knn",
        "Date": "4 March 2026, 09:30 UTC",
        "Cells": "20 done, 3 failed, 7 to do",
    }


def test_speakers_that_differ_between_targets_are_a_range(run):
    run.tested_speakers = {"cps": folds.TestedSpeakers(2, 0), "mood": folds.TestedSpeakers(5, 0)}
    assert dict(facts(run)["facts"])["Speakers"] == "6, 2 to 5 tested"
    run.tested_speakers = {"cps": folds.TestedSpeakers(2, 0)}
    assert dict(facts(run)["facts"])["Speakers"] == "6, 2 tested"


def test_the_duration_is_that_of_all_sessions_until_their_reports(run):
    ended = {"status": "done", "done": 1, "failed": 0, "seconds": 1.0}
    first = (stage(0, "prepare"), shard(100), stage(110, "report"), (500, "run_finished", ended))
    starts = (999, "activity", {"message": "loading torch"})
    idle = (starts, stage(1000, "prepare"), stage(1500, "report"), (1600, "run_finished", ended))
    second = (stage(2000, "prepare"), shard(5000))
    write_events(run, *first)
    assert dict(facts(run)["facts"])["Duration"] == "1 min 40 s"
    write_events(run, *first, *idle, *second)  # nothing was computed in the one between
    assert dict(facts(run)["facts"])["Duration"] == "51 min 40 s"
    write_events(run, stage(0, "prepare"), shard(2 * 3600 + 240))
    assert dict(facts(run)["facts"])["Duration"] == "2 h 4 min"


def test_a_run_that_lacks_its_events_has_no_duration(run):
    assert "Duration" not in dict(facts(run)["facts"])
    run.folder.events.mkdir()
    assert "Duration" not in dict(facts(run)["facts"])
    run.folder.events.rmdir()
    write_events(run, stage(0, "prepare"), stage(9, "report"))  # nothing to do
    assert "Duration" not in dict(facts(run)["facts"])
