from sweep.executors.stragglers import Line, Waits


def test_a_shard_is_late_when_it_takes_three_times_what_half_of_its_model_took() -> None:
    waits = Waits()
    for seconds in (1.0, 2.0, 100.0):
        waits.add("m", seconds)
    assert not waits.is_late("m", 6.0)
    assert waits.is_late("m", 6.1)


def test_half_of_an_even_number_lies_between_two() -> None:
    waits = Waits()
    for seconds in (4.0, 1.0, 50.0, 2.0):
        waits.add("m", seconds)
    assert not waits.is_late("m", 9.0)
    assert waits.is_late("m", 9.1)


def test_nothing_is_late_while_little_is_known_of_its_model() -> None:
    waits = Waits()
    for _ in range(2):
        waits.add("m", 1.0)
    assert not waits.is_late("m", 1e9)
    assert not waits.is_late("other", 1e9)
    waits.add("m", 1.0)
    assert waits.is_late("m", 1e9)
    waits.forget("m")
    assert not waits.is_late("m", 1e9)


def test_what_takes_ten_times_as_long_as_half_of_its_kind_is_stuck_after_ten_minutes() -> None:
    waits = Waits()
    for seconds in (1.0, 2.0, 3.0):
        waits.add("quick", seconds)
        waits.add("slow", 100 * seconds)
    assert [waits.is_stuck("quick", seconds) for seconds in (600.0, 601.0)] == [False, True]
    assert [waits.is_stuck("slow", seconds) for seconds in (2000.0, 2001.0)] == [False, True]
    assert [waits.is_stuck("unknown", seconds) for seconds in (1800.0, 1801.0)] == [False, True]
    described = waits.describe("quick", 660.0)
    assert described == "has not come back for 11 minutes, where half of the quick took 2 s"
    assert waits.describe("unknown", 1860.0) == "has not come back for 31 minutes"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_only_nodes_that_return_tasks_in_time_may_help() -> None:
    waits = Waits()
    for now in (1.0, 2.0, 3.0):
        waits.note("fast", "a", 10.0, now)
    waits.note("slow", "a", 40.0, 4.0)
    waits.note("new", "a", None, 5.0)
    assert waits.nodes_in_time(["fast", "slow", "new", "unknown"], since=2.5) == {"fast", "new"}
    assert waits.nodes_in_time(["fast", "new"], since=3.0) == {"new"}


def test_tasks_begin_in_the_order_they_were_sent_in_as_places_come_free() -> None:
    clock = Clock()
    line = Line(clock)
    line.set_places(2)
    for task in "abcd":
        line.join(task)
    assert [line.begun(task) for task in "abcd"] == [0.0, 0.0, None, None]
    clock.now = 5.0
    assert line.leave("b") == 5.0
    assert [line.begun(task) for task in "acd"] == [0.0, 5.0, None]
    assert line.leave("d") is None  # it was given up, or Ray had another order
    clock.now = 7.0
    assert not line.has_place
    assert line.leave("c") == 2.0
    assert line.has_place
    assert len(line) == 1


def test_more_places_let_tasks_begin_and_fewer_end_none() -> None:
    clock = Clock()
    line = Line(clock)
    for task in "abc":
        line.join(task)
    assert not line.has_place
    clock.now = 3.0
    line.set_places(2)
    assert [line.begun(task) for task in "abc"] == [3.0, 3.0, None]
    line.set_places(1)
    line.leave("a")
    assert [line.begun(task) for task in "bc"] == [3.0, None]
