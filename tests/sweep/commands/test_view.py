"""``sweep view``: the page of a run, and nothing else, on the loopback interface."""

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweep.commands.app import app

PAGE = "<!doctype html><title>Größe</title>"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that has a plan and a report, as far as it is looked at."""
    (tmp_path / "plan.json").write_text("{}")
    (tmp_path / "report.html").write_text(PAGE, encoding="utf-8")
    return tmp_path


@pytest.fixture
def served(run: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Address of the page, and the process that serves it."""
    command = [sys.executable, "-m", "sweep", "view", str(run), "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", first)
        assert address, first
        yield address[0], process
    finally:
        process.kill()
        process.communicate()


def test_the_page_is_served_until_ctrl_c(served: tuple[str, subprocess.Popen[str]]) -> None:
    address, process = served
    for path in ("", "report.html", "?x=1"):
        with urllib.request.urlopen(address + path, timeout=600) as answer:
            assert answer.read().decode() == PAGE
    for path in ("plan.json", "../plan.json", "report.html/", "%2e%2e/plan.json"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(address + path, timeout=600)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=600) == 0


def test_a_run_without_a_report_is_answered_with_how_to_build_it(run: Path) -> None:
    (run / "report.html").unlink()
    done = CliRunner().invoke(app, ["view", str(run), "--no-browser"])
    assert done.exit_code == 2
    assert "`sweep report" in done.output
