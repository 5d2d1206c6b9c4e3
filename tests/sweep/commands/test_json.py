"""Verbs that read a finished run: what ``--json`` says, for programs, and what they load."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiny_run import TinyRun, tiny_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished run, in the current folder."""
    with tiny_run(tmp_path_factory.mktemp("json") / "home") as run:
        assert run.run().exit_code == 0
        yield run


def printed(run: TinyRun, *arguments: str) -> Any:
    """The values that a verb prints."""
    done = run.sweep(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_status_counts_cells_and_says_the_findings(run: TinyRun) -> None:
    status = printed(run, "status", "run")
    cells = len(run.folder.ledger.read_text().splitlines())
    assert status["cells"] == {"planned": cells, "done": cells, "failed": 0}
    assert (status["name"], status["driver"], status["errors"]) == ("tiny", None, [])
    said = run.sweep("status", "run").stdout
    assert status["headlines"]
    assert all(sentence in said for sentence in status["headlines"])
    assert status["findings"]


def test_list_gives_a_row_for_each_run(run: TinyRun) -> None:
    (row,) = printed(run, "list", ".")
    cells = len(run.folder.ledger.read_text().splitlines())
    assert {**row, "last_event": ""} == {
        "run": "run", "state": "done", "done": cells, "failed": 0, "planned": cells,
        "last_event": "",
    }  # fmt: skip


def test_layers_gives_names_shapes_and_widths(run: TinyRun) -> None:
    layers = printed(run, "layers", "spec.yaml:b")["layers"]
    assert [(layer["name"], layer["width"]) for layer in layers] == [("0", 4), ("1", 4)]


def test_plan_has_nothing_left_to_do(run: TinyRun) -> None:
    plan = printed(run, "plan", "spec.yaml", "--out", "run", "--cache", "cache")
    assert plan["cells"]["to_do"] == 0
    assert plan["cells"]["done"] == len(run.folder.ledger.read_text().splitlines())
    rows = Path("corpus.csv").read_text().splitlines()
    assert plan["corpus"]["utterances"] == len(rows) - 1
    assert {model["forward_passes"] for model in plan["models"]} == {0}


@pytest.mark.parametrize(
    ("arguments", "spared"),
    [
        ("status run", {"numpy", "pandas", "yaml", "rich.console", "sweep.spec.schema"}),
        ("list .", {"numpy", "pandas", "yaml", "sweep.plan.plan"}),
        ("gc --dry-run --cache cache --results .", {"numpy", "yaml", "rich", "sweep.plan.plan"}),
    ],
)
def test_a_verb_that_reads_runs_loads_no_more_than_it_shows(
    run: TinyRun, arguments: str, spared: set[str]
) -> None:
    code = (
        "import sys\nfrom sweep.commands.app import app\n"
        "try: app(sys.argv[1:], prog_name='sweep')\nexcept SystemExit as end: code = end.code\n"
        f"print(code, *{spared!r} & {{*sys.modules}}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments.split()], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "0"
