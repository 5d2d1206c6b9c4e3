"""Assignment of shards to extraction actors; only decisions, no calls to Ray.

Starting a process takes seconds, so an actor continues with the next model; but on a GPU it ends
with its model, as only then its memory is freed. While probes wait, half of the actors that hold
CPUs are retired, so that layers are probed while other models are extracted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CALLS_PER_ACTOR = 2
"""Number of shards that an actor holds: the current one, and the next."""


@dataclass(eq=False)
class Actor:
    """An extraction actor, the model it holds, and how many shards of it."""

    handle: Any
    node: str
    model: str
    calls: int = 0
    proven: bool = False
    """True once it has finished a shard; before, it may not have started at all."""
    retiring: bool = False
    """True if it gets no more shards, and ends with its last."""
    seconds: float = 0.0
    """Seconds that its last shard took."""


class Actors:
    """The pool of extraction actors, which chooses one for each shard.

    Args:
        start: starts an actor on a node.
        end: ends an actor, by its handle.
        on_gpus: whether actors own GPUs; each then loads only one model.
    """

    def __init__(
        self, start: Callable[[str], Any], end: Callable[[Any], object], *, on_gpus: bool
    ) -> None:
        self._start = start
        self._end = end
        self._on_gpus = on_gpus
        self._actors: list[Actor] = []
        self._found: Mapping[str, int] = {}
        """Number of places by node, from its resources."""
        self._places: Mapping[str, int] = {}
        """Number of places by node that its memory suffices for."""
        self._most: dict[str, int] = {}
        """Limit of actors per node, by model that ran out of memory."""
        self.probes_wait = False

    def __len__(self) -> int:
        return len(self._actors)

    @property
    def slots(self) -> int:
        """Number of actors that fit on the cluster at a time."""
        return sum(self._places.values())

    def set_places(self, places: Mapping[str, int]) -> None:
        """Set the number of places of every node; actors on nodes without places get no more
        shards."""
        self._found = {node: count for node, count in places.items() if count > 0}
        self._count_places()
        for actor in [actor for actor in self._active() if actor.node not in self._places]:
            self._retire(actor)

    def has_room(self, model: str) -> bool:
        """Return whether an actor, or a place for a new one, is free."""
        return (
            self._free(model) is not None
            or self._roomiest(self._places) is not None
            or (self._on_gpus and self._idle() is not None)
        )

    def take(self, model: str) -> Actor:
        """Choose an actor for the next shard of ``model``: an idle one, else a new one if there is
        a place, else a busy one."""
        actor = self._free(model)
        if actor is None or actor.calls:
            idle = self._idle()  # on a GPU, with another model: frees its place
            if self._roomiest(self._places) is None and idle is not None:
                self._finish(idle)
            node = self._roomiest(self._places)
            actor = actor if node is None else self._new(model, node)
        assert actor is not None, "has_room said otherwise"
        actor.model = model
        actor.calls += 1
        return actor

    def take_elsewhere(self, slow: Actor) -> Actor | None:
        """Choose a free actor on another node for a copy of a shard of ``slow``; None if there is
        none."""
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
        """Note that a shard returned: done after ``seconds``, or lost with its process."""
        actor.calls -= 1
        actor.proven = True
        actor.seconds = actor.seconds if seconds is None else seconds
        if died or (actor.retiring and not actor.calls):
            self._finish(actor)

    def drop(self, actor: Actor) -> None:
        """Note that another actor finished a shard that ``actor`` still has."""
        actor.calls -= 1
        self._retire(actor)

    def make_way(self) -> None:
        """Retire the actors in excess of the limit."""
        self._thin(self._active(), self._limit())

    def ran_out_of_memory(self, actor: Actor) -> None:
        """Halve the limit of actors per node, from the number on the node of ``actor``, until its
        model is done: actors on a node share its memory."""
        there = sum(other.node == actor.node for other in self._active())
        most = max(1, there // 2)
        self._most[actor.model] = min(most, self._most.get(actor.model, most))
        self._count_places()
        for node, places in self._places.items():
            self._thin([other for other in self._active() if other.node == node], places)
        self.make_way()

    def release(self, model: str, *, last: bool) -> None:
        """End actors of a finished model: all with ``last``, else only those on GPUs."""
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
        """Limit of actors: on CPUs, half of the places are left to waiting probes."""
        slots = self.slots
        halved = self.probes_wait and not self._on_gpus
        return min(slots, max(1, slots // 2)) if halved else slots

    def _active(self) -> list[Actor]:
        return [actor for actor in self._actors if not actor.retiring]

    def _free(self, model: str) -> Actor | None:
        """Return the least busy actor that holds ``model`` or no model."""
        free = [
            actor
            for actor in self._active()
            if (actor.calls == 0 and not (self._on_gpus and actor.model != model))
            or (actor.model == model and actor.proven and actor.calls < CALLS_PER_ACTOR)
        ]
        return min(free, key=lambda actor: (actor.calls, actor.model != model), default=None)

    def _idle(self) -> Actor | None:
        """Return an actor without a shard whose end frees a place on its node."""
        room = self._room()
        idle = (actor for actor in self._active() if not actor.calls and room[actor.node] >= 0)
        return next(idle, None)

    def _roomiest(self, nodes: Iterable[str]) -> str | None:
        """Return the node of ``nodes`` with the most free places; None if all are full, or the
        limit of actors is reached. Retiring actors keep their places until they end."""
        if len(self._active()) >= self._limit():
            return None
        room = self._room()
        node = max(nodes, key=room.__getitem__, default=None)
        return node if node is not None and room[node] > 0 else None

    def _room(self) -> dict[str, int]:
        """Number of places without an actor by node; negative while excess actors retire."""
        there = Counter(actor.node for actor in self._actors)
        return {node: count - there[node] for node, count in self._places.items()}

    def _new(self, model: str, node: str) -> Actor:
        self._actors.append(Actor(self._start(node), node, model))
        return self._actors[-1]

    def _thin(self, actors: Iterable[Actor], most: int) -> None:
        """Retire the excess of ``actors``; idle ones end at once."""
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
