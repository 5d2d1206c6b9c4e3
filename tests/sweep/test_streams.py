"""Standard streams that are gone, full or limited: in processes of their own, as a shell makes
them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORK = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from sweep.streams import protect_standard_streams
protect_standard_streams()
for number in range(20_000):
    print("progress", number, file=sys.stderr, flush=True)
open("done", "w").write("all")
"""


def run(tmp_path: Path, script: str, redirection: str) -> "subprocess.CompletedProcess[str]":
    (tmp_path / "work.py").write_text(script)
    command = f"{sys.executable} work.py {redirection}; echo ended with $? > code"
    return subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("redirection", ["2>&1 | head -n 1", "2> /dev/full", "2>&-", ">&- 2>&-"])
def test_work_is_done_whatever_becomes_of_standard_error(tmp_path: Path, redirection: str) -> None:
    if redirection == "2> /dev/full" and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which Linux has")
    run(tmp_path, WORK, redirection)
    assert (tmp_path / "done").read_text() == "all"


def test_a_file_does_not_take_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    script = WORK + "file = open('data', 'w')\nprint('lost', file=sys.stderr)\nfile.close()\n"
    run(tmp_path, script, "2>&-")
    assert (tmp_path / "data").read_text() == ""


def test_a_full_disk_does_not_lose_data_without_an_error(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which Linux has")
    script = WORK.replace("file=sys.stderr", "file=sys.stdout")
    run(tmp_path, script, "> /dev/full")
    assert not (tmp_path / "done").exists()
    assert (tmp_path / "code").read_text() != "ended with 0\n"


def test_ascii_output_replaces_what_it_lacks(tmp_path: Path) -> None:
    script = WORK + "print('größe · R²')\n"
    (tmp_path / "work.py").write_text(script, encoding="utf-8")
    environment = {"PYTHONIOENCODING": "ascii:strict", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "work.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "gr??e ? R?\n"
