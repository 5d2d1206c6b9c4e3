"""The command line: the verbs, each a function in ``sweep.verbs``, and what they are called.

Exit codes: 0 all done · 1 some cells failed, or something could not be fetched · 2 the spec or a
value on the command line is wrong · 3 the cluster cannot run it · 130, 143 stopped by a signal.
Data goes to standard output, progress and messages to standard error.
"""

import typer

from sweep.commands import data, inspect, run
from sweep.own_packages import search_own_packages_first
from sweep.signals import exit_at_once_on_second_signal

app = typer.Typer(
    help="Layer-wise probing sweeps of speech models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (
    run.run,
    run.retry,
    run.watch,
    run.stop,
    run.submit,
    inspect.plan,
    inspect.validate,
    inspect.status,
    inspect.report,
    inspect.layers,
    data.export,
    data.predict,
    data.prepare,
    data.gc,
    inspect.doctor,
):
    app.command()(verb)

fetch_app = typer.Typer(help="Bring a corpus or a checkpoint by its name.", no_args_is_help=True)
fetch_app.command("corpus")(data.fetch_corpus)
fetch_app.command("model")(data.fetch_model)
app.add_typer(fetch_app, name="fetch")


def main() -> None:
    """The ``sweep`` command."""
    search_own_packages_first()
    with exit_at_once_on_second_signal():
        app(prog_name="sweep")
