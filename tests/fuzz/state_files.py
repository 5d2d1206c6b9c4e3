"""The files of a run and its cache that are read again, with damage of every kind."""

import json
import os
import random
import shutil
from pathlib import Path

from jobs.storage.npz_files import SUM, load_npz
from jobs.targets.measured_values import SUMS_SUFFIX
from tests.fuzz.files import damaged
from tests.support.tiny_run import TinyRun

VERBS: dict[str, tuple[tuple[str, ...], ...]] = {
    "run": (
        ("status", "run"), ("report", "run"), ("list", "."), ("plan",), ("run",), ("run",),
        ("export", "run", "--to", "exported"), ("retry", "run", "--inline"), ("gc",),
    ),
    "cache": (("plan",), ("run",), ("validate",), ("gc",), ("export", "run", "--to", "exported")),
}  # fmt: skip
"""Top folder → verbs that read files in it."""
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "plan": ("plan", "spec.yaml", "--out", "run", "--cache", "cache"),
    "validate": ("validate", "spec.yaml", "--cache", "cache"),
    "gc": ("gc", "--cache", "cache", "--results", ".", "--dry-run"),
    "run": ("run", "spec.yaml", "--inline", "--out", "run", "--cache", "cache",
            "--display", "none"),
}  # fmt: skip

_LINES = (b"[" * 100_000, b"\xff\xfe", b"null", b"{}", b"[]", b"1", b'{"a": NaN}', b'"\\ud800"',
          b"[1" + b"0" * 400 + b"]", b"{" + b'"a":{' * 5_000, b"\x00" * 100)  # fmt: skip
"""Contents, or lines, that are hardly ever right."""


KINDS = (
    *("digit",) * 4, *("bytes",) * 6, "line", "whole", "empty", "missing", "folder", "pipe",
)  # fmt: skip
"""Kinds of damage, as often as they are tried."""


def files_of(run: TinyRun) -> list[Path]:
    """List the files that are read again."""
    folder, cache = run.folder, run.cache
    patterns = ("measured/*", "activations/*/*.json", "runs/*.json")
    return [
        folder.spec, folder.plan, folder.utterances, folder.skipped, folder.ledger, folder.events,
        folder.provenance, folder.inputs, folder.lock, folder.findings,
        *sorted(folder.predictions.glob("*.npz")), *sorted(folder.probes.iterdir()),
        *(path for pattern in patterns for path in sorted(cache.glob(pattern))),
    ]  # fmt: skip


def damage(path: Path, random_: random.Random) -> str:
    """Damage a file, and say how."""
    kinds = (
        ("digit",) * 4 + ("bytes",) * 6 + ("line", "whole", "empty", "missing", "folder", "pipe")
    )
    kind, content = random_.choice(kinds), path.read_bytes() if path.exists() else b""
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "missing":
        path.write_bytes(_content(kind, content, random_))
    return kind


def _content(kind: str, content: bytes, random_: random.Random) -> bytes:
    match kind:
        case "digit":
            places = [at for at, byte in enumerate(content) if 48 <= byte < 58]
            if not places:
                return content
            at = random_.choice(places)
            return content[:at] + bytes([48 + (content[at] - 47) % 10]) + content[at + 1 :]
        case "line":
            lines = content.split(b"\n")
            lines[random_.randrange(len(lines))] = random_.choice(_LINES)
            return b"\n".join(lines)
        case "whole":
            return random_.choice(_LINES) + b"\n"
        case "empty":
            return b""
    return damaged(content, random_)


def remove_sums(run: TinyRun) -> None:
    """Make the files those of a version that knew no checksums."""
    lines = [json.loads(line) for line in run.folder.ledger.read_bytes().splitlines()]
    for values in lines:
        del values["sum"]
    run.folder.ledger.write_text("".join(f"{json.dumps(values)}\n" for values in lines))
    for path in (run.folder.plan, run.folder.provenance, *run.folder.probes.glob("*.json")):
        values = json.loads(path.read_bytes())
        for key in ("files", "sum", "weights_sum"):
            values.pop(key, None)
        path.write_text(json.dumps(values, indent=1))
    for path in run.folder.predictions.glob("*.npz"):
        rewrite_arrays(path)
    for path in run.cache.glob(f"measured/*{SUMS_SUFFIX}"):
        path.unlink()
    run.folder.inputs.unlink(missing_ok=True)


def rewrite_arrays(path: Path, **changes: object) -> None:
    """Write the arrays of an ``.npz`` again, with changes, and without their checksum."""
    import numpy as np

    arrays, _ = load_npz(path.read_bytes())
    with path.open("wb") as file:
        np.savez_compressed(file, **{**arrays, **changes})
    assert SUM not in arrays


def remove(path: Path) -> None:
    """Delete a file, or the folder in its place."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
