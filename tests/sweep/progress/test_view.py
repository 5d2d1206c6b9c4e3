"""The live view as a pure function of a state: whole at 80, wide at 200, plain without colour."""

import io
import re
from datetime import timedelta

import pytest
from rich.cells import cell_len
from rich.console import Console

from sweep.progress.estimate import time_left
from sweep.progress.sparkline import UNKNOWN, bar, sparkline
from sweep.progress.view import view
from tests.support.live_states import LAYERS, START, at, begin, failing, running, state

SIZES = [(80, 24), (120, 40), (200, 50)]


def drawn(progress, seconds, size, **options):
    """The view as a terminal without colour shows it."""
    width, height = size
    console = Console(file=io.StringIO(), width=width, height=height)
    now = progress.moment(START + timedelta(seconds=seconds))
    console.print(view(progress, now, width, height - 1, **options))
    return console.file.getvalue()


def line_of(text, model):
    [line] = [line for line in text.splitlines() if re.match(rf"{re.escape(model)}  ", line)]
    return line


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("seconds", [1, 21, 28, 31, 60, 90, 160, 300])
def test_the_view_is_whole_at_any_moment(size, seconds):
    text = drawn(state(running(), seconds), seconds, size)
    lines = text.splitlines()
    assert len(lines) < size[1]
    assert max(map(cell_len, lines)) <= size[0]
    assert "…" not in text


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_failing_run_shows_the_cause_once_with_its_place_and_the_retry(size):
    text = drawn(state(failing()), 66, size)
    assert len(text.splitlines()) < size[1]
    [cause] = [line for line in text.splitlines() if line.startswith("bad: ")]
    assert cause.startswith("bad: 51 layers, RuntimeError: mat1")
    assert cause.endswith(" at my_model.py:5 in forward")
    assert "failed" in line_of(text, "bad")
    assert "loading" in line_of(text, "voice encoder")
    assert "extract " in text and "15/30 " in text  # none of its 15 shards is waited for
    assert "retry: voice encoder / shard 3: attempt 2: ActorDiedError" in text


def test_a_model_passes_through_its_states():
    model = "SimAM-ResNet34 untrained"
    moments = (28, 88.6, 91, 96.5, 129.5, 160)
    states = [state(running(), seconds).models[model].state_text for seconds in moments]
    assert states == [
        "waiting", "loading", "extracting 5/15", "probing 0/51", "probing 33/51", "done",
    ]  # fmt: skip


def test_the_sparkline_grows_as_layers_finish():
    lines = [line_of(drawn(state(running(), s), s, (80, 24)), "SimAM-ResNet34") for s in (45, 70)]
    done = [len(re.findall("[▁▂▃▄▅▆▇█]", line)) for line in lines]
    assert 0 < done[0] < done[1]
    assert all(UNKNOWN in line for line in lines)


def test_a_wide_terminal_shows_more_targets():
    shown = [drawn(state(running(), 90), 90, size).count(" by layer") for size in SIZES]
    assert shown == sorted(shown)
    assert shown[0] == 1
    assert shown[2] == 4


def test_what_begins_is_shown_with_the_seconds_since():
    text = drawn(state(begin(LAYERS)), 28, (80, 24))
    assert "0:03 starting Ray on this machine" in text
    text = drawn(state(begin(LAYERS), 21), 23, (80, 24))
    assert "0:03 speaking for voices" in text
    assert "30/60" in text


def test_nodes_workers_processors_memory_and_gpus_are_in_the_footer():
    *_, last = drawn(state(running(nodes=2), 90), 90, (120, 40)).splitlines()
    assert last == "2 nodes · 4 jobs/8 workers · CPU 14.5/16 · memory 22.0/62.0 GiB · GPU 2/2 87%"


def test_in_ascii_the_view_says_the_same():
    progress = state(running(), 90)
    text = drawn(progress, 90, (120, 40), ascii_only=True)
    assert text.isascii()
    assert len(text.splitlines()) == len(drawn(progress, 90, (120, 40)).splitlines())
    assert re.search(r"SimAM-ResNet34 +done +=+ +[1-8]{12,} +0\.950", text)


@pytest.mark.parametrize("size", [(20, 3), (40, 10), (60, 9), (80, 2), (5, 24)], ids=str)
def test_a_tiny_terminal_is_not_scrolled(size):
    lines = drawn(state(failing()), 66, size).splitlines()
    assert len(lines) < max(size[1], 2)
    assert max(map(cell_len, lines)) <= size[0]


def test_layers_share_columns_where_there_are_more_of_them():
    scores = {n: n / 10 for n in range(10)}
    assert sparkline(scores, range(10), 20, 0.9) == "▁▁▂▃▄▅▆▇██"
    assert sparkline(scores, range(10), 5, 0.9) == "▁▃▅▇█"
    assert sparkline({0: 0.5, 9: -3.0}, range(10), 5, 0.5) == "█···▁"
    assert sparkline({0: float("nan")}, range(1), 5, 0.5) == "▁"
    assert sparkline({}, (), 5, 1.0) == ""


def test_only_what_is_done_fills_a_bar():
    assert [len(bar(share, 8)[0]) for share in (-1, 0, 0.5, 0.999, 1, 2)] == [0, 0, 4, 7, 8, 8]
    assert all(cell_len("".join(bar(share, 8))) == 8 for share in (0, 0.3, 1))


def test_the_time_left_follows_from_measured_durations_and_jobs_at_a_time():
    models = {"a": 10, "b": 10}
    assert time_left(state(begin(models)), START + timedelta(seconds=29)) is None
    # 15 shards of 0.9 s in 7.5 s: 1.8 at a time; 15 more are left, and 20 layers of unknown cost.
    early = time_left(state(running(models), 37.5), START + timedelta(seconds=37.5))
    assert early.seconds == pytest.approx(15 * 0.9 / (15 * 0.9 / 7.9), rel=0.01)
    assert not early.complete
    # 5 layers of 1.5 s more: 21 s of work in 12.9 s; 15 shards and 15 layers are left.
    later = time_left(state(running(models), 42.5), START + timedelta(seconds=42.5))
    assert later.complete
    assert later.seconds == pytest.approx((15 * 0.9 + 15 * 1.5) / (21 / 12.9), rel=0.01)
    assert time_left(state(running(models)), START + timedelta(seconds=99)) is None


def test_a_model_that_failed_is_not_waited_for():
    progress = state(running({"a": 10, "b": 10}), 40)
    before = time_left(progress, START + timedelta(seconds=40))
    progress.update(at(40, "failure", stage="extract", model="b", where="shard 0", error="no"))
    after = time_left(progress, START + timedelta(seconds=40))
    assert after.seconds < before.seconds
