import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len
from rich.console import Console

from sweep.progress.display import make_display
from sweep.progress.plain import PLAIN_MESSAGES
from sweep.progress.state import Progress
from sweep.progress.status import stage_line, status_lines
from sweep.progress.view import view
from sweep.progress.wording import clock, printable, rate_text

START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
HOSTILE = "evil [bold]\x1b[2J\r\n日本語 " + "x" * 90


def at(offset, kind, /, **fields):
    return {"time": (START + timedelta(seconds=offset)).isoformat(), "kind": kind, **fields}


def a_run(models=3, layers=5, name="model"):
    """The events of a run, ten of them a second."""
    names = [f"{name} {number}" for number in range(models)]
    totals = {"extract": models, "probe": models * layers * 2}
    yield at(0, "planned", run="demo", models=names, totals=totals, done={})
    yield at(0, "stage_started", stage="extract")
    yield at(0, "stage_started", stage="probe")
    offset = 0.0
    for model in names:
        offset += 0.1
        yield at(offset, "shard_done", model=model, shard=0, utterances=9, skipped=1, seconds=0.1)
        for layer in range(layers):
            offset += 0.1
            yield at(
                offset,
                "cells_done",
                model=model,
                layer=f"layer1.{layer}.simam",
                layer_index=layer,
                cells=2,
                failed=0,
                seconds=0.1,
                best={"probe": "ridge", "target": "cps", "r2": layer / 10},
            )
    yield at(offset, "stage_finished", stage="extract", seconds=offset)
    yield at(offset, "stage_finished", stage="probe", seconds=offset)
    yield at(offset, "run_finished", status="done", done=totals["probe"], failed=0, seconds=offset)


def shown(kind, events, stream=None):
    stream = stream or io.StringIO()
    with make_display(kind, stream) as display:
        for event in events:
            display(event)
    return stream.getvalue()


def test_a_stage_that_takes_long_has_lines_and_a_bar_while_it_lasts():
    def told(offset, done):
        return at(offset, "stage_progress", stage="prepare", what="x", done=done, total=40)

    events = [at(0, "stage_started", stage="prepare"), *(told(n, n) for n in range(1, 14))]
    assert shown("plain", events).splitlines() == [
        "[0:00] prepare started",
        "[0:01] prepare 1/40 · 1.0/s · ETA 0:39",
        "[0:06] prepare 6/40 · 1.0/s · ETA 0:34",
        "[0:11] prepare 11/40 · 1.0/s · ETA 0:29",
    ]
    progress = Progress()
    for event in events:
        progress.update(event)
    [line] = [line for line in drawn(progress, 80, 12) if line.startswith("prepare")]
    assert "13/40" in line
    ended = at(14, "stage_finished", stage="prepare", seconds=14)
    assert shown("plain", [*events, ended]).splitlines()[-1] == "[0:14] prepare done in 0:14"


def drawn(progress, width, height, now=START):
    """The live view as the lines a terminal would show."""
    console = Console(file=io.StringIO(), width=width, height=height + 1, force_terminal=True)
    console.print(view(progress, now, width, height))
    text = re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())
    return text.removesuffix("\n").split("\n")


def progress_after(events):
    progress = Progress()
    for event in events:
        progress.update(event)
    return progress


def test_json_lines_are_the_events():
    events = list(a_run())
    lines = shown("json", events).splitlines()
    assert [json.loads(line) for line in lines] == events


def test_nothing_is_shown_by_none():
    assert shown("none", a_run()) == ""


def test_without_a_terminal_the_default_is_plain():
    text = shown(None, a_run())
    assert text == shown("plain", a_run())
    assert "\x1b" not in text


def test_on_a_terminal_the_default_is_the_live_view():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    text = shown(None, a_run(), Terminal())
    assert "\x1b[" in text
    assert "layer1.4.simam" in text


def test_plain_lines_say_where_a_stage_is():
    events = [event for event in a_run(models=2) if event["kind"] != "stage_finished"]
    lines = shown("plain", events).splitlines()
    assert lines[0] == "[0:00] demo: 2 models"
    assert "[0:00] extract 1/2 · 10.0/s · ETA 0:00" in lines
    assert any(re.fullmatch(r"\[0:01\] probe 20/20 · \d+\.\d/s", line) for line in lines)


def test_plain_lines_are_few_and_the_last_unit_has_one():
    lines = shown("plain", a_run(models=100, layers=50)).splitlines()
    seconds = 510
    assert sum("· ETA" in line for line in lines) <= 2 * (seconds / 5 + 2)
    assert any("probe 10000/10000" in line for line in lines)


def test_plain_messages_are_few_but_their_number_is_told():
    warnings = [at(1, "warning", message=f"w{number}") for number in range(500)]
    events = list(a_run())
    text = shown("plain", [*events[:-1], *warnings, events[-1]])
    assert text.count("warning: w") == PLAIN_MESSAGES
    assert "more follow" in text
    assert "500 warnings, see events.jsonl" in text


def test_plain_text_cannot_steer_the_terminal():
    text = shown("plain", a_run(models=1, name=HOSTILE))
    assert "\x1b" not in text
    assert "\r" not in text
    assert all(line.startswith("[") for line in text.splitlines())


@pytest.mark.parametrize("models", [0, 1, 3, 100])
@pytest.mark.parametrize(("width", "height"), [(80, 23), (140, 39), (60, 8), (40, 5), (80, 1)])
def test_the_live_view_stays_within_the_terminal(models, width, height):
    events = list(a_run(models=models, name=HOSTILE))
    events += [at(9, "warning", message=HOSTILE)] * 5
    events += [at(9, "failure", stage="probe", model=HOSTILE, where="x", error=HOSTILE)] * 5
    progress = progress_after(events)
    lines = drawn(progress, width, height)
    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width
    assert not any(not c.isprintable() for line in lines for c in line)


def test_models_that_do_not_fit_are_counted_and_the_latest_are_shown():
    lines = drawn(progress_after(a_run(models=100)), 100, 23)
    rows = [line for line in lines if line.startswith("model ")]
    names = [line.split()[1] for line in rows if not line.startswith("model  ")]
    assert names == [str(number) for number in range(100 - len(names), 100)]
    assert any(f"… {100 - len(names)} more" in line for line in lines)


def test_the_live_view_shows_stages_and_best_layers():
    now = START + timedelta(seconds=1)
    events = list(a_run(models=2))[:9]
    text = "\n".join(drawn(progress_after(events), 100, 30, now))
    assert re.search(r"extract .* 1/2 +1\.0/s", text)
    assert re.search(r"probe .* 10/20 +10\.0/s", text)
    assert re.search(r"model 0 +probing 5 +▁.*█ +0\.400 layer1\.4\.simam", text)
    assert re.search(r"model 1 +waiting", text)


def test_status_lines_tell_failures():
    events = list(a_run(models=1))
    failure = at(1, "failure", stage="extract", model="model 0", where="shard 3", error="torn")
    progress = progress_after([*events[:-1], failure, events[-1]])
    lines = status_lines(progress, START)
    assert "FAILED: model 0: extraction, torn" in lines
    assert "1 utterance skipped" in lines
    assert any(re.fullmatch(r"extract 1/1 · .* · 1 failed", line) for line in lines)


def test_status_tells_what_probes_cost_beside_forward_passes():
    events = list(a_run(models=2))
    assert not any("forward" in line for line in status_lines(progress_after(events), START))
    events = [
        event | {"forward_seconds": 40.0} if event["kind"] == "shard_done" else event
        for event in events
    ]
    probes = sum(event["seconds"] for event in events if event["kind"] == "cells_done")
    expected = f"forward passes 80 s, fits of probes {probes:.0f} s: {probes / 80:.2f} of these"
    assert expected in status_lines(progress_after(events), START)


def test_a_stage_without_units_tells_its_state():
    progress = progress_after([at(0, "stage_started", stage="prepare")])
    stage = progress.stages["prepare"]
    assert stage_line(stage, START + timedelta(seconds=61)) == "prepare running 1:01"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (-1, "0:00"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")],
)
def test_clock(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(None, ""), (0.05, "3.0/min"), (3.14, "3.1/s"), (1234.5, "1234/s")]
)
def test_rates_are_told_in_a_unit_that_reads_well(rate, text):
    assert rate_text(rate) == text


def test_printable_keeps_letters_of_all_scripts():
    assert printable("é日本\t\x07x") == "é日本  x"


def with_accuracy(events):
    for event in events:
        if event["kind"] == "cells_done":
            found = {
                "probe": "logistic",
                "target": "sex",
                "accuracy": 0.5 + event["layer_index"] / 20,
            }
            event = event | {"best_accuracy": found}
        yield event


def test_the_best_accuracy_stands_beside_the_best_r2_or_in_its_place():
    both = progress_after(with_accuracy(a_run(models=1)))
    lines = status_lines(both, START)
    assert "model 0: best layer layer1.4.simam, R² 0.400 (ridge → cps)" in lines
    assert "model 0: best layer layer1.4.simam, accuracy 0.700 (logistic → sex)" in lines
    text = "\n".join(drawn(both, 120, 12))
    assert "R² by layer" in text and "accuracy by layer" in text
    assert "0.400" in text and "0.700" in text
    classes = ({**event, "best": None} if "best" in event else event for event in a_run(models=1))
    text = "\n".join(drawn(progress_after(with_accuracy(classes)), 100, 12))
    assert "accuracy by layer" in text and "0.700" in text and "R²" not in text
    assert "accuracy" not in "\n".join(drawn(progress_after(a_run(models=1)), 120, 12))
