"""A time limit ends a process that hangs, whatever holds the interpreter."""

import subprocess
import sys
import time

import pytest

from jobs.process import TimeLimit


def ended(code: str) -> tuple[int, str]:
    program = "import time, threading, ctypes\nfrom jobs.process import TimeLimit\n" + code
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False
    )
    return done.returncode, done.stderr


def test_a_job_in_time_is_left_alone() -> None:
    limit = TimeLimit(0.2)
    with limit.job():
        pass
    time.sleep(0.4)
    with TimeLimit(None).job():
        pass


def test_a_job_that_raises_is_over() -> None:
    with pytest.raises(ValueError, match="x"), TimeLimit(0.2).job():
        raise ValueError("x")
    time.sleep(0.4)


@pytest.mark.parametrize(
    "hang",
    ["time.sleep(60)", "ctypes.PyDLL(None).sleep(60)"],
    ids=["waiting", "holding the interpreter"],
)
def test_a_job_that_hangs_ends_the_process_with_its_traceback(hang: str) -> None:
    code, errors = ended(f"with TimeLimit(0.5).job():\n    {hang}")
    assert code == 1
    assert "Timeout" in errors
    assert 'File "<string>", line 4' in errors


def test_of_two_jobs_at_a_time_each_has_its_own_limit() -> None:
    code, errors = ended(
        "limit = TimeLimit(1.0)\n"
        "def hang():\n"
        "    with limit.job():\n"
        "        time.sleep(60)\n"
        "threading.Thread(target=hang, daemon=True).start()\n"
        "for _ in range(100):\n"
        "    with limit.job():\n"
        "        time.sleep(0.1)\n"
    )
    assert code == 1
    assert "hang" in errors
