"""Stopping on Ctrl-C and SIGTERM: the first asks, the second forces."""

import atexit
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
COMMAND_VARIABLE = "SWEEP_COMMAND"
"""Environment variable that tells a submitted driver the command to go on with."""


class StopSignal:
    """While entered, the first SIGINT or SIGTERM is remembered; a second ends the process at once.

    Nothing is raised: while a library starts processes, what a handler raises may be swallowed.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        for number in EXIT_CODES:
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(EXIT_CODES[self.received])
        self.received = signal.Signals(number)


class Terminated(KeyboardInterrupt):
    """SIGTERM where no ``StopSignal`` waits for it: it ends a run as Ctrl-C does."""


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """While entered, SIGTERM raises ``Terminated``: before the driver listens for it, and after."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is interrupt:
            signal.signal(signal.SIGTERM, before)


def end_with(code: int) -> None:
    """The work is over: from now on a signal hastens the end, and changes no exit code."""

    def at_once(number: int, frame: FrameType | None) -> None:
        os._exit(code)

    for number in EXIT_CODES:
        signal.signal(number, at_once)


_exit_now = False


def exit_at_once() -> None:
    """A library is stuck, and would keep the process from its end, or crash it there."""
    global _exit_now
    _exit_now = True


@contextmanager
def exit_at_once_if_asked() -> Iterator[None]:
    """After the block, end the process with its exit code, if ``exit_at_once`` was called."""
    try:
        yield
    except SystemExit as end:
        if _exit_now:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code if isinstance(end.code, int) else 1)
        raise


def ignore_signals_at_exit() -> None:
    """Ignore signals once everything that was registered after this is over: Python takes its own
    handlers away while it ends, and a signal would kill it with another exit code."""
    for number in EXIT_CODES:
        atexit.register(signal.signal, number, signal.SIG_IGN)
