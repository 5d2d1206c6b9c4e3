"""The last lines of a run: what failed, where the report is, and the next command."""

import json
from pathlib import Path

import pytest

from sweep.commands.names import run_argument
from sweep.commands.run_lines import next_steps
from sweep.state.control import retry_command
from sweep.state.run_folder import RunFolder, run_folder
from tests.support.tiny_run import tiny_run

BREAKS = """import torch
class Net(torch.nn.Sequential):
    def forward(self, x):
        if x.shape[1] == 48:
            raise RuntimeError("too wide")
        return super().forward(x)
def build():
    return Net(torch.nn.Linear(80, 4), torch.nn.ReLU())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run in `results`, with a report."""
    monkeypatch.chdir(tmp_path)
    folder = run_folder(Path("results/demo"))
    folder.root.mkdir(parents=True)
    folder.report.touch()
    return folder


def drove(folder: RunFolder, *arguments: str) -> None:
    folder.provenance.write_text(json.dumps({"runs": [{"arguments": list(arguments)}]}))


def test_a_run_is_named_as_shortly_as_it_can_be_typed(folder: RunFolder, tmp_path: Path) -> None:
    assert run_argument(folder) == "demo"
    Path("demo").mkdir()  # would be found first
    assert run_argument(folder) == "results/demo"
    assert run_argument(run_folder(Path("my runs/a"))) == "'my runs/a'"
    assert run_argument(RunFolder(tmp_path.parent / "else")) == str(tmp_path.parent / "else")


def test_the_last_lines_say_where_the_report_is_and_how_to_see_it(folder: RunFolder) -> None:
    assert list(next_steps(folder)) == [
        "report: results/demo/report.html",
        "see it: sweep view demo",
    ]
    folder.report.unlink()
    assert list(next_steps(folder)) == []


def test_what_failed_and_what_is_left_have_their_commands(folder: RunFolder) -> None:
    drove(folder, "run", "specs/demo.yaml", "--inline", "--fail-fast")
    retry, resume, *_ = next_steps(folder, failed=3, left=2)
    assert retry.endswith(": sweep retry demo --inline")
    assert (
        resume == "2 cells still to do; resume with: sweep run specs/demo.yaml --inline --fail-fast"
    )


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ("run demo", ""),
        ("run demo --local --set x=--inline", " --local"),
        ("run demo --address head:6379 --display rich", " --address head:6379"),
        ("run demo --address=head:6379", " --address=head:6379"),
        ("submit demo --address http://head:8265", " --address auto"),
    ],
)
def test_a_retry_runs_where_the_run_did(folder: RunFolder, arguments: str, options: str) -> None:
    drove(folder, *arguments.split())
    assert retry_command(folder, "demo") == f"sweep retry demo{options}"


def test_a_model_that_fails_has_a_line_a_row_and_a_retry(tmp_path: Path) -> None:
    with tiny_run(tmp_path / "home") as run:
        # A module of its own: this process may have imported the other already.
        (run.home / "tiny_run_breaks.py").write_text(BREAKS)
        done = run.run("--set", "models.0.factory=tiny_run_breaks:build")
        watched = run.sweep("watch", "run").stdout.splitlines()
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    cause = "failed: b: 2 layers, RuntimeError: too wide at tiny_run_breaks.py:5 in forward"
    assert cause in lines
    [row] = [line.split() for line in lines if line.startswith("b ")]
    assert "failed" in row
    status, retry, *report = lines[lines.index(cause) + 1 :]
    assert status.startswith("failed: ")
    assert retry.startswith("fix the cause, then run what failed again: sweep retry run")
    # Those who watch it read the same, but for what this run of several did.
    same = [cause, status.partition(";")[0], retry, *report]
    assert watched[watched.index(cause) :] == same
    assert set(lines[: lines.index(cause)]) <= set(watched)  # the table
    assert report == ["report: run/report.html", "see it: sweep view run"]
