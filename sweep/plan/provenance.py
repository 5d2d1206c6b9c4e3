"""Provenance of a run's results: code, packages, hardware, arguments and digests."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from jobs.secrets import without_secrets
from sweep.plan.plan import Plan

PACKAGES = (
    "probing-sweep", "torch", "ray", "wespeaker-unofficial", "lhotse", "numpy", "scipy",
    "scikit-learn", "pandas", "soundfile", "espeakng-loader", "transformers", "praat-parselmouth",
    "silero-vad", "python-stretch",
)  # fmt: skip


REVISION_FILE = "revision.json"
"""Revision of code that was shipped without its git checkout, in the folder of ``sweep``."""


def describe_plan(plan: Plan) -> dict[str, object]:
    """Return digests of weights and data, as JSON values."""
    return {
        "models": {
            model.name: {
                "architecture": model.architecture,
                "weights": model.digest,
                "parameters": model.n_parameters,
                "seed": getattr(model.extract.model, "seed", None),
            }
            for model in plan.models
        },
        "data": {
            "labels": plan.targets,
            "activations": {
                m.name: {s.split: s.activation_id for s in m.all_sets} for m in plan.models
            },
        },
    }


def describe_session(arguments: Sequence[str], executor: str) -> dict[str, object]:
    """Describe this process: its code, packages and machine, as JSON values."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "arguments": [without_secrets(argument) for argument in arguments],
        "executor": executor,
        "git": git_state(Path(__file__).parent) or _shipped_revision(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "hardware": hardware(),
    }


def git_state(folder: Path) -> dict[str, object] | None:
    """Return the revision and whether files were changed since; None outside a git checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()

    try:
        return {"revision": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _shipped_revision() -> object:
    file = Path(__file__).parents[1] / REVISION_FILE
    return json.loads(file.read_text()) if file.exists() else None


def hardware() -> dict[str, object]:
    """Describe this machine, as JSON values."""
    import torch  # imported here: describing code and packages needs no torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "gpus": gpus,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if sys.platform == "linux" and cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
