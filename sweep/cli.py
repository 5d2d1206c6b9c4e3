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
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from jobs.catalogue import CORPORA, MODELS
from sweep import open_run
from sweep.stop import COMMAND_VARIABLE, EXIT_CODES

if TYPE_CHECKING:
    from jobs.place import Place
    from sweep.display import Kind
    from sweep.run import RunOptions, RunResult

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
    str, typer.Argument(metavar="RUN", help="A run's folder or URL, such as results/demo.")
]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the spec; repeatable."),
]
Cache = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|URL",
        help="Where activations and made corpora are kept [$SWEEP_CACHE, results/.cache].",
    ),
]
Out = Annotated[
    str | None,
    typer.Option(metavar="DIR|URL", help="The run's folder, or s3://BUCKET/… [results/<name>]."),
]


Local = Annotated[bool, typer.Option("--local", help="Ray on this machine (the default).")]
Address = Annotated[str | None, typer.Option(help="A running Ray cluster.")]
Inline = Annotated[bool, typer.Option("--inline", help="No Ray: this process, for debugging.")]
ShowAs = Annotated[
    Literal["rich", "plain", "json", "none"] | None,
    typer.Option("--display", help="Progress on standard error [rich on a terminal, else plain]."),
]
FailFast = Annotated[
    bool, typer.Option("--fail-fast/--keep-going", help="Stop at the first failure.")
]
Unlock = Annotated[
    bool, typer.Option("--unlock", help="Take over from a dead driver on another machine.")
]


@app.command()
def run(
    spec: SpecPath,
    local: Local = False,
    address: Address = None,
    inline: Inline = False,
    out: Out = None,
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nothing writes it
    display: ShowAs = None,
    only: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Work on these model/layer/probe.")
    ] = None,
    fail_fast: FailFast = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget finished cells, not activations.")
    ] = False,
    cache: Cache = None,
    unlock: Unlock = False,
) -> None:
    """Run what is left of SPEC; run it again to go on where it stopped."""
    from sweep.run import RunOptions

    options = RunOptions(
        where=_where(local, address, inline),
        address=address,
        out=_place(out) if out else None,
        cache=_cache(cache),
        overrides=overrides,
        only=only,
        fail_fast=fail_fast,
        fresh=fresh,
        unlock=unlock,
        arguments=_arguments(),
    )
    _sweep(spec, options, display)


@app.command()
def retry(
    run: RunPath,
    local: Local = False,
    address: Address = None,
    inline: Inline = False,
    display: ShowAs = None,
    fail_fast: FailFast = False,
    cache: Cache = None,
    unlock: Unlock = False,
) -> None:
    """Run the failed cells of a run again, and nothing else."""
    from sweep.control import count_failed
    from sweep.run import RunOptions

    with _exit_codes():
        opened = open_run(run)
        if not count_failed(opened):
            print(f"{run}: no cell failed; go on with what is left with `sweep run`")
            return
        used = opened.provenance["cache"]
    options = RunOptions(
        where=_where(local, address, inline),
        address=address,
        out=_place(run),
        cache=_cache(cache or used),
        fail_fast=fail_fast,
        only_failed=True,
        unlock=unlock,
        arguments=_arguments(),
    )
    _sweep(opened.folder.spec, options, display)


@app.command()
def watch(
    run: RunPath,
    display: Annotated[
        Literal["rich", "plain", "json"] | None,
        typer.Option(help="On standard output [rich on a terminal, else plain]."),
    ] = None,
) -> None:
    """Show a run that goes on elsewhere, until it ends; wait for it to begin."""
    from sweep.display import make_display
    from sweep.run_folder import RunFolder
    from sweep.watch import watch_run

    with make_display(display, sys.stdout) as shown:
        try:
            ending = watch_run(RunFolder(_driven(run)), shown, _say)
        except ValueError as error:  # the file is not what a driver writes
            _say(str(error))
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print(f"the run goes on; watch it again with: sweep watch {run}", file=sys.stderr)
            raise typer.Exit(EXIT_CODES[SIGINT]) from None
    raise typer.Exit(0 if ending == "done" else 1)


@app.command()
def stop(run: RunPath) -> None:
    """Ask the driver of a run, on whatever machine, to finish what is in flight and end."""
    from sweep.control import stop_run
    from sweep.run_folder import RunFolder

    folder = RunFolder(_driven(run))
    if not folder.lock.exists():
        _say(f"{run} is not a run: expected {folder.lock.name} in it, which its driver makes")
        raise typer.Exit(2)
    raise typer.Exit(0 if stop_run(folder, _say) else 1)


@app.command()
def submit(
    spec: SpecPath,
    address: Annotated[
        str, typer.Option(metavar="URL", help="The cluster's dashboard: http://HOST:8265.")
    ],
    out: Out = None,
    cache: Cache = None,
    overrides: Overrides = [],  # noqa: B006
    unlock: Unlock = False,
) -> None:
    """Have a cluster run SPEC by itself. Paths are those of its nodes; --out and --cache, too."""
    from sweep.submit import submit

    with _exit_codes():
        job = submit(
            spec,
            address,
            out=_place(out) if out else None,
            cache=_cache(cache),
            overrides=overrides,
            unlock=unlock,
            command=sys.argv[1:],
        )
    shipped = f"shipped {job.shipped_bytes / 2**20:.1f} MiB: this project's wheel and the spec"
    print(shipped, file=sys.stderr)
    print(f"log:   ray job logs --follow {job.id} --address {address}", file=sys.stderr)
    if isinstance(job.out, Path):
        print(f"watch: sweep watch {job.out}   # where that folder is", file=sys.stderr)
        print(f"stop:  sweep stop {job.out}", file=sys.stderr)
    else:
        print(f"status: sweep status {job.out}", file=sys.stderr)
        print(f"stop:   ray job stop {job.id} --address {address}", file=sys.stderr)
    print(job.id)


@app.command()
def plan(spec: SpecPath, overrides: Overrides = [], out: Out = None, cache: Cache = None) -> None:  # noqa: B006
    """Show what `run` would do: cells, forward passes, disk. Runs nothing."""
    from sweep.views import print_plan

    with _exit_codes():
        print_plan(spec, overrides, _place(out) if out else None, _cache(cache))


@app.command()
def validate(spec: SpecPath, overrides: Overrides = [], cache: Cache = None) -> None:  # noqa: B006
    """Check SPEC, its corpus, its models and its layers."""
    from sweep.run_folder import local_cache
    from sweep.views import print_validation

    with _exit_codes():
        print_validation(spec, overrides, local_cache(_cache(cache)))


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
def predict(
    run: RunPath,
    audio: Annotated[list[Path], typer.Argument(metavar="AUDIO...", help="Files to predict.")],
    model: Annotated[str, typer.Option(help="A model of the run.")],
    layer: Annotated[str, typer.Option(help="A probed layer of it.")],
    probe: Annotated[str | None, typer.Option(help="A probe of the run [all of them].")] = None,
    target: Annotated[str | None, typer.Option(help="A target of the run [all of them].")] = None,
) -> None:
    """Apply the saved probes of a layer to new audio (a run with `save_probes: true`)."""
    from sweep.predict import predict_audio, print_predictions

    with _exit_codes():
        predicted = predict_audio(open_run(run), model, layer, audio, probe, target)
        print_predictions(predicted, audio)
    raise typer.Exit(1 if predicted.skipped else 0)


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
    from sweep.run_folder import local_cache

    with _exit_codes():
        print_preparation(prepare_corpus(spec, overrides, to, local_cache(_cache(cache))))


@app.command()
def doctor(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Check its padded batches: as `sweep layers` names models."
        ),
    ] = None,
    cache: Cache = None,
) -> None:
    """Check this machine; or, with --model, that padded batches give what one at a time gives."""
    from sweep.doctor import print_environment, print_model_check
    from sweep.run_folder import local_cache

    with _exit_codes():
        well = (
            print_environment(local_cache(_cache(cache)))
            if model is None
            else print_model_check(model)
        )
    raise typer.Exit(0 if well else 1)


def main() -> None:
    """The ``sweep`` command."""
    app(prog_name="sweep")


def _place(text: str) -> "Place":
    """A folder or a URL of the command line."""
    from jobs.place import PlaceError, as_place

    try:
        place = as_place(text)
    except PlaceError as error:
        raise typer.BadParameter(str(error)) from None
    if isinstance(place, Path) and place.is_file():
        raise typer.BadParameter(f"{text} is a file: expected a folder")
    return place


def _cache(given: str | None) -> "Place":
    return _place(given or os.environ.get("SWEEP_CACHE") or "results/.cache")


def _driven(run: str) -> Path:
    """The folder that a run is driven from."""
    place = _place(run)
    if not isinstance(place, Path):
        raise typer.BadParameter(
            f"{run} is brought up to date now and then only: give the folder that its driver named "
            "when it began, on that machine; `sweep status` takes the URL"
        )
    return place


def _arguments() -> list[str]:
    """The command line; in a driver that was submitted, that of the ``sweep submit``."""
    submitted = os.environ.get(COMMAND_VARIABLE)
    return shlex.split(submitted) if submitted else sys.argv[1:]


def _where(local: bool, address: str | None, inline: bool) -> Literal["local", "inline", "cluster"]:
    if local + inline + (address is not None) > 1:
        raise typer.BadParameter("choose one of --local, --inline and --address")
    return "inline" if inline else "cluster" if address else "local"


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _sweep(spec: Path, options: "RunOptions", display: "Kind | None") -> NoReturn:
    """Run, show, and exit."""
    from sweep.display import make_display
    from sweep.events import EventLog
    from sweep.logs import terminal_stream
    from sweep.run import run_sweep
    from sweep.views import print_result

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


def _exit_code(result: "RunResult") -> int:
    if result.stopped_by is not None and result.status == "interrupted":
        print(_how_to_go_on(), file=sys.stderr)
        return EXIT_CODES[result.stopped_by]
    return 1 if result.failed else 0


def _how_to_go_on() -> str:
    """The same command, but for --fresh: it would forget what is finished by now."""
    words = [word for word in _arguments() if word not in ("--fresh", "--unlock")]
    return f"stopped; go on with: {shlex.join(['sweep', *words])}"


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Errors of the user and of the cluster as a message and an exit code, without a traceback."""
    from jobs.archives import ArchiveError
    from jobs.fetch import FetchError
    from jobs.measure import MeasureError
    from jobs.predictions import PredictionsError
    from jobs.saved_probes import SavedProbeError
    from jobs.storage import StorageError
    from sweep.lock import RunIsLocked
    from sweep.preflight import ClusterError
    from sweep.results import RunError
    from sweep.source import SpecError
    from sweep.submit import SubmitError
    from sweep.views import UsageError

    try:
        yield
    except (
        SpecError,
        RunError,
        RunIsLocked,
        UsageError,
        SubmitError,
        PredictionsError,
        SavedProbeError,
    ) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    except (FetchError, ArchiveError, MeasureError, StorageError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    except ClusterError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(3) from None
