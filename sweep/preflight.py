"""Before a sweep begins: does the place where it is to run have what it needs?

What would hang in silence, or fail cell by cell hours later, is found here in seconds, all of it at
once. The checks are of values; ``sweep.executors`` gathers them.
"""

import shutil
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobs.node import DRIVER_FILE, NodeReport, is_seen
from jobs.place import Place
from jobs.secrets import without_secrets
from jobs.storage import remove_folder, write_text
from sweep.spec import Compute

NODE_SECONDS = 30.0
"""How long a node may take to answer: it starts a process for it."""
SPARE_BYTES = 2**30
"""Free bytes that must be left on the cache's disk: for predictions, tables, and other users."""

OPEN_CLUSTER = (
    "THE CLUSTER IS OPEN: it asks for no token, so whoever reaches its ports can run any program "
    "on its nodes. Stop it, and start it again on all nodes with RAY_AUTH_MODE=token and a token "
    "(`ray get-auth-token --generate` makes one)"
)


class ClusterError(RuntimeError):
    """The cluster cannot run this: not reachable, or without what the spec asks for."""

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


@dataclass(frozen=True)
class Storage:
    """What a run writes to."""

    run: Place
    """The run's folder."""
    cache: Place
    """The activation cache."""
    bytes_to_write: int
    """Activations that are still to be extracted."""
    gram_memory: int = 0
    """Memory that an extractor needs for statistics; 0 without ``store: gram``."""
    gram_shards: int = 0
    """Shards of statistics that are still to be extracted."""


@dataclass(frozen=True)
class Node:
    """A node of the cluster."""

    id: str
    name: str
    """For people."""
    resources: Mapping[str, float]


Answers = Mapping[str, NodeReport | str]
"""Node id → its report, or why there is none."""


def check(problems: Iterable[str]) -> None:
    """Refuse to begin when there are problems.

    Raises:
        ClusterError: with all of them.
    """
    found = list(problems)
    if found:
        raise ClusterError("\n".join(found))


def places(resources: Mapping[str, float], *, cpus: int, gpus: float) -> int:
    """How many actors or tasks of these demands fit on one node at a time."""
    by_cpus = int(resources.get("CPU", 0) / cpus)
    # Ray counts in ten-thousandths: 1 / 0.1 must give 10 places, not 9.
    return min(by_cpus, int(resources.get("GPU", 0) / gpus + 1e-4)) if gpus else by_cpus


def resource_problems(nodes: Sequence[Node], compute: Compute) -> Iterator[str]:
    """Demands that no single node can meet: Ray would wait for one in silence, for ever."""
    for key, cpus, gpus in _demands(compute):
        if any(places(node.resources, cpus=cpus, gpus=gpus) for node in nodes):
            continue
        wanted = f"{cpus} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
        have = "; ".join(_have(node.resources) for node in nodes) or "none"
        yield (
            f"{key} asks for {wanted} on one node, but the nodes have: {have}. "
            f"Lower it, for example with --set {key}.{'gpus=0' if gpus else 'cpus=1'}"
        )


def workers(nodes: Sequence[Node], compute: Compute) -> list[Node]:
    """The nodes that jobs can run on; a head without CPUs, for one, needs no shared storage."""
    return [
        node
        for node in nodes
        if any(places(node.resources, cpus=c, gpus=g) for _, c, g in _demands(compute))
    ]


def disk_problems(storage: Storage) -> Iterator[str]:
    """The activations of the plan must fit on the cache's disk; object stores have no end."""
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


def memory_problems(storage: Storage, nodes: Iterable[Node], compute: Compute) -> Iterator[str]:
    """Nodes whose memory does not hold the statistics that their extractors sum up."""
    held = compute.extractor
    for node in nodes:
        here = places(node.resources, cpus=held.cpus, gpus=held.gpus)
        extractors = min(here, storage.gram_shards)
        has, wanted = node.resources.get("memory"), extractors * storage.gram_memory
        if has is None or wanted <= has:
            continue
        yield (
            f"{node.name} has {_size(has)} of memory for jobs, but store: gram takes "
            f"{_size(storage.gram_memory)} in each of its {extractors} extractors. Sum up fewer "
            "layers (layers: a list of some), or narrower ones (--set pooling=channels), or let an "
            "extractor hold more CPUs, so that there are fewer (--set compute.extractor.cpus=N), "
            "or --set store=activations"
        )


def this_machine(compute: Compute) -> Node:
    """The machine of this process, with room for one extractor."""
    held = compute.extractor
    room = {"CPU": float(held.cpus), "GPU": held.gpus}
    memory = _available_memory()
    return Node("", "this machine", room if memory is None else room | {"memory": memory})


def _available_memory() -> float | None:
    """Bytes that programs can have without swapping, by proc(5); None where it does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:  # not Linux
        return None
    kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return 1024.0 * int(kilobytes)


@contextmanager
def meeting_places(storage: Storage) -> Iterator[tuple[Place, ...]]:
    """Folders, in the run's folder and in the cache, where driver and nodes leave a file each.

    Raises:
        ClusterError: the driver itself cannot write there.
    """
    name = f".preflight-{uuid.uuid4().hex[:12]}"
    made: tuple[Place, ...] = (storage.run / name, storage.cache / name)
    try:
        for place in made:
            _make_place(place)
        yield made
    finally:
        for place in made:
            remove_folder(place)


def node_problems(
    here: NodeReport, nodes: Sequence[Node], answers: Answers, met: Sequence[Place]
) -> Iterator[str]:
    """What is wrong with nodes, by what they answered; nodes with one trouble share a line.

    Args:
        here: the driver's own report.
        nodes: that were asked.
        answers: of each.
        met: the meeting places they were asked to leave a file in, named after their id.
    """
    troubles: defaultdict[str, list[str]] = defaultdict(list)
    for node in nodes:
        answer = answers[node.id]
        found = [answer] if isinstance(answer, str) else _node_troubles(here, node, answer, met)
        for trouble in found:
            troubles[trouble].append(node.name)
    for trouble, names in troubles.items():
        yield f"{', '.join(names)}: {trouble}"


def is_open(answers: Answers) -> bool:
    """Whether some node's Ray asks for no token."""
    return any(isinstance(a, NodeReport) and not a.token_auth for a in answers.values())


def _make_place(place: Place) -> None:
    try:
        write_text(place / DRIVER_FILE, place.name)
    except OSError as error:
        reason = error.strerror or error
        raise ClusterError(f"cannot write to {place.parent}: {reason}") from None


def _node_troubles(
    here: NodeReport, node: Node, report: NodeReport, met: Sequence[Place]
) -> Iterator[str]:
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
    for place, missing in zip(met, report.missing, strict=True):
        trouble = missing
        if trouble is None and not is_seen(place / node.id):
            trouble = "the driver does not see what it writes there"
        if trouble is not None:
            yield (
                f"does not share {place.parent}: {trouble}. Choose folders on storage that "
                "all nodes see under one path, with --out and --cache"
            )


def _demands(compute: Compute) -> tuple[tuple[str, int, float], ...]:
    """Key in the spec, CPUs, GPUs of each kind of job."""
    held = compute.extractor
    return (
        ("compute.extractor", held.cpus, held.gpus),
        ("compute.probe", compute.probe.cpus, 0),
    )


def _have(resources: Mapping[str, float]) -> str:
    return f"{resources.get('CPU', 0):g} CPUs, {resources.get('GPU', 0):g} GPUs"


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"
