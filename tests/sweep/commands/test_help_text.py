"""What ``--help`` shows."""

import re
import shlex

import pytest
import typer.main
from typer.testing import CliRunner

from sweep.commands.app import VERBS, app
from sweep.commands.help_text import EXAMPLES

LINES = [line for lines in EXAMPLES.values() for line in lines]


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--help"], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    return result.output


def test_every_verb_has_examples() -> None:
    names = {verb.__name__.removesuffix("_runs") for verbs in VERBS.values() for verb in verbs}
    assert names | {"corpus", "model"} == set(EXAMPLES)


@pytest.mark.parametrize("line", LINES)
def test_an_example_has_the_arguments_and_options_of_its_command(line: str) -> None:
    name, *words = shlex.split(line.partition(" > ")[0])
    assert name == "sweep"
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
    context = command.make_context(command.name, list(words), resilient_parsing=True)
    assert context.args == []
    missing = [p.name for p in command.params if p.required and not context.params.get(p.name)]
    assert missing == []


def test_commands_and_options_are_shown_in_groups_with_examples_last() -> None:
    commands, options = shown(), shown("run")
    titles = re.findall(r"^(\w.+):$", commands, re.MULTILINE)
    assert titles == ["Options", *VERBS]
    titles = re.findall(r"^(\w.+):$", options, re.MULTILINE)
    assert titles == [
        "Arguments", "Where to run", "Where files are", "What to run", "How to run", "Options",
        "Examples",
    ]  # fmt: skip
    assert options.rstrip().endswith(EXAMPLES["run"][-1])


def test_descriptions_of_commands_are_not_cut() -> None:
    assert "..." not in shown().partition("[ARGS]...")[2]
