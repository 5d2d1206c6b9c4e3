from typing import Any

import pytest

from sweep.executors.actor_pool import Actor, Actors


class Stage:
    """Actors on nodes with these places, and who was started and ended."""

    def __init__(self, *, on_gpus: bool = False, **places: int) -> None:
        self.started: list[str] = []
        self.ended: list[Any] = []
        self.actors = Actors(self.start, self.ended.append, on_gpus=on_gpus)
        self.actors.set_places(places)

    def start(self, node: str) -> str:
        self.started.append(node)
        return f"{node}{len(self.started)}"

    def take(self, *models: str) -> list[Actor]:
        taken = []
        for model in models:
            assert self.actors.has_room(model)
            taken.append(self.actors.take(model))
        return taken


def test_the_node_with_the_most_free_places_is_next() -> None:
    stage = Stage(small=1, large=3)
    stage.take("m", "m", "m", "m")
    assert sorted(stage.started[:3]) in (["large", "large", "large"], ["large", "large", "small"])
    assert sorted(stage.started) == ["large", "large", "large", "small"]
    assert not stage.actors.has_room("m")


def test_one_that_has_shown_that_it_works_gets_a_second_shard() -> None:
    stage = Stage(a=1)
    [actor] = stage.take("m")
    stage.actors.came_back(actor, seconds=1.0)
    assert stage.take("m", "m") == [actor, actor]
    assert not stage.actors.has_room("m")


def test_while_probes_wait_half_of_the_actors_on_cpus_come_to_their_end() -> None:
    stage = Stage(a=4)
    taken = stage.take(*"mmmm")
    stage.actors.probes_wait = True
    stage.actors.make_way()
    assert sum(actor.retiring for actor in taken) == 2
    assert stage.ended == []  # they hold shards
    assert not stage.actors.has_room("other")
    leaving = next(actor for actor in taken if actor.retiring)
    stage.actors.came_back(leaving, seconds=1.0)
    assert stage.ended == [leaving.handle]


def test_one_place_is_left_for_extraction_whatever_waits() -> None:
    stage = Stage(a=1)
    stage.actors.probes_wait = True
    assert stage.actors.has_room("m")


def test_actors_on_gpus_do_not_make_way_for_probes() -> None:
    stage = Stage(on_gpus=True, a=4)
    taken = stage.take(*"mmmm")
    stage.actors.probes_wait = True
    stage.actors.make_way()
    assert not any(actor.retiring for actor in taken)


@pytest.mark.parametrize(("on_gpus", "ended"), [(False, 0), (True, 2)])
def test_an_actor_on_a_gpu_ends_with_its_model_and_one_on_a_cpu_goes_on(
    on_gpus: bool, ended: int
) -> None:
    stage = Stage(on_gpus=on_gpus, a=3)
    stage.take("m", "m", "n")
    stage.actors.release("m", last=False)
    assert len(stage.ended) == ended
    stage.actors.release("n", last=True)
    assert len(stage.ended) == 3


def test_several_models_are_extracted_at_once_where_one_needs_fewer_gpus() -> None:
    stage = Stage(on_gpus=True, a=2, b=2)
    taken = stage.take("m", "m", "m", "n")
    assert [actor.model for actor in taken] == ["m", "m", "m", "n"]
    assert sorted(stage.started) == ["a", "a", "b", "b"]


def test_on_a_gpu_an_idle_actor_makes_place_for_one_of_another_model() -> None:
    stage = Stage(on_gpus=True, a=2)
    first, second = stage.take("m", "m")
    stage.actors.came_back(first, seconds=1.0)
    [other] = stage.take("n")
    assert stage.ended == [first.handle]
    assert (other.model, other.node) == ("n", "a")
    assert len(stage.actors) == 2
    assert second.model == "m"


def test_on_a_cpu_an_idle_actor_takes_the_next_model() -> None:
    stage = Stage(a=1)
    [actor] = stage.take("m")
    stage.actors.came_back(actor, seconds=1.0)
    assert stage.take("n") == [actor]
    assert actor.model == "n"
    assert stage.ended == []


def test_memory_that_ran_out_halves_the_actors_of_every_node_until_the_model_is_done() -> None:
    stage = Stage(a=4, b=4)
    taken = stage.take(*"mmmmmmmm")
    stage.actors.ran_out_of_memory(taken[0])
    assert stage.actors.slots == 4
    for node in "ab":
        assert sum(actor.retiring for actor in taken if actor.node == node) == 2
    stage.actors.set_places({"a": 4, "b": 4, "c": 4})
    assert stage.actors.slots == 6
    stage.actors.release("other", last=False)
    assert stage.actors.slots == 6
    stage.actors.release("m", last=False)
    assert stage.actors.slots == 12


def test_one_shard_that_never_finds_the_memory_leaves_nodes_of_one_actor_alone() -> None:
    stage = Stage(**{f"n{number}": 1 for number in range(64)})
    for _ in range(3):
        [actor] = stage.take("m")
        stage.actors.ran_out_of_memory(actor)
        stage.actors.came_back(actor, died=True)
    assert stage.actors.slots == 64


def test_a_node_without_places_gets_no_actor() -> None:
    stage = Stage(head=0, a=1, b=1)
    for actor in stage.take("m", "m"):
        stage.actors.came_back(actor, seconds=1.0)
    stage.take("m", "m")
    stage.actors.probes_wait = True
    stage.actors.make_way()  # one of the two comes to its end, with its shard
    stage.actors.probes_wait = False
    stage.take("m")
    assert sorted(stage.started) == ["a", "b"]


def test_a_place_is_free_only_when_its_actor_has_ended() -> None:
    stage = Stage(a=2)
    leaving, _ = stage.take("m", "m")
    stage.actors.probes_wait = True
    stage.actors.make_way()
    stage.actors.probes_wait = False
    assert not stage.actors.has_room("m")
    stage.actors.came_back(leaving, seconds=1.0)
    stage.take("m")
    assert stage.started == ["a", "a", "a"]


def test_on_gpus_an_idle_actor_makes_no_place_where_others_still_come_to_their_end() -> None:
    stage = Stage(on_gpus=True, a=4)
    busy = stage.take(*"mmmm")
    stage.actors.ran_out_of_memory(busy[3])
    staying = [actor for actor in busy if not actor.retiring]
    stage.actors.came_back(staying[0], seconds=1.0)
    assert not stage.actors.has_room("other")
    for actor in busy:
        if actor.retiring:
            stage.actors.came_back(actor, seconds=1.0)
    [other] = stage.take("other")
    assert other.model == "other"


def test_one_that_died_makes_place_whatever_else_it_held() -> None:
    stage = Stage(a=1)
    [actor] = stage.take("m")
    stage.actors.came_back(actor, seconds=1.0)
    stage.take("m", "m")
    stage.actors.came_back(actor, died=True)
    assert len(stage.actors) == 0
    assert stage.actors.has_room("m")
    stage.actors.came_back(actor, died=True)  # its second shard, a moment later
    assert len(stage.actors) == 0


def test_nodes_that_are_gone_get_nothing_more() -> None:
    stage = Stage(a=1, b=2)
    taken = {actor.node: actor for actor in stage.take("m", "m", "m")}
    stage.actors.came_back(taken["a"], seconds=1.0)
    stage.actors.set_places({"b": 2})
    assert stage.ended == [taken["a"].handle]
    stage.actors.set_places({})
    assert not stage.actors.has_room("m")
    assert stage.actors.slots == 0


def test_the_quickest_idle_actor_of_another_node_takes_over() -> None:
    stage = Stage(a=2, b=1, c=1)
    taken = stage.take(*"mmmm")
    by_node = {actor.node: actor for actor in taken}
    slow = by_node["a"]
    for actor, seconds in ((by_node["b"], 2.0), (by_node["c"], 1.0)):
        stage.actors.came_back(actor, seconds=seconds)
    other = next(actor for actor in taken if actor.node == "a" and actor is not slow)
    stage.actors.came_back(other, seconds=0.1)  # of the slow one's node
    assert stage.actors.take_elsewhere(slow) is by_node["c"]
    assert stage.actors.take_elsewhere(slow) is by_node["b"]
    assert stage.actors.take_elsewhere(slow) is None


def test_where_none_is_idle_a_new_one_takes_over_on_a_free_node() -> None:
    stage = Stage(a=1)
    [slow] = stage.take("m")
    assert stage.actors.take_elsewhere(slow) is None
    stage.actors.set_places({"a": 1, "b": 1})
    helper = stage.actors.take_elsewhere(slow)
    assert helper is not None
    assert helper.node == "b"


def test_one_that_another_was_quicker_than_ends() -> None:
    stage = Stage(a=1)
    [slow] = stage.take("m")
    stage.actors.drop(slow)
    assert stage.ended == [slow.handle]
