from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import ray.exceptions
import torch

from jobs.extraction.job import ExtractJob
from jobs.probing.job import ProbeJob
from jobs.protocol.settings import Protocols, SplitsProtocol
from jobs.workers import ray_workers
from sweep.errors import ClusterError
from sweep.executors.nodes import NodePool
from sweep.executors.preflight import Node
from sweep.executors.ray import RayExecutor
from sweep.spec.schema import Compute


def compute(**parts: dict[str, float]) -> Compute:
    return Compute.model_validate(parts)


class FakeRay:
    """Stands for Ray where only the policy is looked at: who gets work, and what comes back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.started: list[str] = []
        self.ended: list[object] = []
        self.cancelled: list[object] = []
        self.taken: list[dict[str, object]] = []
        self.done: dict[object, object] = {}
        """Reference → a result, or the error to raise."""
        self.refs: list[object] = []
        for name, stand_in in (
            ("start_actor", self.start),
            ("submit_to_actor", lambda actor, job: self.ref()),
            ("submit_task", self.take),
            ("end", self.ended.append),
            ("cancel", self.cancelled.append),
            ("wait", lambda refs, seconds: [ref for ref in refs if ref in self.done]),
        ):
            monkeypatch.setattr(f"jobs.workers.ray_workers.{name}", stand_in)
        monkeypatch.setattr("jobs.workers.ray_workers.ray.get", self.get)
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr("sweep.executors.ray.time", clock)

    def ref(self) -> object:
        self.refs.append(object())
        return self.refs[-1]

    def take(self, job: object, **options: object) -> object:
        self.taken.append(options)
        return self.ref()

    def start(self, node: str, **options: object) -> object:
        self.started.append(node)
        return object()

    def get(self, ref: object) -> object:
        result = self.done[ref]
        if isinstance(result, Exception):
            raise result
        return result

    def finish(self, ref: object, seconds: float = 1.0) -> None:
        self.done[ref] = ray_workers.JobResult("report", "a", seconds)


def extract_job(model: str, index: int = 0) -> ExtractJob:
    return ExtractJob(model, mock.Mock(), mock.Mock(index=index))


def probe_job() -> ProbeJob:
    return ProbeJob("m", "l", (), Path(), {}, Protocols(SplitsProtocol()), (), Path())


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    return FakeRay(monkeypatch)


def on_nodes(*resources: dict[str, float], **parts: dict[str, float]) -> RayExecutor:
    nodes = [
        Node(name, f"node {name}", have) for name, have in zip("abcd", resources, strict=False)
    ]
    return RayExecutor(compute(**parts), NodePool(nodes))


def test_a_shard_that_is_not_known_to_start_is_not_queued_behind(fake: FakeRay) -> None:
    executor = on_nodes({"CPU": 2})
    for index in range(2):
        assert executor.room(extract_job("m", index))
        executor.submit(extract_job("m", index))
    assert not executor.room(extract_job("m", 2))
    assert fake.started == ["a", "a"]


def test_places_and_window_are_those_of_all_nodes_and_memory_counts(fake: FakeRay) -> None:
    executor = on_nodes(
        {"CPU": 8, "GPU": 4, "memory": 2**34}, {"CPU": 8, "GPU": 1, "memory": 2**34}, {"CPU": 3},
        extractor={"gpus": 0.5, "cpus": 2, "memory": 6}, probe={"cpus": 1, "memory": 4},
    )  # fmt: skip
    assert executor.slots == 2 + 2  # two times 6 of 16 GiB; half of one GPU twice; no GPU
    assert executor.probe_window == 2 * (4 + 4)


def test_probes_are_kept_from_gpus_where_there_are_some(fake: FakeRay) -> None:
    for resources, hidden in (({"CPU": 1.0}, False), ({"CPU": 1.0, "GPU": 1.0}, True)):
        on_nodes(resources).submit(probe_job())
        assert fake.taken[-1]["hide_gpus"] is hidden


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ray.exceptions.WorkerCrashedError(), "died"),
        (ray.exceptions.ActorDiedError(), "died"),
        (ray.exceptions.OutOfMemoryError("killed"), "memory"),
        (ray.exceptions.OutOfDiskError("full"), "disk"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_death_has_its_cause(fake: FakeRay, error: Exception, cause: str) -> None:
    executor = on_nodes({"CPU": 2})
    executor.submit(probe_job())
    fake.done[fake.refs[0]] = error
    assert [outcome.died for outcome in executor.wait(0)] == [cause]


def test_a_process_that_ended_when_its_time_was_over_took_too_long(fake: FakeRay) -> None:
    executor = RayExecutor(Compute(timeout=1), NodePool([Node("a", "a", {"CPU": 1})]))
    for seconds, died in ((30, "died"), (61, "timeout")):
        executor.submit(probe_job())
        fake.now += seconds
        fake.done[fake.refs[-1]] = ray.exceptions.WorkerCrashedError()
        assert [outcome.died for outcome in executor.wait(0)] == [died]


def test_a_shard_that_waited_for_another_has_its_whole_time_from_then_on(fake: FakeRay) -> None:
    executor = RayExecutor(Compute(timeout=1), NodePool([Node("a", "a", {"CPU": 1})]))
    executor.submit(extract_job("m", 0))
    fake.finish(fake.refs[-1])
    executor.wait(0)
    for index in (1, 2):
        executor.submit(extract_job("m", index))
    fake.now += 50
    fake.finish(fake.refs[1])
    executor.wait(0)
    fake.now += 50
    fake.done[fake.refs[2]] = ray.exceptions.ActorDiedError()
    assert [outcome.died for outcome in executor.wait(0)] == ["died"]


@pytest.mark.parametrize(("gpus", "left"), [(1, 4), (0.5, 2)])
def test_what_lacked_memory_of_its_own_gpu_costs_no_other_actor(
    fake: FakeRay, gpus: float, left: int
) -> None:
    executor = on_nodes({"CPU": 4, "GPU": 4 * gpus}, extractor={"gpus": gpus, "cpus": 1})
    assert executor.slots == 4
    for index in range(4):
        executor.submit(extract_job("m", index))
    cause = torch.OutOfMemoryError("CUDA out of memory")
    fake.done[fake.refs[0]] = ray.exceptions.RayTaskError("extract", "", cause)
    executor.wait(0)
    assert executor.slots == left


def test_after_a_shard_that_ran_out_of_memory_half_as_many_actors_go_on(fake: FakeRay) -> None:
    executor = on_nodes({"CPU": 4})
    for index in range(4):
        executor.submit(extract_job("m", index))
    fake.done[fake.refs[0]] = ray.exceptions.OutOfMemoryError("killed")
    [outcome] = executor.wait(0)
    assert outcome.died == "memory"
    assert executor.slots == 2


def test_a_probe_that_ran_out_of_memory_gets_a_machine_to_itself(fake: FakeRay) -> None:
    executor = on_nodes({"CPU": 16}, {"CPU": 8}, {"CPU": 0})  # the last one is a head
    executor.submit(probe_job())
    executor.submit(probe_job(), alone=True)
    assert [(taken["reserved"], taken["memory"]) for taken in fake.taken] == [(1, 0), (8, 0)]


def test_a_probe_alone_has_all_memory_of_a_node_that_holds_what_probes_ask_for(
    fake: FakeRay,
) -> None:
    executor = on_nodes(
        {"CPU": 4, "memory": 2**32}, {"CPU": 8, "memory": 2**34},
        extractor={"cpus": 1}, probe={"cpus": 2, "memory": 8},
    )  # fmt: skip
    executor.submit(probe_job())
    executor.submit(probe_job(), alone=True)
    reserved = [(taken["cpus"], taken["reserved"], taken["memory"]) for taken in fake.taken]
    assert reserved == [(2, 2, 2**33), (2, 8, 2**34)]


def busy_pair(fake: FakeRay) -> RayExecutor:
    """Two nodes; five shards of a model came back after 10 s each, and a sixth is on node a."""
    executor = on_nodes({"CPU": 1}, {"CPU": 1})
    for index in range(2):
        executor.submit(extract_job("m", index))
    assert fake.started == ["a", "b"]
    for index in (2, 3, 4):
        fake.now += 10
        ready = [ref for ref in executor._pending if executor._pending[ref].actor.node == "b"]
        fake.finish(ready[0])
        assert len(executor.wait(0)) == 1
        if index < 4:
            executor.submit(extract_job("m", index))
    return executor


def test_a_shard_that_is_late_is_given_to_an_idle_actor_elsewhere_and_the_first_result_counts(
    fake: FakeRay,
) -> None:
    executor = busy_pair(fake)  # the one on a was sent 30 s ago
    executor.help_stragglers()
    assert len(executor._pending) == 1
    fake.now += 1
    executor.help_stragglers()
    executor.help_stragglers()
    assert len(executor._pending) == 2
    late, twin = executor._pending.values()
    assert late.job is twin.job
    assert (late.actor.node, twin.actor.node) == ("a", "b")
    fake.finish(fake.refs[-1])
    [outcome] = executor.wait(0)
    assert outcome.job is late.job
    assert executor._pending == {}
    assert fake.ended == [late.actor.handle]  # it computes what nobody needs
    assert executor.room(extract_job("m", 9))


def test_of_two_tries_the_one_that_fails_is_not_heard_of(fake: FakeRay) -> None:
    executor = busy_pair(fake)
    fake.now += 1
    executor.help_stragglers()
    fake.done[fake.refs[-1]] = ray.exceptions.ActorDiedError()
    assert executor.wait(0) == []
    [(ref, _)] = executor._pending.items()
    fake.finish(ref)
    assert [outcome.error for outcome in executor.wait(0)] == [None]


def test_a_shard_has_three_helpers_if_each_dies_and_the_next_one_after_some_waiting(
    fake: FakeRay,
) -> None:
    executor = busy_pair(fake)
    known, moments = len(fake.refs), []
    for _ in range(200):
        fake.now += 1
        before = len(fake.refs)
        executor.help_stragglers()
        moments += [fake.now] * (len(fake.refs) - before)
        for ref in fake.refs[known:]:
            fake.done[ref] = ray.exceptions.ActorDiedError()
        assert executor.wait(0) == []
    assert len(moments) == 3
    assert [after - before for before, after in pairwise(moments)] == [31, 31]


def test_one_late_shard_that_nobody_can_help_does_not_hide_the_others(fake: FakeRay) -> None:
    executor = on_nodes({"CPU": 2}, {"CPU": 1})  # on node a two, of which one is idle in the end
    for index in range(3):
        executor.submit(extract_job("m", index))
    kept = {
        node: next(ref for ref, one in executor._pending.items() if one.actor.node == node)
        for node in "ab"
    }
    for index in range(3):
        fake.now += 10
        [ref] = executor._pending.keys() - kept.values()
        fake.finish(ref)
        executor.wait(0)
        if index < 2:
            executor.submit(extract_job("m", 3 + index))
    assert list(executor._pending) == [kept["a"], kept["b"]]
    fake.now += 20
    executor.help_stragglers()
    assert [one.twin is not None for one in list(executor._pending.values())[:2]] == [False, True]


def test_what_is_late_on_the_only_node_is_waited_for(fake: FakeRay) -> None:
    executor = on_nodes({"CPU": 2})
    for index in range(2):
        executor.submit(extract_job("m", index))
    for _ in range(4):
        fake.now += 10
        fake.finish(fake.refs[-1])
        executor.wait(0)
        executor.submit(extract_job("m"))
    fake.now += 1000
    executor.help_stragglers()
    assert len(executor._pending) == 2


def comes_from(fake: FakeRay, node: str, *refs: object) -> None:
    for ref in refs:
        fake.done[ref] = ray_workers.JobResult([], node, 1.0)


def late_layer(fake: FakeRay, came_from: str = "b") -> RayExecutor:
    """Two nodes; three layers came back, the last after 10 s, and a fourth is out for 30 s."""
    nodes = [Node(name, name, {"CPU": 1}) for name in "ab"]
    executor = RayExecutor(compute(), NodePool(nodes, lambda: nodes, clock=lambda: fake.now))
    executor.submit(probe_job())
    for _ in range(3):
        executor.submit(probe_job())
        fake.now += 10
        comes_from(fake, came_from, fake.refs[-1])
        assert len(executor.wait(0)) == 1
    return executor


def test_a_layer_that_is_late_is_given_to_nodes_that_brought_back_others_since(
    fake: FakeRay,
) -> None:
    executor = late_layer(fake)
    executor.help_stragglers()
    assert len(fake.taken) == 4
    fake.now += 1
    executor.help_stragglers()
    executor.help_stragglers()
    assert [sorted(taken["nodes"]) for taken in fake.taken[3:]] == [["a", "b"], ["b"]]
    late, twin = list(executor._pending)
    comes_from(fake, "b", twin)
    assert [outcome.result for outcome in executor.wait(0)] == [[]]
    assert fake.cancelled == [late]
    assert executor._pending == {}


def test_of_two_tries_of_a_layer_the_one_that_fails_is_not_heard_of(fake: FakeRay) -> None:
    executor = late_layer(fake)
    fake.now += 1
    executor.help_stragglers()
    late, twin = list(executor._pending)
    fake.done[twin] = ray.exceptions.WorkerCrashedError()
    assert executor.wait(0) == []
    executor.help_stragglers()
    assert list(executor._pending) == [late]
    comes_from(fake, "a", late)
    assert [outcome.error for outcome in executor.wait(0)] == [None]
    assert fake.cancelled == []


def test_a_layer_that_is_late_while_others_wait_for_a_place_is_not_done_twice(
    fake: FakeRay,
) -> None:
    executor = late_layer(fake)
    for _ in range(2):
        executor.submit(probe_job())
    fake.now += 100
    executor.help_stragglers()
    assert len(fake.taken) == 6


def test_a_layer_is_not_given_to_nodes_of_which_nothing_was_heard_since_it_began(
    fake: FakeRay,
) -> None:
    executor = late_layer(fake)
    comes_from(fake, "b", *executor._pending)
    executor.wait(0)
    executor.submit(probe_job())
    fake.now += 1000
    executor.help_stragglers()
    assert len(fake.taken) == 5


def test_of_two_tries_of_a_layer_one_may_be_lost_with_its_node(fake: FakeRay) -> None:
    nodes = {name: Node(name, name, {"CPU": 1}) for name in "ab"}
    executor = late_layer(fake)
    fake.now += 1
    executor.help_stragglers()
    late, twin = list(executor._pending)
    executor._node_pool = NodePool(nodes.values(), lambda: [nodes["a"]], clock=lambda: fake.now)
    fake.now += 6
    assert executor.wait(0) == []
    assert fake.cancelled == [twin]
    assert list(executor._pending) == [late]


def test_to_a_cluster_whose_head_is_silent_nothing_is_sent(fake: FakeRay) -> None:
    answers = [False, True]
    nodes = [Node("a", "a", {"CPU": 2})]
    executor = RayExecutor(Compute(), NodePool(nodes, answers=lambda: answers[0]))
    assert not executor.room(probe_job())
    assert not executor.room(extract_job("m"))
    assert executor.wait(0) == []
    del answers[0]
    assert executor.room(probe_job())
    assert executor.room(extract_job("m"))


def test_a_user_is_told_once_of_what_may_hang(fake: FakeRay) -> None:
    told: list[str] = []
    executor = RayExecutor(Compute(), NodePool([Node("a", "a", {"CPU": 2})]), warn=told.append)
    executor.submit(probe_job())
    executor.submit(extract_job("m", 7))
    for minutes in (29, 2, 60):
        fake.now += 60 * minutes
        assert executor.wait(0) == []
    assert told == [
        "m / l has not come back for 31 minutes (and 1 others); it hangs, or waits for a place: "
        "--set compute.timeout=MINUTES ends a job that takes longer"
    ]


def test_who_set_a_time_limit_is_not_told_of_what_may_hang(fake: FakeRay) -> None:
    told: list[str] = []
    nodes = NodePool([Node("a", "a", {"CPU": 2})])
    executor = RayExecutor(Compute(timeout=600), nodes, warn=told.append)
    executor.submit(probe_job())
    fake.now += 18_000
    assert executor.wait(0) == []
    assert told == []


class Comings:
    """A cluster whose nodes come and go as a test says."""

    def __init__(self, fake: FakeRay, *nodes: Node) -> None:
        self.nodes = list(nodes)
        self.told: list[str] = []
        self.fake = fake
        self.pool = NodePool(
            nodes, lambda: self.nodes, mock.Mock(side_effect=lambda node: Fit()),
            warn=self.told.append, clock=lambda: fake.now,
        )  # fmt: skip

    def later(self, executor: RayExecutor, seconds: float = 6.0) -> list[str | None]:
        self.fake.now += seconds
        return [outcome.died for outcome in executor.wait(0)]


class Fit:
    """A node that was asked, and is as it should be."""

    def troubles(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


def test_a_node_that_joins_gets_actors_and_probes(fake: FakeRay) -> None:
    a, b = (Node(name, name, {"CPU": 1}) for name in "ab")
    comings = Comings(fake, a)
    executor = RayExecutor(compute(), comings.pool)
    executor.submit(extract_job("m"))
    assert not executor.room(extract_job("m"))
    comings.nodes.append(b)
    comings.later(executor)
    assert comings.told == ["b joined and gets work"]
    assert executor.room(extract_job("m"))
    executor.submit(extract_job("m"))
    assert fake.started == ["a", "b"]
    executor.submit(probe_job())
    assert fake.taken[-1]["nodes"] == {"a", "b"}
    assert executor.probe_window == 4


def test_probes_that_only_nodes_that_are_gone_could_run_come_back_as_died(fake: FakeRay) -> None:
    a, b = (Node(name, name, {"CPU": 1}) for name in "ab")
    comings = Comings(fake, a)
    executor = RayExecutor(compute(), comings.pool)
    executor.submit(probe_job())
    comings.nodes[:] = [b]
    assert comings.later(executor) == ["died"]
    assert comings.later(executor) == []
    assert executor.room(probe_job())


def test_probes_are_given_to_nodes_that_hold_them_alone(fake: FakeRay) -> None:
    nodes = [
        Node("a", "a", {"CPU": 4, "memory": 2**34}),
        Node("b", "b", {"CPU": 4, "memory": 2**30}),
        Node("c", "c", {"CPU": 8, "memory": 2**35}),
    ]
    comings = Comings(fake, *nodes)
    executor = RayExecutor(compute(probe={"cpus": 1, "memory": 8}), comings.pool)
    executor.submit(probe_job())
    assert fake.taken[-1]["nodes"] == {"a", "c"}
    comings.nodes[:] = nodes[1:2]
    assert comings.later(executor) == ["died"]  # b would never have room for it
    assert not executor.room(probe_job())


def test_when_the_last_node_is_gone_the_run_waits_for_one_and_then_ends(fake: FakeRay) -> None:
    gpu = Node("a", "node a", {"CPU": 1, "GPU": 1})
    comings = Comings(fake, gpu)
    executor = RayExecutor(compute(extractor={"gpus": 1, "cpus": 1}), comings.pool)
    comings.nodes[:] = [Node("b", "node b", {"CPU": 1})]
    comings.later(executor)
    assert not executor.room(extract_job("m"))
    assert executor.room(probe_job())
    comings.later(executor, 599)
    assert not executor.room(extract_job("m"))
    assert (
        "the run waits 10 minutes for one: compute.extractor asks for 1 CPUs and 1 GPUs"
        in (comings.told[-1])
    )
    executor.submit(probe_job())
    comings.later(executor, 2)
    assert not executor.room(extract_job("m"))
    assert comings.later(executor, 100) == []  # what still runs is waited for
    fake.done[fake.refs[-1]] = ray_workers.JobResult([], "a", 1.0)
    assert comings.later(executor, 0) == [None]
    assert comings.later(executor, 0) == []  # nobody asked for more since
    assert not executor.room(extract_job("m"))
    with pytest.raises(ClusterError, match=r"for 10 minutes no node had room.*run again.*1 GPUs"):
        comings.later(executor, 0)


def test_a_node_that_comes_in_time_ends_the_waiting(fake: FakeRay) -> None:
    a, b = (Node(name, name, {"CPU": 1}) for name in "ab")
    comings = Comings(fake, a)
    executor = RayExecutor(compute(), comings.pool)
    comings.nodes.clear()
    comings.later(executor)
    assert not executor.room(extract_job("m"))
    comings.nodes.append(b)
    comings.later(executor, 400)
    assert executor.room(extract_job("m"))
    comings.nodes.clear()
    comings.later(executor, 300)
    assert not executor.room(extract_job("m"))  # the ten minutes begin anew
