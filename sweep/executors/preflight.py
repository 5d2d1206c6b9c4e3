"""Preflight checks: whether the machine or cluster meets the requirements of a sweep.

Problems that would make a run hang, or fail cell by cell hours later, are found here in seconds and
reported together. The checks are functions of values that ``sweep.executors.session`` gathers.
"""

import shutil
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from jobs.storage.location import Location
from jobs.storage.object_store import remove_folder, write_text
from jobs.workers.node import DRIVER_FILE, NodeReport, is_seen
from sweep.errors import ClusterError
from sweep.spec.schema import Compute

NODE_SECONDS = 30.0
"""Seconds that a node may take to answer, since it starts a process for it."""
SPARE_BYTES = 2**30
"""Free bytes that must be left on the cache's disk: for predictions, tables, and other users."""

OPEN_CLUSTER = (
    "THE CLUSTER IS OPEN: it asks for no token, so whoever reaches its ports can run any program "
    "on its nodes. Stop it, and start it again on all nodes with RAY_AUTH_MODE=token and a token "
    "(`ray get-auth-token --generate` makes one)"
)


@dataclass(frozen=True)
class Storage:
    """Locations that a run writes to."""

    run: Location
    """The run's folder."""
    cache: Location
    """The activation cache."""
    bytes_to_write: int
    """Bytes of activations that are still to be extracted."""
    gram_memory: int = 0
    """Memory that an extractor needs for statistics; 0 without ``store: gram``."""


@dataclass(frozen=True)
class Node:
    """A node of the cluster."""

    id: str
    name: str
    """Human-readable."""
    resources: Mapping[str, float]


Answers = Mapping[str, NodeReport | str]
"""Node id → its report, or why there is none."""


def check(problems: Iterable[str]) -> None:
    """Refuse to begin when there are problems.

    Raises:
        ClusterError: there are any; the message lists all of them.
    """
    found = list(problems)
    if found:
        raise ClusterError("\n".join(found))


@dataclass(frozen=True)
class Demand:
    """Resources that one job of a kind holds on its node."""

    key: str
    """Key of the spec."""
    cpus: int
    gpus: float = 0.0
    memory: int = 0
    """Bytes; 0: not reserved."""
    summed: bool = False
    """True if the memory is for statistics, see ``store: gram``."""

    def places(self, resources: Mapping[str, float]) -> int:
        """Number of such jobs that a node with these resources can run at a time."""
        found = int(resources.get("CPU", 0.0) / self.cpus)
        if self.memory:
            found = min(found, int(resources.get("memory", 0.0) / self.memory))
        gpus = int(resources.get("GPU", 0.0))
        if self.gpus >= 1:
            found = min(found, int(gpus / self.gpus))
        elif self.gpus:  # a share is of a single GPU: 3 GPUs hold 0.4 six times, not seven
            # Ray counts in ten-thousandths: 1 / 0.1 must give 10 places, not 9.
            found = min(found, gpus * int(1 / self.gpus + 1e-4))
        return found


def extraction(compute: Compute, gram_memory: int = 0) -> Demand:
    """Demand of an extraction actor, whose statistics take ``gram_memory`` bytes."""
    held = compute.extractor
    memory = _bytes(held.memory)
    return Demand(
        "compute.extractor", held.cpus, held.gpus, max(memory, gram_memory), gram_memory > memory
    )


def probing(compute: Compute) -> Demand:
    """Demand of a task that probes a layer, or compares layers."""
    return Demand("compute.probe", compute.probe.cpus, memory=_bytes(compute.probe.memory))


def resource_problems(
    nodes: Sequence[Node], compute: Compute, gram_memory: int = 0
) -> Iterator[str]:
    """Report demands that no single node can meet: Ray would wait silently forever."""
    for demand in (extraction(compute, gram_memory), probing(compute)):
        yield from demand_problems(nodes, demand)


def demand_problems(nodes: Sequence[Node], demand: Demand) -> Iterator[str]:
    """Report why no node has a place for a job of these demands; empty if one has."""
    if any(demand.places(node.resources) for node in nodes):
        return
    roomy = [node for node in nodes if replace(demand, memory=0).places(node.resources)]
    if roomy:
        yield _memory_problem(demand, roomy)
        return
    wanted = f"{demand.cpus} CPUs" + (f" and {demand.gpus:g} GPUs" if demand.gpus else "")
    have = "; ".join(_have(node.resources) for node in nodes) or "none"
    yield (
        f"{demand.key} asks for {wanted} on one node, but the nodes have: {have}. "
        f"Lower it, for example with --set {demand.key}.{'gpus=0' if demand.gpus else 'cpus=1'}"
    )


def workers(nodes: Sequence[Node], compute: Compute, gram_memory: int = 0) -> list[Node]:
    """Select the nodes that jobs can run on; a head without CPUs needs no shared storage."""
    demands = (extraction(compute, gram_memory), probing(compute))
    return [node for node in nodes if any(one.places(node.resources) for one in demands)]


def disk_problems(storage: Storage) -> Iterator[str]:
    """Report activations that do not fit on the cache's disk; object stores are unlimited."""
    if not isinstance(storage.cache, Path):
        return
    folder = next(path for path in (storage.cache, *storage.cache.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if storage.bytes_to_write and free < storage.bytes_to_write + SPARE_BYTES:
        yield (
            f"the cache {storage.cache} has {_size(free)} free, but the activations to extract "
            f"take {_size(storage.bytes_to_write)}, and {_size(SPARE_BYTES)} must be left. Choose "
            "another disk with --cache, or --set dtype=float16 (half), or --set pooling=channels"
        )


def inline_problems(compute: Compute, storage: Storage) -> Iterator[str]:
    """Report resources that this process lacks for one job at a time."""
    memory = _available_memory()
    if memory is not None:
        for demand in (extraction(compute, storage.gram_memory), probing(compute)):
            if demand.memory > memory:
                yield _memory_problem(demand, [Node("", "this machine", {"memory": memory})])
    if compute.extractor.gpus and not torch.cuda.is_available():
        yield (
            "compute.extractor asks for a GPU, and torch sees none on this machine. Compute on "
            "its CPU, with --set compute.extractor.gpus=0, or see what `sweep doctor` finds"
        )


def _available_memory() -> float | None:
    """Bytes available without swapping, by proc(5); None if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:  # not Linux
        return None
    kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return 1024.0 * int(kilobytes)


@contextmanager
def meeting_places(storage: Storage) -> Iterator[tuple[Location, ...]]:
    """Create folders in the run's folder and the cache where driver and nodes leave a file each.

    Raises:
        ClusterError: the driver itself cannot write there.
    """
    name = f".preflight-{uuid.uuid4().hex[:12]}"
    made: tuple[Location, ...] = (storage.run / name, storage.cache / name)
    try:
        for place in made:
            _make_place(place)
        yield made
    finally:
        for place in made:
            remove_folder(place)


def node_problems(
    here: NodeReport,
    nodes: Sequence[Node],
    answers: Answers,
    met: Sequence[Location],
    compute: Compute,
) -> Iterator[str]:
    """Report the problems of nodes from their answers; nodes with the same problem share a line.

    Args:
        here: the driver's own report.
        nodes: nodes that were asked.
        answers: answer of each.
        met: the folders in which they were asked to leave a file named after their id.
        compute: resources that jobs will request.
    """
    troubles: defaultdict[str, list[str]] = defaultdict(list)
    for node in nodes:
        for trouble in node_troubles(here, node, answers[node.id], met, compute):
            troubles[trouble].append(node.name)
    for trouble, names in troubles.items():
        yield f"{', '.join(names)}: {trouble}"


def is_open(answers: Answers) -> bool:
    """Return whether some node's Ray requires no token."""
    return any(isinstance(a, NodeReport) and not a.token_auth for a in answers.values())


def _make_place(place: Location) -> None:
    try:
        write_text(place / DRIVER_FILE, place.name)
    except OSError as error:
        reason = error.strerror or error
        raise ClusterError(f"cannot write to {place.parent}: {reason}") from None


def node_troubles(
    here: NodeReport,
    node: Node,
    report: NodeReport | str,
    met: Sequence[Location],
    compute: Compute,
) -> Iterator[str]:
    """Report the problems of one node; arguments as in ``node_problems``."""
    if isinstance(report, str):
        yield report
        return
    for what, theirs, ours in (
        ("Python", report.python, here.python),
        ("Ray", report.ray, here.ray),
    ):
        if theirs != ours:
            yield f"has {what} {theirs}, the driver {ours}; install the same on all nodes"
    if report.code != here.code:
        yield (
            f"has other code of this project than the driver (digest {report.code}, not "
            f"{here.code}); install the same version on all nodes"
        )
    if compute.extractor.gpus and node.resources.get("GPU") and not report.cuda:
        yield (
            "has GPUs, but its torch is built without CUDA; install one that is built with it, or "
            "compute on CPUs, with --set compute.extractor.gpus=0"
        )
    for place, missing in zip(met, report.missing, strict=True):
        trouble = missing
        if trouble is None and not is_seen(place / node.id):
            trouble = "the driver does not see what it writes there"
        if trouble is not None:
            yield (
                f"does not share {place.parent}: {trouble}. Choose folders on storage that "
                "all nodes see under one path, with --out and --cache"
            )


def _memory_problem(demand: Demand, nodes: Sequence[Node]) -> str:
    """Report missing memory on nodes that meet all other demands."""
    have = "; ".join(f"{node.name} {_size(node.resources.get('memory', 0.0))}" for node in nodes)
    if demand.summed:
        return (
            f"store: gram takes {_size(demand.memory)} of memory in an extractor, but for jobs "
            f"there is: {have}. Sum up fewer layers (layers: a list of some), or narrower ones "
            "(--set pooling=channels), or --set store=activations"
        )
    return (
        f"{demand.key}.memory asks for {_size(demand.memory)}, but for jobs there is: {have}. "
        "Lower it, or let Ray have more (ray start --memory=BYTES)"
    )


def _have(resources: Mapping[str, float]) -> str:
    return f"{resources.get('CPU', 0):g} CPUs, {resources.get('GPU', 0):g} GPUs"


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"


def _bytes(gib: float | None) -> int:
    return 0 if gib is None else int(gib * 2**30)
