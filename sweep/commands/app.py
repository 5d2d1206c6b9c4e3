"""The command line, with one file per verb.

Exit codes: 0 all done · 1 some cells failed, or something could not be fetched · 2 the spec or a
value on the command line is wrong · 3 the cluster cannot run it · 130, 143 stopped by a signal.
Data goes to standard output, progress and messages to standard error.
"""

import os
from collections.abc import Callable
from typing import Annotated

import typer

from sweep.commands.compare import compare
from sweep.commands.doctor import doctor
from sweep.commands.export import export
from sweep.commands.fetch import fetch_corpus, fetch_model
from sweep.commands.gc import gc
from sweep.commands.help_text import GroupedCommand, GroupedCommands
from sweep.commands.init import init
from sweep.commands.layers import layers
from sweep.commands.list_runs import list_runs
from sweep.commands.plan import plan
from sweep.commands.predict import predict
from sweep.commands.prepare import prepare
from sweep.commands.report import report
from sweep.commands.retry import retry
from sweep.commands.run import run
from sweep.commands.schema import schema
from sweep.commands.status import status
from sweep.commands.stop import stop
from sweep.commands.submit import submit
from sweep.commands.validate import validate
from sweep.commands.view import view
from sweep.commands.watch import watch
from sweep.own_packages import DISTRIBUTION, search_own_packages_first
from sweep.signals import exit_at_once_if_asked
from sweep.streams import protect_standard_streams

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    cls=GroupedCommands,
    help="Layer-wise probing sweeps of speech models.",
    no_args_is_help=True,
    context_settings=HELP_OPTIONS,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
VERBS: dict[str, tuple[Callable[..., None], ...]] = {
    "Write and check a spec": (init, validate, plan, layers, schema),
    "Run it": (run, retry, watch, stop, submit),
    "Look at the results": (status, list_runs, view, report, compare, export, predict),
    "Data and machine": (prepare, gc, doctor),
}
"""Title of a group in the help → its verbs."""
for group, verbs in VERBS.items():
    for verb in verbs:
        name = verb.__name__.removesuffix("_runs")
        app.command(name, cls=GroupedCommand, rich_help_panel=group)(verb)

fetch_app = typer.Typer(help="Download a corpus or a checkpoint by name.", no_args_is_help=True)
fetch_app.command("corpus", cls=GroupedCommand)(fetch_corpus)
fetch_app.command("model", cls=GroupedCommand)(fetch_model)
app.add_typer(fetch_app, name="fetch", rich_help_panel="Data and machine")


def _print_version(asked: bool) -> None:
    if asked:
        from importlib import metadata  # takes as long as the rest of the command line

        print(f"{DISTRIBUTION} {metadata.version(DISTRIBUTION)}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Layer-wise probing sweeps of speech models."""


def main() -> None:
    """The ``sweep`` command."""
    protect_standard_streams()
    search_own_packages_first()
    # Pydantic would read the metadata of every installed package in search of plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    with exit_at_once_if_asked():
        app(prog_name="sweep")
