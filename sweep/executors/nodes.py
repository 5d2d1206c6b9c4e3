"""The nodes that receive jobs: those found fit, those that joined, and those that left.

A node that joins a running sweep is checked as all nodes were at the start, and only then receives
work. An unfit node is reported and not used.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from sweep.errors import ClusterError
from sweep.executors.preflight import Demand, Node, demand_problems

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Seconds between two looks at the nodes of the cluster."""
UNFIT_SECONDS = 300.0
"""Seconds until an unfit node is checked again: its storage may have been mounted since."""
LONELY_SECONDS = 600.0
"""Seconds that a run waits for a suitable node when none is left."""


class NodeQuery(Protocol):
    """A pending check of a node."""

    def troubles(self) -> list[str] | None:
        """Return why the node cannot be used, empty if it can; None: it has not answered yet."""

    def close(self) -> None:
        """Drop the check."""


class NodePool:
    """Cluster nodes that may receive work.

    Args:
        nodes: nodes that were found fit.
        look: returns the current nodes; None: nodes neither join nor leave.
        ask: starts the check of a node that joined.
        fits: whether a node has room for any job at all.
        warn: called with a message for the user.
        clock: seconds.
        answers: whether the cluster takes jobs now.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        look: Callable[[], Iterable[Node]] | None = None,
        ask: Callable[[Node], NodeQuery] | None = None,
        fits: Callable[[Node], bool] = lambda node: True,
        warn: Callable[[str], object] = print,
        clock: Callable[[], float] = time.monotonic,
        answers: Callable[[], bool] = lambda: True,
    ) -> None:
        self.usable = {node.id: node for node in nodes}
        self._look = look
        self._ask = ask
        self._fits = fits
        self._answers = answers
        self._warn = warn
        self._clock = clock
        self._looked = clock()
        self._asked: dict[str, NodeQuery] = {}
        self._unfit: dict[str, float] = {}
        """Unfit nodes, and when they were found unfit."""
        self._told: dict[str, list[str]] = {}
        """Reasons already reported, so that each is reported once."""
        self._missing_since: dict[str, float] = {}

    @property
    def changes(self) -> bool:
        """Return whether nodes may join and leave."""
        return self._look is not None

    @property
    def answers(self) -> bool:
        """Return whether the cluster takes jobs now; otherwise a submission may block for a minute,
        after which Ray ends the process."""
        return self._answers()

    def with_place(self, demand: Demand) -> frozenset[str]:
        """Ids of the nodes that have room for such a job."""
        nodes = self.usable.items()
        return frozenset(name for name, node in nodes if demand.places(node.resources))

    def whole_node(self, demand: Demand) -> Demand:
        """Return all CPUs and, if memory is requested, all memory of the smallest node with room
        for such a job: a job that holds these has an exclusive node."""
        fit = [self.usable[name].resources for name in self.with_place(demand)]
        least = min(fit, key=lambda resources: (resources["CPU"], resources.get("memory", 0.0)))
        memory = int(least["memory"]) if demand.memory else 0
        return replace(demand, cpus=int(least["CPU"]), memory=memory)

    def refresh(self) -> bool:
        """Update the nodes, not too often; return whether the usable ones changed."""
        if self._look is None or self._clock() - self._looked < LOOK_SECONDS:
            return False
        before = set(self.usable)
        there = {node.id: node for node in self._look()}
        for node_id in before - there.keys():
            self._warn(f"{self.usable.pop(node_id).name} is gone: others do its work")
        for node_id in self._asked.keys() - there.keys():
            self._asked.pop(node_id).close()
        for node_id in self._unfit.keys() - there.keys():
            del self._unfit[node_id], self._told[node_id]
        for node in there.values():
            self._meet(node)
        self._looked = self._clock()
        return before != set(self.usable)

    def missing(self, demand: Demand) -> None:
        """Note that no node has a place for such a job, and wait for one."""
        if demand.key not in self._missing_since:
            self._missing_since[demand.key] = self._clock()
            self._warn(
                f"no node is left that can go on, the run waits {_minutes()} for one: "
                f"{self._problems(demand)}"
            )

    def give_up(self, demand: Demand) -> None:
        """Fail if only such jobs remain and no node joined within the time limit.

        Raises:
            ClusterError: none came.
        """
        since = self._missing_since.get(demand.key)
        if since is not None and self._clock() - since >= LONELY_SECONDS:
            raise ClusterError(
                f"for {_minutes()} no node had room for what is left to do. What is done is kept: "
                f"run again when there is one. {self._problems(demand)}"
            )

    def found(self, demand: Demand) -> None:
        """Note that there is a place for such a job."""
        self._missing_since.pop(demand.key, None)

    def close(self) -> None:
        """Drop the checks of nodes that have not answered."""
        for asked in self._asked.values():
            asked.close()
        self._asked.clear()

    def _problems(self, demand: Demand) -> str:
        return " ".join(demand_problems(list(self.usable.values()), demand))

    def _meet(self, node: Node) -> None:
        """Admit a node if its check is done and found it fit."""
        found_unfit = self._unfit.get(node.id, -math.inf)
        waits = self._clock() - found_unfit < UNFIT_SECONDS
        if node.id in self.usable or waits or not self._fits(node):
            return
        if node.id not in self._asked:
            assert self._ask is not None
            try:
                self._asked[node.id] = self._ask(node)
            except (ClusterError, OSError) as error:  # no storage now; asked at the next look
                log.warning("%s joined and cannot be asked yet: %s", node.name, error)
                return
        troubles = self._asked[node.id].troubles()
        if troubles is None:
            return
        self._asked.pop(node.id).close()
        if troubles:
            self._unfit[node.id] = self._clock()
            if troubles != self._told.get(node.id):
                self._warn(f"{node.name} joined and gets NO WORK: {'; '.join(troubles)}")
            self._told[node.id] = troubles
        else:
            self._unfit.pop(node.id, None)
            self._told.pop(node.id, None)
            self.usable[node.id] = node
            self._warn(f"{node.name} joined and gets work")


def _minutes() -> str:
    return f"{LONELY_SECONDS / 60:g} minutes"
