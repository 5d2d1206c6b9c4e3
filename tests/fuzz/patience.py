"""A limit on the time that one damaged input may take."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 60
"""Far more than any of them takes on a busy machine; a hang takes for ever."""


@contextmanager
def patience(what: str) -> Iterator[None]:
    """Fails the test when the block does not end."""

    def give_up(signal_number: int, frame: object) -> None:
        raise AssertionError(f"{what}: no answer in {SECONDS} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
