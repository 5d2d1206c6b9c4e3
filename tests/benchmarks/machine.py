"""Where and with what the ratios were measured."""

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from sweep.plan.provenance import git_state, hardware

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "ray", "lhotse", "soundfile")


def describe() -> dict[str, Any]:
    """Machine, date, and versions, as JSON values."""
    found = hardware()
    return {
        "processor": found["processor"],
        "cores": found["cores"],
        "memory_gib": found["memory_gib"],
        "gpus": found["gpus"],
        "load_before": load(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "git": git_state(Path(__file__).parent),
    }


def load() -> float:
    """Processes that run or wait to, on average over the last minute."""
    return round(os.getloadavg()[0], 2)


def headline(machine: dict[str, Any]) -> str:
    """Two lines for people."""
    git = machine["git"]
    revision = f", {git['revision'][:8]}{' + changes' if git['dirty'] else ''}" if git else ""
    gpus = "".join(f", {gpu}" for gpu in machine["gpus"]) or ", no GPU"
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gib']} GiB{gpus}; "
        f"load {machine['load_before']} before, {machine['load_after']} after; "
        f"{machine['date']}{revision}\n"
        f"Python {machine['python']}, {versions}"
    )
