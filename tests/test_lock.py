import subprocess
import sys
from pathlib import Path

import pytest

from sweep.lock import RunIsLocked, run_lock

HOLD = """
import sys
from pathlib import Path
from sweep.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunIsLocked, match=f"process {holder.pid}"), run_lock(path):
            pass
        holder.kill()
        holder.wait()
        with run_lock(path):
            pass
