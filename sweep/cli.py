"""The command line: verbs, options and exit codes; no logic.

Exit codes: 0 all done · 1 some cells failed, or something could not be fetched · 2 the spec or a
value on the command line is wrong · 3 the cluster cannot run it · 130, 143 stopped by a signal.
Data goes to standard output, progress and messages to standard error.
"""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from jobs.catalogue import CORPORA, MODELS
from sweep import open_run
from sweep.stop import EXIT_CODES

if TYPE_CHECKING:
    from sweep.run import RunResult

# Verbs import what they need when they run: torch and Ray take seconds, and --help needs neither.

app = typer.Typer(
    help="Layer-wise probing sweeps of speech models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

SpecPath = Annotated[
    Path, typer.Argument(metavar="SPEC", help="A YAML spec, such as specs/demo.yaml.")
]
RunPath = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's folder, such as results/demo.")
]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the spec; repeatable."),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        file_okay=False,
        help="Where activations and made corpora are kept [$SWEEP_CACHE, results/.cache].",
    ),
]
Out = Annotated[
    Path | None, typer.Option(file_okay=False, help="The run's folder [results/<name>].")
]


@app.command()
def run(
    spec: SpecPath,
    local: Annotated[
        bool, typer.Option("--local", help="Ray on this machine (the default).")
    ] = False,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster.")] = None,
    inline: Annotated[
        bool, typer.Option("--inline", help="No Ray: this process, for debugging.")
    ] = False,
    out: Out = None,
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nothing writes it
    display: Annotated[
        Literal["rich", "plain", "json", "none"] | None,
        typer.Option(help="Progress on standard error [rich on a terminal, else plain]."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Work on these model/layer/probe.")
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast/--keep-going", help="Stop at the first failure.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget finished cells, not activations.")
    ] = False,
    cache: Cache = None,
) -> None:
    """Run what is left of SPEC; run it again to go on where it stopped."""
    from sweep.display import make_display
    from sweep.events import EventLog
    from sweep.logs import terminal_stream
    from sweep.run import RunOptions, run_sweep
    from sweep.views import print_result

    if local + inline + (address is not None) > 1:
        raise typer.BadParameter("choose one of --local, --inline and --address")
    options = RunOptions(
        where="inline" if inline else "cluster" if address else "local",
        address=address,
        out=out,
        cache=_cache(cache),
        overrides=overrides,
        only=only,
        fail_fast=fail_fast,
        fresh=fresh,
        arguments=sys.argv[1:],
    )
    with (
        _exit_codes(),
        terminal_stream() as terminal,
        make_display(display, terminal) as shown,
        EventLog([shown]) as events,
    ):
        try:
            result = run_sweep(spec, options, events)
        except KeyboardInterrupt:  # before the driver listens for it, or after
            print(_how_to_go_on(), file=terminal)
            raise typer.Exit(EXIT_CODES[SIGINT]) from None
    print_result(result)
    raise typer.Exit(_exit_code(result))


@app.command()
def plan(spec: SpecPath, overrides: Overrides = [], out: Out = None, cache: Cache = None) -> None:  # noqa: B006
    """Show what `run` would do: cells, forward passes, disk. Runs nothing."""
    from sweep.views import print_plan

    with _exit_codes():
        print_plan(spec, overrides, out, _cache(cache))


@app.command()
def validate(spec: SpecPath, overrides: Overrides = [], cache: Cache = None) -> None:  # noqa: B006
    """Check SPEC, its corpus, its models and its layers."""
    from sweep.views import print_validation

    with _exit_codes():
        print_validation(spec, overrides, _cache(cache))


@app.command()
def status(run: RunPath) -> None:
    """Show where a run stands, from its files."""
    from sweep.views import print_status

    with _exit_codes():
        print_status(open_run(run))


@app.command()
def report(run: RunPath) -> None:
    """Rebuild tables, plots and report.html from the ledger."""
    from sweep.report.build import build_report

    with _exit_codes():
        print(build_report(open_run(run)))


fetch_app = typer.Typer(help="Bring a corpus or a checkpoint by its name.", no_args_is_help=True)
app.add_typer(fetch_app, name="fetch")

Mirror = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="SWEEP_MIRROR",
        help="A folder that has the archive [its publisher's].",
    ),
]
To = Annotated[Path | None, typer.Option(help="The folder that it arrives in.")]


@fetch_app.command("corpus")
def fetch_corpus(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"{', '.join(CORPORA)}.")],
    to: To = None,
    mirror: Mirror = None,
) -> None:
    """Bring a LibriSpeech subset to data/raw/LibriSpeech."""
    from sweep.fetching import fetch

    with _exit_codes():
        print(fetch("corpus", name, to, mirror))


@fetch_app.command("model")
def fetch_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"{', '.join(MODELS)}.")],
    to: To = None,
    mirror: Mirror = None,
) -> None:
    """Bring a WeSpeaker checkpoint to data/models, where specs find it by its name."""
    from sweep.fetching import fetch

    with _exit_codes():
        print(fetch("model", name, to, mirror))


@app.command()
def layers(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A checkpoint folder, an architecture, or SPEC:NAME."),
    ],
) -> None:
    """List a model's layers: index, name, the study's name, shape, pooled width."""
    from sweep.views import print_layers

    with _exit_codes():
        print_layers(model)


@app.command()
def export(
    run: RunPath,
    to: Annotated[Path | None, typer.Option(help="Folder to write to [RUN/export].")] = None,
    chroma: Annotated[
        Path | None, typer.Option(help="Write the embeddings to a ChromaDB in this folder, too.")
    ] = None,
    activations: Annotated[
        bool, typer.Option("--activations/--no-activations", help="Those of every layer: large.")
    ] = True,
) -> None:
    """Write the speech-rate study's own files from a finished run."""
    from sweep.export.study import export_run

    with _exit_codes():
        exported = export_run(open_run(run), to, chroma, activations=activations)
        for note in exported.notes:
            print(note, file=sys.stderr)
        print(exported.folder)


@app.command()
def prepare(
    spec: SpecPath,
    to: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder to write to [results/<name>/corpus]."),
    ] = None,
    overrides: Overrides = [],  # noqa: B006
    cache: Cache = None,
) -> None:
    """Write the corpus of SPEC as the study's tables and show its statistics. Loads no model."""
    from sweep.preparing import prepare_corpus, print_preparation

    with _exit_codes():
        print_preparation(prepare_corpus(spec, overrides, to, _cache(cache)))


def main() -> None:
    """The ``sweep`` command."""
    app(prog_name="sweep")


def _cache(given: Path | None) -> Path:
    return given or Path(os.environ.get("SWEEP_CACHE") or "results/.cache")


def _exit_code(result: "RunResult") -> int:
    if result.stopped_by is not None and result.status == "interrupted":
        print(_how_to_go_on(), file=sys.stderr)
        return EXIT_CODES[result.stopped_by]
    return 1 if result.failed else 0


def _how_to_go_on() -> str:
    """The same command, but for --fresh: it would forget what is finished by now."""
    words = [word for word in sys.argv[1:] if word != "--fresh"]
    return f"stopped; go on with: {shlex.join(['sweep', *words])}"


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Errors of the user and of the cluster as a message and an exit code, without a traceback."""
    from jobs.archives import ArchiveError
    from jobs.fetch import FetchError
    from jobs.predictions import PredictionsError
    from sweep.executors import ClusterError
    from sweep.lock import RunIsLocked
    from sweep.results import RunError
    from sweep.source import SpecError
    from sweep.views import UsageError

    try:
        yield
    except (SpecError, RunError, RunIsLocked, UsageError, PredictionsError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    except (FetchError, ArchiveError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    except ClusterError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(3) from None
