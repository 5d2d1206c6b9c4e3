from collections.abc import Sequence

from sweep.errors import ClusterError
from sweep.executors.nodes import UNFIT_SECONDS, NodePool
from sweep.executors.preflight import Node


class Answer:
    """Of a node that was asked; it changes as a test says."""

    def __init__(self, troubles: Sequence[str] | None) -> None:
        self.said = troubles
        self.closed = False

    def troubles(self) -> list[str] | None:
        return None if self.said is None else list(self.said)

    def close(self) -> None:
        self.closed = True


class Cluster:
    """Nodes that come and go, what they say of themselves, and a pool of them."""

    def __init__(self, **answers: Sequence[str] | None) -> None:
        self.now = 0.0
        self.there = ["first"]
        self.answers = {name: Answer(troubles) for name, troubles in answers.items()}
        self.asked: list[str] = []
        self.told: list[str] = []
        self.failure: Exception | None = None
        self.pool = NodePool(
            [node("first")], lambda: map(node, self.there), self.ask,
            lambda node: node.id != "head", self.told.append, lambda: self.now,
        )  # fmt: skip

    def ask(self, node: Node) -> Answer:
        if self.failure:
            raise self.failure
        self.asked.append(node.id)
        return self.answers[node.id]

    def look(self) -> bool:
        self.now += 6
        return self.pool.refresh()


def node(name: str) -> Node:
    return Node(name, name, {"CPU": 1})


def test_a_node_that_joins_is_used_once_it_has_answered_well() -> None:
    cluster = Cluster(second=None)
    cluster.there.append("second")
    assert not cluster.look()
    assert list(cluster.pool.usable) == ["first"]
    cluster.answers["second"].said = []
    assert cluster.look()
    assert list(cluster.pool.usable) == ["first", "second"]
    assert cluster.asked == ["second"]
    assert cluster.answers["second"].closed
    assert cluster.told == ["second joined and gets work"]


def test_one_that_is_not_fit_is_told_of_once_and_gets_no_work() -> None:
    cluster = Cluster(other=["has other code", "does not share /cache"])
    cluster.there.append("other")
    for _ in range(3):
        assert not cluster.look()
    assert list(cluster.pool.usable) == ["first"]
    assert cluster.asked == ["other"]
    assert cluster.told == ["other joined and gets NO WORK: has other code; does not share /cache"]


def test_one_that_was_not_fit_is_asked_again_after_a_while_and_told_of_when_that_changed() -> None:
    cluster = Cluster(other=["does not share /cache"])
    cluster.there.append("other")
    cluster.look()
    for _ in range(2):
        cluster.now += UNFIT_SECONDS
        cluster.look()
    assert cluster.asked == ["other"] * 3
    assert len(cluster.told) == 1
    cluster.answers["other"].said = []
    cluster.now += UNFIT_SECONDS
    assert cluster.look()
    assert cluster.told[1:] == ["other joined and gets work"]


def test_one_without_room_for_a_job_is_not_asked() -> None:
    cluster = Cluster()
    cluster.there.append("head")
    assert not cluster.look()
    assert cluster.asked == cluster.told == []


def test_one_that_is_gone_is_told_of_and_may_come_back() -> None:
    cluster = Cluster(first=[])
    cluster.there.remove("first")
    assert cluster.look()
    assert not cluster.pool.usable
    cluster.there.append("first")
    assert cluster.look()
    assert cluster.told == ["first is gone: others do its work", "first joined and gets work"]


def test_one_that_goes_before_it_answers_is_forgotten() -> None:
    cluster = Cluster(second=None)
    cluster.there.append("second")
    cluster.look()
    cluster.there.remove("second")
    assert not cluster.look()
    assert cluster.answers["second"].closed
    assert cluster.told == []


def test_one_that_cannot_be_asked_now_is_asked_at_the_next_look() -> None:
    cluster = Cluster(second=[])
    cluster.there.append("second")
    cluster.failure = ClusterError("cannot write to /run: No space left on device")
    assert not cluster.look()
    cluster.failure = None
    assert cluster.look()
    assert list(cluster.pool.usable) == ["first", "second"]


def test_those_that_have_not_answered_at_the_end_are_forgotten() -> None:
    cluster = Cluster(second=None)
    cluster.there.append("second")
    cluster.look()
    cluster.pool.close()
    assert cluster.answers["second"].closed


def test_nobody_looks_more_often_than_needed() -> None:
    cluster = Cluster(second=[])
    cluster.there.append("second")
    cluster.now += 4
    assert not cluster.pool.refresh()
    cluster.now += 2
    assert cluster.pool.refresh()


def test_a_ray_of_ones_own_does_not_change() -> None:
    pool = NodePool([node("first")], clock=lambda: 1e9)
    assert not pool.changes
    assert not pool.refresh()
