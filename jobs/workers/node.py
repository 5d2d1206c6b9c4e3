"""Report of a node on itself, which is checked before the node receives work."""

import hashlib
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from jobs.storage.location import Location
from jobs.storage.object_store import exists, write_text

SEEN_SECONDS = 5.0
"""Time that a file may take to be visible from another machine. NFS caches the attributes of a
folder for some seconds (acdirmin in nfs(5) is 30, but listing the folder asks the server)."""
DRIVER_FILE = "driver"
"""Name of the driver's file in a shared folder."""


@dataclass(frozen=True)
class NodeReport:
    """Report of one node."""

    python: str
    """Version, as in 3.11.7."""
    ray: str
    """Version."""
    code: str
    """Digest of the code that runs there, see ``code_digest``."""
    token_auth: bool
    """True if its Ray requires a token."""
    cuda: bool
    """True if its torch is built for GPUs; only a job that owns a GPU can find whether torch sees
    it."""
    missing: tuple[str | None, ...] = ()
    """Problem with each shared folder; None if it can be used."""


def describe_node(places: Sequence[Location] = (), name: str = "") -> NodeReport:
    """Describe this machine.

    Args:
        places: folders that the driver made on what should be shared storage, with ``DRIVER_FILE``.
        name: name of the file to leave in each place, for the driver to see.
    """
    return NodeReport(
        python=platform.python_version(),
        ray=version("ray"),
        code=code_digest(),
        token_auth=os.environ.get("RAY_AUTH_MODE", "").lower() == "token",
        cuda=torch.version.cuda is not None or torch.version.hip is not None,
        missing=tuple(_meet(place, name) for place in places),
    )


def is_seen(file: Location) -> bool:
    """Wait up to ``SEEN_SECONDS`` for a file of another machine; return whether it appeared."""
    deadline = time.monotonic() + SEEN_SECONDS
    while not _is_listed(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def code_digest() -> str:
    """Digest of the source of ``jobs``, the code that runs on nodes, regardless of its version
    number."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _is_listed(file: Location) -> bool:
    """Check whether a file exists: object stores show it at once, NFS when the folder is listed."""
    if not isinstance(file, Path):
        return exists(file)
    try:
        return file.name in os.listdir(file.parent)  # noqa: PTH208 - asks the server, always
    except FileNotFoundError:
        return False


def _meet(place: Location, name: str) -> str | None:
    try:
        if not is_seen(place / DRIVER_FILE):
            return "does not see what the driver writes there"
        write_text(place / name, name)
    except OSError as error:
        return f"cannot be used there: {error.strerror or error}"
    return None
