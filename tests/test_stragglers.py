from sweep.stragglers import Waits


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
