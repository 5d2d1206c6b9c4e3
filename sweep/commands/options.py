"""Options that verbs share, and the conversion of errors to exit codes."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sweep.commands.excerpts import with_excerpts
from sweep.commands.names import complete_runs, complete_specs, find_run, find_spec
from sweep.errors import SpecError, describe_os_error
from sweep.signals import COMMAND_VARIABLE

if TYPE_CHECKING:
    from jobs.storage.location import Location

EXIT_CODES = {
    "sweep.errors.SpecError": 2,
    "sweep.errors.RunError": 2,
    "sweep.errors.UsageError": 2,
    "sweep.errors.RunIsLocked": 2,
    "sweep.errors.GcError": 2,
    "sweep.errors.ClusterError": 3,
    "sweep.commands.submit_job.SubmitError": 2,
    "jobs.corpus.table.CorpusError": 2,
    "jobs.probing.joint_cca.CanonicalError": 2,
    "jobs.probing.saved_probes.SavedProbeError": 2,
    "jobs.protocol.predictions.PredictionsError": 2,
    "jobs.storage.regular_files.DamagedFile": 2,
    "jobs.activations.manifest.CorruptShard": 1,
    "jobs.downloads.connection.FetchError": 1,
    "jobs.downloads.archives.ArchiveError": 1,
    "jobs.targets.measured_values.MeasureError": 1,
    "sweep.tracking.base.TrackingError": 1,
    "builtins.OSError": 1,
}
"""Exit code of each error of the user or the cluster, by its name, as importing all of them would
take seconds."""

WHAT, WHERE, HOW, FILES = "What to run", "Where to run", "How to run", "Where files are"
"""Groups of options in the help."""

SpecPath = Annotated[
    Path,
    typer.Argument(
        metavar="SPEC",
        help="A YAML spec, such as specs/demo.yaml, or its name there: demo.",
        callback=find_spec,
        autocompletion=complete_specs,
    ),
]
RunPath = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run's folder or URL, such as results/demo, or its name there: demo.",
        callback=find_run,
        autocompletion=complete_runs,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a value of the spec; repeatable.",
        rich_help_panel=WHAT,
    ),
]
Cache = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|URL",
        help="Where activations and made corpora are kept [$SWEEP_CACHE, results/.cache].",
        rich_help_panel=FILES,
    ),
]
Out = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|URL",
        help="The run's folder, or s3://BUCKET/… [results/<name>].",
        rich_help_panel=FILES,
    ),
]
Local = Annotated[
    bool,
    typer.Option(
        "--local",
        help="Ray on this machine (the default).",
        rich_help_panel=WHERE,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="A running Ray cluster.",
        rich_help_panel=WHERE,
    ),
]
Inline = Annotated[
    bool,
    typer.Option(
        "--inline",
        help="No Ray: this process, for debugging.",
        rich_help_panel=WHERE,
    ),
]
ExecutorName = Annotated[
    str | None,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="An executor by name, such as one you added.",
        rich_help_panel=WHERE,
    ),
]
ShowAs = Annotated[
    Literal["rich", "plain", "json", "none"] | None,
    typer.Option(
        "--display",
        help="Progress on standard error [rich on a terminal, else plain].",
        rich_help_panel=HOW,
    ),
]
FailFast = Annotated[
    bool,
    typer.Option(
        "--fail-fast/--keep-going", help="Stop at the first failure.", rich_help_panel=HOW
    ),
]
Unlock = Annotated[
    bool,
    typer.Option(
        "--unlock", help="Take over from a dead driver on another machine.", rich_help_panel=HOW
    ),
]


def place_of(text: str) -> "Location":
    """Parse a folder or a URL of the command line."""
    from jobs.storage.location import LocationError, parse_location

    try:
        place = parse_location(text)
    except LocationError as error:
        raise typer.BadParameter(str(error)) from None
    if isinstance(place, Path) and place.is_file():
        raise typer.BadParameter(f"{text} is a file: expected a folder")
    return place


def out_of(given: str | None) -> "Location | None":
    """Parse the run's folder, if given."""
    if given is not None and not given.strip():
        raise typer.BadParameter(
            "--out is empty: expected a folder or a URL; is a variable unset that was to hold it?"
        )
    return place_of(given) if given is not None else None


def cache_of(given: str | None) -> "Location":
    """Return the activation cache."""
    if given is not None and not given.strip():
        raise typer.BadParameter(
            "--cache is empty: expected a folder or a URL; is a variable unset that was to hold it?"
        )
    return place_of(given or os.environ.get("SWEEP_CACHE") or "results/.cache")


def where_of(local: bool, address: str | None, inline: bool, executor: str | None) -> str:
    """Return the name of the executor to run on."""
    if local + inline + (address is not None or executor is not None) > 1:
        raise typer.BadParameter("choose one of --local, --inline, --address and --executor")
    if address is not None:
        check_address(address)
    if executor is not None:
        _check_executor(executor)
        return executor
    return "inline" if inline else "cluster" if address else "local"


def _check_executor(name: str) -> None:
    from sweep.executors.registry import EXECUTORS
    from sweep.spec.suggestions import nearest

    if name not in EXECUTORS:
        raise typer.BadParameter(f"no executor {name!r}{nearest(name, list(EXECUTORS))}")


def check_address(address: str) -> None:
    """Refuse an empty address: ``--address "$HEAD"`` with HEAD unset does not mean this machine."""
    if not address.strip():
        raise typer.BadParameter(
            "--address is empty: expected a cluster's address; is a variable unset that was to "
            "hold it?"
        )


def typed_arguments() -> list[str]:
    """Return the command line; in a submitted driver, that of the ``sweep submit``."""
    submitted = os.environ.get(COMMAND_VARIABLE)
    return shlex.split(submitted) if submitted else sys.argv[1:]


def resume_hint() -> str:
    """Describe how to resume a run that was stopped."""
    from sweep.state.control import resume_with

    return f"stopped; {resume_with(typed_arguments())}"


def say(message: str) -> None:
    """Print a message on standard error, without what a server or a file may have put into it to
    change the terminal."""
    from sweep.progress.wording import printable

    lines = message.splitlines() or [""]
    print("\n".join(map(printable, lines)), file=sys.stderr, flush=True)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Convert errors of the user and of the cluster to a message and an exit code, without a
    traceback."""
    try:
        yield
    except (typer.Exit, typer.BadParameter, BrokenPipeError):
        raise
    except Exception as error:
        code = _exit_code_of(error)
        if code is None:
            raise
        say(_message_of(error))
        raise typer.Exit(code) from None


def _message_of(error: Exception) -> str:
    if isinstance(error, SpecError):
        return with_excerpts(error.problems)
    return describe_os_error(error) if isinstance(error, OSError) else str(error)


def _exit_code_of(error: Exception) -> int | None:
    """Return the exit code of an error; None: a bug in this program, which is shown with its
    traceback."""
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return next((EXIT_CODES[name] for name in names if name in EXIT_CODES), None)
