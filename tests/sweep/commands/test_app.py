"""The command line as a whole: its verbs, and that asking for help costs nothing."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from jobs.storage.object_store import StorageError
from sweep.commands.app import app
from sweep.commands.options import EXIT_CODES, exit_codes
from sweep.errors import ClusterError, GcError, Problem, RunIsLocked, SpecError

VERBS = {
    "run", "plan", "validate", "status", "watch", "retry", "report", "export", "layers", "prepare",
    "fetch", "submit", "compare", "doctor", "gc", "stop", "predict", "list",
    "init", "schema", "view",
}  # fmt: skip


def test_the_verbs_are_those_of_the_readme_each_with_a_line_of_help() -> None:
    group: Any = get_command(app)
    assert set(group.commands) == VERBS
    assert all(verb.get_short_help_str() for verb in group.commands.values())


HEAVY = {"torch", "ray", "sklearn", "scipy", "pandas", "matplotlib", "numpy", "jinja2", "fsspec"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"], ["--version"], ["run", "--help"], ["list", "."], ["gc", "--cache", "nowhere"],
        ["validate", "wrong.yaml"], ["fetch", "model", "--help"], ["status", "nowhere"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_verb_loads_no_more_than_it_needs(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("name: x\ncorpus: {kind: espeak}\nmodels: []\n")
    code = (
        "import sys\nfrom sweep.commands.app import app\n"
        f"try: app({arguments!r}, prog_name='sweep')\nexcept SystemExit: pass\n"
        f"sys.exit(' '.join({HEAVY!r} & {{*sys.modules}}) or 7)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 7, done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SpecError([Problem("x.yaml", 1, 1, "is wrong")]), 2),
        (RunIsLocked("is wrong"), 2),
        (GcError("is wrong"), 2),
        (StorageError("is wrong"), 1),
        (ClusterError("is wrong"), 3),
    ],
)
def test_an_error_becomes_a_message_and_an_exit_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, exit_codes():
        raise error
    assert ended.value.exit_code == code
    assert "is wrong" in capsys.readouterr().err


@pytest.mark.parametrize("name", EXIT_CODES)
def test_every_error_with_an_exit_code_exists(name: str) -> None:
    module, _, error = name.rpartition(".")
    assert issubclass(getattr(importlib.import_module(module), error), Exception)


@pytest.mark.parametrize("verb", ["run", "submit"])
def test_an_empty_address_is_not_this_machine(verb: str) -> None:
    done = CliRunner().invoke(app, [verb, "specs/smoke.yaml", "--address", ""])
    assert done.exit_code == 2
    assert "--address is empty" in done.output


def test_a_mistake_of_this_program_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), exit_codes():
        raise ZeroDivisionError
