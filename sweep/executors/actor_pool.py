"""Who extracts what: the actors of a run, their nodes and their models. What is decided, not done.

Starting a process takes seconds, so an actor goes on with the next model; but on a GPU it ends with
its model, for only then is the memory free. While probes wait, half of the actors that hold CPUs
come to their end: layers are probed while other models are extracted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CALLS_PER_ACTOR = 2
"""Shards an actor holds at a time: one it works on, one it can start at once."""


@dataclass(eq=False)
class Actor:
    """An extraction actor, the model it holds, and how many shards of it."""

    handle: Any
    node: str
    model: str
    calls: int = 0
    proven: bool = False
    """It has finished a shard: before, nobody knows whether it starts at all."""
    retiring: bool = False
    """It gets no more shards, and ends with its last."""
    seconds: float = 0.0
    """That its last shard took."""


class Actors:
    """The actors that there are, and who gets the next shard.

    Args:
        start: starts an actor on a node.
        end: ends one, by its handle.
        on_gpus: each holds one model in its life.
    """

    def __init__(
        self, start: Callable[[str], Any], end: Callable[[Any], object], *, on_gpus: bool
    ) -> None:
        self._start = start
        self._end = end
        self._on_gpus = on_gpus
        self._actors: list[Actor] = []
        self._found: Mapping[str, int] = {}
        """Node → places that its resources make."""
        self._places: Mapping[str, int] = {}
        """Of these, those that memory suffices for."""
        self._most: dict[str, int] = {}
        """Model that ran out of memory → actors of a node there may be beside it."""
        self.probes_wait = False

    def __len__(self) -> int:
        return len(self._actors)

    @property
    def slots(self) -> int:
        """Actors that fit on the cluster at a time."""
        return sum(self._places.values())

    def set_places(self, places: Mapping[str, int]) -> None:
        """Node → actors it has room for; those on nodes that have none get no more."""
        self._found = {node: count for node, count in places.items() if count > 0}
        self._count_places()
        for actor in [actor for actor in self._active() if actor.node not in self._places]:
            self._retire(actor)

    def has_room(self, model: str) -> bool:
        """A free place at an actor, or for a new one."""
        return (
            self._free(model) is not None
            or self._roomiest(self._places) is not None
            or (self._on_gpus and self._idle() is not None)
        )

    def take(self, model: str) -> Actor:
        """Who gets the next shard of ``model``: an idle actor, else a new one while there is a
        place, else a busy one."""
        actor = self._free(model)
        if actor is None or actor.calls:
            idle = self._idle()  # on a GPU, of another model: it makes place
            if self._roomiest(self._places) is None and idle is not None:
                self._finish(idle)
            node = self._roomiest(self._places)
            actor = actor if node is None else self._new(model, node)
        assert actor is not None, "has_room told otherwise"
        actor.model = model
        actor.calls += 1
        return actor

    def take_elsewhere(self, slow: Actor) -> Actor | None:
        """Who takes a shard over from ``slow``, at once and on another node; None: nobody can."""
        idle = [
            actor
            for actor in self._active()
            if not actor.calls
            and actor.node != slow.node
            and not (self._on_gpus and actor.model != slow.model)
        ]
        actor = min(
            idle, key=lambda actor: (actor.model != slow.model, actor.seconds), default=None
        )
        if actor is None:
            node = self._roomiest(node for node in self._places if node != slow.node)
            actor = None if node is None else self._new(slow.model, node)
        if actor is not None:
            actor.model = slow.model
            actor.calls += 1
        return actor

    def came_back(self, actor: Actor, *, seconds: float | None = None, died: bool = False) -> None:
        """A shard came back, after ``seconds`` if it is done, or its process died with it."""
        actor.calls -= 1
        actor.proven = True
        actor.seconds = actor.seconds if seconds is None else seconds
        if died or (actor.retiring and not actor.calls):
            self._finish(actor)

    def drop(self, actor: Actor) -> None:
        """Another one was quicker with a shard that ``actor`` still has."""
        actor.calls -= 1
        self._retire(actor)

    def make_way(self) -> None:
        """Let as many come to their end as there are above the limit."""
        self._thin(self._active(), self._limit())

    def ran_out_of_memory(self, actor: Actor) -> None:
        """Until its model is done, a node has at most half as many as the one of ``actor`` had:
        they share its memory, and nothing with other nodes."""
        there = sum(other.node == actor.node for other in self._active())
        most = max(1, there // 2)
        self._most[actor.model] = min(most, self._most.get(actor.model, most))
        self._count_places()
        for node, places in self._places.items():
            self._thin([other for other in self._active() if other.node == node], places)
        self.make_way()

    def release(self, model: str, *, last: bool) -> None:
        """The model is done. End actors: all with ``last``; on GPUs those of the model."""
        if self._most.pop(model, None) is not None:
            self._count_places()
        for actor in list(self._actors):
            if last or (self._on_gpus and actor.model == model):
                self._finish(actor)

    def _count_places(self) -> None:
        most = min(self._most.values(), default=None)
        self._places = {
            node: count if most is None else min(count, most) for node, count in self._found.items()
        }

    def _limit(self) -> int:
        """Actors there may be: on CPUs, probes that are there to be run get half of the places."""
        slots = self.slots
        halved = self.probes_wait and not self._on_gpus
        return min(slots, max(1, slots // 2)) if halved else slots

    def _active(self) -> list[Actor]:
        return [actor for actor in self._actors if not actor.retiring]

    def _free(self, model: str) -> Actor | None:
        """The least busy actor that can take a shard of ``model``: it has the model, or nothing."""
        free = [
            actor
            for actor in self._active()
            if (actor.calls == 0 and not (self._on_gpus and actor.model != model))
            or (actor.model == model and actor.proven and actor.calls < CALLS_PER_ACTOR)
        ]
        return min(free, key=lambda actor: (actor.calls, actor.model != model), default=None)

    def _idle(self) -> Actor | None:
        """One without a shard whose end makes a place on its node."""
        room = self._room()
        idle = (actor for actor in self._active() if not actor.calls and room[actor.node] >= 0)
        return next(idle, None)

    def _roomiest(self, nodes: Iterable[str]) -> str | None:
        """Of ``nodes`` the one with the most free places; None: all are full, or there are as many
        actors as there may be. Those that come to their end have their places until then."""
        if len(self._active()) >= self._limit():
            return None
        room = self._room()
        node = max(nodes, key=room.__getitem__, default=None)
        return node if node is not None and room[node] > 0 else None

    def _room(self) -> dict[str, int]:
        """Node → places without an actor; fewer than none while some come to their end."""
        there = Counter(actor.node for actor in self._actors)
        return {node: count - there[node] for node, count in self._places.items()}

    def _new(self, model: str, node: str) -> Actor:
        self._actors.append(Actor(self._start(node), node, model))
        return self._actors[-1]

    def _thin(self, actors: Iterable[Actor], most: int) -> None:
        """Of ``actors``, let as many as are too many come to their end, the idle ones at once."""
        by_calls = sorted(actors, key=lambda actor: actor.calls)
        for actor in by_calls[: max(0, len(by_calls) - most)]:
            self._retire(actor)

    def _retire(self, actor: Actor) -> None:
        actor.retiring = True
        if actor.calls <= 0:
            self._finish(actor)

    def _finish(self, actor: Actor) -> None:
        if actor in self._actors:
            self._actors.remove(actor)
        self._end(actor.handle)
