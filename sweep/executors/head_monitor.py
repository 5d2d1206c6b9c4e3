"""The head of a cluster: whether it is still there, and which nodes it knows.

What asks a head that is gone waits for a minute, and then Ray ends the process without a word of
why. So a thread asks, the others read what it heard last, and nothing is sent to a silent head.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable
from threading import Event, Thread

from sweep.errors import ClusterError
from sweep.executors.preflight import Node

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""Between two looks."""
CONNECT_SECONDS = 5.0
RAY_SECONDS = float(os.environ.get("RAY_gcs_rpc_server_reconnect_timeout_s", "60"))  # noqa: SIM112
"""After which Ray ends the process; more where a head may be started again under a run."""
SILENT_SECONDS = RAY_SECONDS / 2
"""How long it may be silent."""


class Head:
    """Asks a head, from a thread of its own, until it is closed.

    Args:
        address: HOST:PORT.
        ask: asks the head which nodes there are; an OSError if it gets no answer.
    """

    def __init__(self, address: str, ask: Callable[[], Iterable[Node]]) -> None:
        host, _, port = address.rpartition(":")
        self._address = address
        self._place = host.strip("[]"), int(port)
        self._ask = ask
        self._known = list(ask())
        self._asked: float | None = None
        """Since when a question has no answer. Between two questions there is none: a process that
        was stopped for a while has not found its head silent."""
        self._refused = False
        self._closed = Event()
        self._thread = Thread(target=self._run, name="head", daemon=True)
        self._thread.start()

    @property
    def answers(self) -> bool:
        """Whether it did of late: what is sent to it will arrive."""
        return not self._refused and self._silence < 2 * CONNECT_SECONDS

    def nodes(self) -> list[Node]:
        """Those that are there; while the head is silent, those that were.

        Raises:
            ClusterError: it has been silent for too long.
        """
        if self._silence > SILENT_SECONDS:
            raise ClusterError(
                f"the head of the cluster, {self._address}, has not answered for "
                f"{self._silence:.0f} s. What is done is kept: start the cluster again and run the "
                "same command"
            )
        return self._known

    def close(self) -> None:
        """Ask no more; a question that is not answered is not waited for."""
        self._closed.set()
        self._thread.join(timeout=0 if self._refused else CONNECT_SECONDS)

    @property
    def _silence(self) -> float:
        asked = self._asked
        return 0.0 if asked is None else time.monotonic() - asked

    def _run(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            self._asked = self._asked or time.monotonic()
            try:
                # A closed port tells at once what Ray would wait for.
                socket.create_connection(self._place, timeout=CONNECT_SECONDS).close()
                self._known = list(self._ask())
            except OSError as error:
                if not self._refused:
                    log.warning("the head of the cluster does not answer: %s", error)
                self._refused = True
            else:
                self._refused = False
                self._asked = None
