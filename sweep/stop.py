"""Stopping on Ctrl-C and SIGTERM: the first asks, the second forces."""

import os
import signal
from types import FrameType
from typing import Self

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
COMMAND_VARIABLE = "SWEEP_COMMAND"
"""Environment variable that tells a submitted driver the command to go on with."""


class StopSignal:
    """While entered, the first SIGINT or SIGTERM is remembered; a second ends the process at once.

    Enter it after Ray has started: ``ray.init`` installs a SIGTERM handler of its own.
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
