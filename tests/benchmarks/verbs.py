"""Row 20: CPU time until a verb that computes nothing has answered, as a user starts it."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.result import Result, Target
from tests.benchmarks.workbench import Workbench

SWEEP = str(Path(sys.executable).with_name("sweep"))
SPECS = Path(__file__).parents[2] / "specs"
AT_ONCE, GOAL, SECOND_RUN = 0.5, 0.35, 2.0


def run(bench: Workbench) -> list[Result]:
    """The verbs, on a finished run of the smallest spec.

    Raises:
        RuntimeError: a verb ended otherwise than expected.
    """
    folder = bench.scratch / "verbs"
    folder.mkdir()
    shutil.copy(SPECS / "smoke.yaml", folder / "smoke.yaml")
    text = (SPECS / "smoke.yaml").read_text()
    (folder / "typo.yaml").write_text(text.replace("kind: ridge", "kind: rigde"))
    (folder / "wrong.yaml").write_text(text.replace("seed: 0}", "embedding: pooled}"))
    _seconds(folder, "run smoke.yaml --inline --out run", code=0)
    verbs = (
        ("--help", 0, AT_ONCE),
        ("--version", 0, AT_ONCE),
        ("validate typo.yaml", 2, AT_ONCE),
        ("validate wrong.yaml", 2, AT_ONCE),
        ("status run", 0, AT_ONCE),
        ("list .", 0, AT_ONCE),
        ("gc --cache results/.cache --results . --dry-run", 0, AT_ONCE),
        ("run smoke.yaml --inline --out run", 0, SECOND_RUN),
    )
    return [
        Result(
            row=20,
            what=f"sweep {arguments}, CPU seconds",
            values=tuple(
                _seconds(folder, arguments, code) for _ in range(bench.repetitions(full=7))
            ),
            target=Target(limit, min(GOAL, limit)),
        )
        for arguments, code, limit in verbs
    ]


def _seconds(folder: Path, arguments: str, code: int) -> float:
    """CPU seconds of the process and of its children."""
    command: Sequence[str] = [SWEEP, *arguments.split()]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != code:
        raise RuntimeError(
            f"sweep {arguments} ended with {done.returncode}, not {code}:\n"
            f"{done.stdout}{done.stderr}"
        )
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
