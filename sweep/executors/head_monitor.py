"""Monitor of a cluster's head: whether it responds, and which nodes it lists.

A request to a dead head blocks for a minute, and then Ray ends the process without an explanation.
Therefore a thread polls the head, others read its last answer, and nothing is sent to a head that
does not respond.
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
"""Seconds between two polls."""
CONNECT_SECONDS = 5.0
RAY_SECONDS = float(os.environ.get("RAY_gcs_rpc_server_reconnect_timeout_s", "60"))  # noqa: SIM112
"""Seconds after which Ray ends the process; more if a head may be restarted during a run."""
SILENT_SECONDS = RAY_SECONDS / 2
"""Seconds without a response after which the run ends."""


class Head:
    """Polls a head from its own thread until closed.

    Args:
        address: HOST:PORT.
        ask: asks the head for its nodes; raises OSError if it gets no answer.
    """

    def __init__(self, address: str, ask: Callable[[], Iterable[Node]]) -> None:
        host, _, port = address.rpartition(":")
        self._address = address
        self._place = host.strip("[]"), int(port)
        self._ask = ask
        self._known = list(ask())
        self._asked: float | None = None
        """Time of an unanswered poll; None between polls, so that a process that was suspended does
        not take its head for dead."""
        self._refused = False
        self._closed = Event()
        self._thread = Thread(target=self._run, name="head", daemon=True)
        self._thread.start()

    @property
    def answers(self) -> bool:
        """Return whether the head answered recently, so that requests will arrive."""
        return not self._refused and self._silence < 2 * CONNECT_SECONDS

    def nodes(self) -> list[Node]:
        """Return the nodes of the last answer.

        Raises:
            ClusterError: the head has not answered for too long.
        """
        if self._silence > SILENT_SECONDS:
            raise ClusterError(
                f"the head of the cluster, {self._address}, has not answered for "
                f"{self._silence:.0f} s. What is done is kept: start the cluster again and run the "
                "same command"
            )
        return self._known

    def close(self) -> None:
        """Stop polling, without waiting for an unanswered poll."""
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
                # A closed port fails at once, where Ray would wait.
                socket.create_connection(self._place, timeout=CONNECT_SECONDS).close()
                self._known = list(self._ask())
            except OSError as error:
                if not self._refused:
                    log.warning("the head of the cluster does not answer: %s", error)
                self._refused = True
            else:
                self._refused = False
                self._asked = None
