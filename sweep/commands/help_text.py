"""Layout of ``--help``: commands and options in groups, and examples."""

from collections.abc import Iterable
from typing import Any

from typer.core import TyperCommand, TyperGroup

EXAMPLES = {
    "init": ("sweep init --csv recordings.csv", "sweep init --librispeech data/LibriSpeech"),
    "run": (
        "sweep run demo",
        "sweep run specs/full.yaml --address 10.0.0.1:6379",
        "sweep run demo --set corpus.seed=1 --out results/demo-1",
        "sweep run demo --inline --only 'SimAM*/*/ridge'",
    ),
    "retry": ("sweep retry demo",),
    "watch": ("sweep watch demo", "sweep watch s3://bucket/runs/full"),
    "stop": ("sweep stop demo",),
    "submit": ("sweep submit specs/full.yaml --address http://10.0.0.1:8265",),
    "plan": ("sweep plan specs/full.yaml", "sweep plan demo --json"),
    "validate": ("sweep validate my-study.yaml",),
    "layers": ("sweep layers ResNet34", "sweep layers 'demo:pitch network'"),
    "doctor": ("sweep doctor", "sweep doctor --model specs/full.yaml:ResNet34"),
    "status": ("sweep status demo", "sweep status demo --json"),
    "list": ("sweep list", "sweep list s3://bucket/runs"),
    "report": ("sweep report demo",),
    "view": ("sweep view demo",),
    "export": ("sweep export demo", "sweep export demo --to parquet --license cc-by-4.0"),
    "compare": ("sweep compare first second", "sweep compare a b c --out results/compared"),
    "predict": ("sweep predict my-study new/*.wav --model trained --layer embedding",),
    "prepare": ("sweep prepare my-study.yaml",),
    "gc": ("sweep gc --dry-run",),
    "schema": ("sweep schema > sweep.schema.json",),
    "corpus": ("sweep fetch corpus dev-clean",),
    "model": ("sweep fetch model voxceleb_resnet221_LM",),
}
"""Verb → command lines that its help shows."""


LONGEST = 200
"""Most characters of a command's description in the list of commands."""


class GroupedCommand(TyperCommand):
    """A command whose help shows options by group, and examples."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section per group of options, those without a group last."""
        rows = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record:
                usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
                rows.append((getattr(parameter, "rich_help_panel", None) or usual, record))
        rows.sort(key=lambda row: row[0] == "Options")
        _write_sections(formatter, rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, a line each."""
        if self.name in EXAMPLES:
            with formatter.section("Examples"):
                for line in EXAMPLES[self.name]:
                    formatter.write(f"{' ' * formatter.current_indent}{line}\n")


class GroupedCommands(TyperGroup):
    """A group of commands whose help shows them by group."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section per group of commands."""
        commands = [self.get_command(ctx, name) for name in self.list_commands(ctx)]
        rows = [
            (
                getattr(command, "rich_help_panel", None) or "Commands",
                (str(command.name), command.get_short_help_str(LONGEST)),
            )
            for command in commands
            if command and not command.hidden
        ]
        _write_sections(formatter, rows)


def _write_sections(formatter: Any, rows: Iterable[tuple[str, tuple[str, str]]]) -> None:
    """Write rows (section, (term, text)), sections in the order of their first rows."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for section, row in rows:
        sections.setdefault(section, []).append(row)
    for section, records in sections.items():
        with formatter.section(section):
            formatter.write_dl(records)
