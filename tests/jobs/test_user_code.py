import importlib
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jobs.job import Worker
from jobs.user_code import ExitCalledError, run_job
from sweep.errors import reason

NETS = """\
import sys

class OwnError(Exception):
    pass

def leave():
    sys.exit(0)

def fail():
    raise ValueError("too wide")

def fail_with_own():
    raise OwnError("too deep")
"""


class Work:
    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function

    def run(self, worker: Worker) -> Any:
        return self._function()


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "nets_of_a_user.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "nets_of_a_user", raising=False)
    return importlib.import_module("nets_of_a_user")


def test_leaving_is_a_failure_of_the_job(nets: ModuleType) -> None:
    with pytest.raises(ExitCalledError, match=r"sys\.exit\(0\) \(nets_of_a_user\.py:7, in leave\)"):
        run_job(Work(nets.leave), Worker())  # type: ignore[arg-type]


def test_a_signal_of_ray_still_ends_the_process() -> None:
    def stopped() -> None:
        raise SystemExit(signal.SIGTERM)

    with pytest.raises(SystemExit):
        run_job(Work(stopped), Worker())  # type: ignore[arg-type]


def test_the_line_of_the_user_is_part_of_the_reason(nets: ModuleType) -> None:
    with pytest.raises(ValueError, match="too wide") as error:
        run_job(Work(nets.fail), Worker())  # type: ignore[arg-type]
    assert reason(error.value) == "ValueError: too wide (nets_of_a_user.py:10, in fail)"
    sent: BaseException = pickle.loads(pickle.dumps(error.value))
    assert reason(sent) == "ValueError: too wide (nets_of_a_user.py:10, in fail)"


def test_an_error_of_a_class_that_the_driver_lacks_is_described(nets: ModuleType) -> None:
    with pytest.raises(RuntimeError) as error:
        run_job(Work(nets.fail_with_own), Worker())  # type: ignore[arg-type]
    assert reason(error.value) == (
        "RuntimeError: OwnError: too deep (nets_of_a_user.py:13, in fail_with_own)"
    )


def test_the_reason_is_the_error_that_ray_quotes_and_not_its_preamble() -> None:
    quoted = (
        "\x1b[36mray::_JobActor.__init__()\x1b[39m (pid=7, ip=10.0.0.1)\n"
        '  File "/home/a/nets.py", line 3, in <module>\n'
        "    import nowhere\n"
        "ModuleNotFoundError: No module named 'nowhere'\n"
    )
    assert reason(RuntimeError(quoted)) == (
        "RuntimeError: ModuleNotFoundError: No module named 'nowhere' (nets.py:3)"
    )
