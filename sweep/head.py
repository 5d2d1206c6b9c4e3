"""The head of a cluster: whether it is still there. Ray ends a process, without a word of why, that
asks a head which has been silent for a minute, and what asks it waits that long; so it is looked at
from aside, and left alone while it is silent."""

import logging
import socket
import time
from collections.abc import Callable, Iterable
from threading import Event, Thread

from sweep.preflight import ClusterError, Node

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks."""
CONNECT_SECONDS = 5.0
SILENT_SECONDS = 30.0
"""How long it may be silent."""
LAST_SECONDS = 50.0
"""Then it is too late for an orderly end: after 60 s Ray ends the process."""


class Head:
    """Looks at a head from a thread of its own, until it is closed.

    Args:
        address: HOST:PORT.
        ask: asks the head which nodes there are.
        last_word: called from that thread if the process still waits for an answer of the head
            shortly before Ray ends it.
    """

    def __init__(
        self,
        address: str,
        ask: Callable[[], Iterable[Node]],
        last_word: Callable[[str], object],
    ) -> None:
        host, _, port = address.rpartition(":")
        self._address = address
        self._place = host.strip("[]"), int(port)
        self._ask = ask
        self._last_word = last_word
        self._known = list(ask())
        self._silent_since: float | None = None
        self._closed = Event()
        self._thread = Thread(target=self._run, name="head", daemon=True)
        self._thread.start()

    @property
    def answers(self) -> bool:
        """Whether it did when it was looked at last."""
        return self._silent_since is None

    def nodes(self) -> list[Node]:
        """Those that are there; while the head is silent, those that were.

        Raises:
            ClusterError: it has been silent for too long.
        """
        since = self._silent_since
        if since is None:
            self._known = list(self._ask())
        elif time.monotonic() - since > SILENT_SECONDS:
            raise ClusterError(self._why(since))
        return self._known

    def close(self) -> None:
        """Look no more."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            try:
                socket.create_connection(self._place, timeout=CONNECT_SECONDS).close()
            except OSError as error:
                self._is_silent(error)
            else:
                self._silent_since = None

    def _is_silent(self, error: OSError) -> None:
        since = self._silent_since
        if since is None:
            log.warning("the head of the cluster does not answer: %s", error)
            self._silent_since = time.monotonic()
        elif time.monotonic() - since > LAST_SECONDS:
            self._last_word(self._why(since))

    def _why(self, since: float) -> str:
        return (
            f"the head of the cluster, {self._address}, has not answered for "
            f"{time.monotonic() - since:.0f} s. What is done is kept: start the cluster again and "
            "run the same command"
        )
