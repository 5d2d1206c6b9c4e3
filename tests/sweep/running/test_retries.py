import errno
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from jobs.activations.manifest import CorruptShard
from jobs.storage.object_store import StorageError
from sweep.errors import pattern
from sweep.running.attempts import Attempts
from sweep.running.circuit_breaker import CircuitBreaker
from sweep.state.retry_policy import LONGEST_WAIT, POLICIES, cause_of, may_try_again, wait_seconds


def torch_without_memory():
    """What torch raises where the machine has no such amount."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk"),
        (OSError(errno.EIO, "Input/output error"), "io"),
        (StorageError("s3://bucket/x: EndpointConnectionError: no answer"), "io"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "io"),
        (MemoryError(), "memory"),
        (np._core._exceptions._ArrayMemoryError((10**9,), np.dtype("f8")), "memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "memory"),
        (torch_without_memory(), "memory"),
        (CorruptShard(Path("x"), 0, "damaged"), "corrupt"),
        (ValueError("a probe's own mistake"), "code"),
        (None, "code"),
    ],
)
def test_errors_have_their_cause(error, cause):
    assert cause_of(error) == cause


def test_what_would_happen_again_is_not_tried_again():
    assert not may_try_again("code", 1)


@pytest.mark.parametrize("cause", ["died", "timeout", "memory", "corrupt"])
def test_what_may_pass_is_tried_three_times(cause):
    assert [may_try_again(cause, n) for n in (1, 2, 3)] == [True, True, False]


def test_a_storage_is_given_more_than_a_minute_to_recover():
    waits = [
        wait_seconds("io", n)
        for n in itertools.takewhile(lambda n: may_try_again("io", n), itertools.count(1))
    ]
    assert waits == [1, 4, 16, 60]


def test_waits_grow_and_are_bounded():
    for cause in POLICIES:
        waits = [wait_seconds(cause, n) for n in range(1, 10)]
        assert waits == sorted(waits)
        assert max(waits) <= LONGEST_WAIT


def test_a_full_disk_uses_up_no_attempt():
    assert may_try_again("disk", 1000)
    assert wait_seconds("disk", 1000) == 0


def test_reasons_are_alike_whatever_values_they_name():
    one = "ValueError: layer 'stem' has shape (70, 16), expected 1.5e-3 (probe.py:12, in fit)"
    other = "ValueError: layer 'layer1.0' has shape (9, 128), expected -2 (probe.py:12, in fit)"
    assert pattern(one) == pattern(other)
    assert pattern(one) != pattern(one.replace("ValueError", "TypeError"))


def test_attempts_are_counted_and_waited_for_and_told_of():
    told, now = [], [0.0]
    attempts = Attempts(lambda *what: told.append(what), lambda: now[0])
    assert attempts.is_due("a / stem")
    assert attempts.again("a / stem", "died", "killed")
    assert not attempts.is_due("a / stem")
    assert attempts.is_due("b / stem")
    now[0] = 1.0
    assert attempts.is_due("a / stem")
    assert attempts.again("a / stem", "memory", "too large")
    assert attempts.is_alone("a / stem")
    assert not attempts.is_alone("b / stem")
    now[0] = 4.9
    assert not attempts.is_due("a / stem")
    assert not attempts.again("a / stem", "died", "killed")
    assert told == [("a / stem", 2, "killed"), ("a / stem", 3, "too large")]


def test_a_full_disk_is_no_attempt():
    attempts = Attempts(lambda *what: pytest.fail("told of"))
    assert all(attempts.again("a", "disk", "full") for _ in range(100))
    assert attempts.is_due("a")


@pytest.fixture
def reports():
    return []


def failures(breaker, models, reason="ValueError: {} is wrong"):
    """Whether the run is stopped, after each failure."""
    seen = []
    for n, model in enumerate(models):
        breaker.failed(model, reason.format(n))
        seen.append(breaker.is_open)
    return seen


def test_first_failures_with_the_same_error_stop_the_run_which_is_reported_once(reports):
    breaker = CircuitBreaker(3, 2, reports.append)
    assert failures(breaker, "aabb") == [False, False, True, True]
    [report] = reports
    assert "the first 3 layers or models" in report
    assert "ValueError: 2 is wrong" in report


def test_one_broken_model_does_not_stop_the_others(reports):
    breaker = CircuitBreaker(3, 2, reports.append)
    assert not any(failures(breaker, "a" * 50))
    assert failures(breaker, "b") == [True]


def test_the_only_model_may_stop_the_run(reports):
    assert failures(CircuitBreaker(2, 1, reports.append), "aa") == [False, True]


def test_after_a_success_or_another_error_failures_do_not_stop_the_run(reports):
    breaker = CircuitBreaker(3, 1, reports.append)
    breaker.succeeded()
    assert not any(failures(breaker, "a" * 50))
    breaker = CircuitBreaker(3, 1, reports.append)
    breaker.failed("a", "KeyError: 'x'")
    assert not any(failures(breaker, "a" * 50))
    assert reports == []


def test_without_a_limit_nothing_stops_the_run(reports):
    assert not any(failures(CircuitBreaker(None, 1, reports.append), "a" * 50))
