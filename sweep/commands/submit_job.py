"""``sweep submit``: a driver that runs on the cluster itself, so that the laptop may sleep.

A wheel of this project, unpacked, and the resolved spec are shipped: never the folder, with its
data, caches and possibly secrets. The wheel is unpacked because Ray would install it with all its
dependencies; those must be on the nodes already, as for ``sweep run --address``. If the project is
installed as a wheel, its installed files are shipped.
"""

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel

from jobs.models.wespeaker.folders import INCLUDED
from jobs.secrets import without_secrets
from jobs.storage.location import Location
from jobs.storage.object_store import size, write_text
from sweep.errors import Problem, SpecError
from sweep.executors.job_submission import submit_entrypoint
from sweep.own_packages import DISTRIBUTION, ROOT
from sweep.plan.provenance import REVISION_FILE, git_state
from sweep.signals import COMMAND_VARIABLE
from sweep.spec.check import Finding, KeyPath
from sweep.spec.loading import read_spec
from sweep.spec.schema import Spec
from sweep.state.run_folder import run_folder

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "sweep", "jobs")
"""Sources of the wheel."""
SPEC_NAME = "spec.yaml"
SHIPPED_BYTES = 100 * 2**20
"""Maximum number of bytes shipped. Ray takes up to 500 MiB (GCS_STORAGE_MAX_SIZE in its
packaging.py), and keeps it in the memory of the head."""


class SubmitError(RuntimeError):
    """Nothing can be submitted; the message says why."""


@dataclass(frozen=True)
class Submission:
    """A sweep that the cluster has accepted."""

    id: str
    """Ray's id of the job."""
    out: Location
    """The run's folder, as the cluster's nodes see it."""
    shipped_bytes: int


def submit(
    spec_path: Path,
    url: str,
    *,
    out: Location | None,
    cache: Location | None,
    overrides: Sequence[str] = (),
    unlock: bool = False,
    command: Sequence[str] = (),
) -> Submission:
    """Have a cluster run the remaining cells of a spec.

    Args:
        spec_path: the spec; its paths are those of the cluster's nodes, and so absolute.
        url: of the cluster's dashboard, as in http://head:8265.
        out: the run's folder on the cluster.
        cache: the activation cache on the cluster.
        overrides: ``KEY=VALUE`` assignments to the spec.
        unlock: take the run over from a driver on another machine that shows no sign of life.
        command: the submitting command, for provenance and to resume the run.

    Raises:
        SpecError: the spec is wrong in form, or a path is relative.
        SubmitError: no wheel can be built here, or it is too large.
        ClusterError: the cluster does not accept it.
    """
    loaded = read_spec(spec_path, overrides)
    loaded.raise_problems()
    spec = loaded.spec
    problems = [
        *loaded.problems(_relative_paths(spec)),
        *_check_absolute("--out", out),
        *_check_absolute("--cache", cache),
    ]
    if problems or out is None:
        raise SpecError(problems)
    with tempfile.TemporaryDirectory(prefix="sweep-submit-") as temporary:
        folder = make_package(spec, Path(temporary))
        shipped = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if shipped > SHIPPED_BYTES:
            raise SubmitError(
                f"the wheel and the spec take {shipped / 2**20:.0f} MiB: expected at most "
                f"{SHIPPED_BYTES / 2**20:.0f}; keep data and checkpoints out of sweep/ and jobs/"
            )
        started = entrypoint(out, cache, unlock=unlock, command=command)
        n_event_bytes = _events_there(out)
        name = submit_entrypoint(url, started, folder)
    if n_event_bytes is not None:
        leave_note(out, name, n_event_bytes)
    return Submission(name, out, shipped)


def _events_there(out: Location) -> int | None:
    """Bytes of events that earlier runs left there; None: they are not visible from here."""
    folder = run_folder(out)
    try:
        return size(folder.for_jobs(folder.events))
    except OSError:  # `sweep watch` cannot see them from here either
        return None


def leave_note(out: Location, name: str, n_event_bytes: int) -> None:
    """Leave a note for ``sweep watch`` that more events will follow.

    Args:
        out: the run's folder.
        name: of the job.
        n_event_bytes: bytes of events that were there before it was submitted.
    """
    folder = run_folder(out)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    note = json.dumps({"id": name, "since": since, "told": n_event_bytes})
    write_text(folder.for_jobs(folder.submission), note)


def entrypoint(
    out: Location, cache: Location | None, *, unlock: bool, command: Sequence[str]
) -> str:
    """Return the shell command that the cluster runs in the shipped folder."""
    words = ["python", "-m", "sweep", "run", SPEC_NAME, "--address", "auto", "--display", "plain"]
    words += ["--out", str(out), "--cache", str(cache), *(["--unlock"] if unlock else [])]
    # Ray shows the command to every user of the dashboard.
    typed = shlex.join(map(without_secrets, command))
    return f"{COMMAND_VARIABLE}={shlex.quote(typed)} {shlex.join(words)}"


def make_package(spec: Spec, folder: Path, root: Path = ROOT) -> Path:
    """Make the folder to ship below ``folder``: this project's wheel, unpacked, and the spec.

    Raises:
        SubmitError: no wheel can be built from ``root``, and none is installed there.
    """
    package = folder / "package"
    is_source = (root / "pyproject.toml").is_file()
    if is_source:
        with zipfile.ZipFile(build_wheel(folder, root)) as archive:
            archive.extractall(package)
    else:
        _copy_installed(root, package)
    (package / SPEC_NAME).write_text(spec.to_yaml(), encoding="utf-8")
    revision = git_state(root) if is_source else None
    (package / "sweep" / REVISION_FILE).write_text(json.dumps(revision))
    return package


def _copy_installed(root: Path, package: Path) -> None:
    """Copy the files of the wheel that is installed in ``root``, as pip recorded them."""
    installed = next(iter(metadata.distributions(name=DISTRIBUTION, path=[str(root)])), None)
    if installed is None or not installed.files:
        raise SubmitError(
            f"submit ships a wheel of this project: expected its source with pyproject.toml, or "
            f"the wheel installed, in {root}; install it with pip"
        )
    for file in installed.files:
        if ".." in file.parts or "__pycache__" in file.parts:  # bin/sweep, and what Python cached
            continue
        to = package / file
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / file, to)


def build_wheel(folder: Path, root: Path = ROOT) -> Path:
    """Build a wheel of this project in ``folder``, from a copy, so that ``root`` is not changed.

    Raises:
        SubmitError: it cannot be built.
    """
    source = folder / "source"
    source.mkdir(parents=True)
    for name in SOURCES:
        if (root / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(root / name, source / name, ignore=ignored)
        else:
            shutil.copy(root / name, source)
    command = [
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet",
        "--disable-pip-version-check", "--wheel-dir", str(folder), str(source),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SubmitError(f"no wheel can be built from {root}: {done.stderr.strip()}")
    [wheel] = folder.glob("*.whl")
    return wheel


def _check_absolute(option: str, path: Location | None) -> Iterator[Problem]:
    if path is None or (isinstance(path, Path) and not path.is_absolute()):
        message = (
            "expected an absolute path on the storage that the cluster's nodes share, as in "
            f"{option} /shared/{'results/NAME' if option == '--out' else 'cache'}"
        )
        yield Problem(f"{option} {path or ''}".strip(), 1, 1, message)


def _relative_paths(spec: Spec) -> Iterator[Finding]:
    """Find relative paths, which would differ on the cluster, except included checkpoints."""
    included = {folder.name for folder in INCLUDED.iterdir()}
    for location, path in _paths(spec, ()):
        if not path.is_absolute() and str(path) not in included:
            key = ".".join(str(step) for step in location)
            message = (
                f"{key}: {path} is relative, and the cluster's nodes have another working "
                f"directory; give the path as they see it, as in --set {key}=/shared/{path.name}"
            )
            yield location, message


def _paths(value: object, location: KeyPath) -> Iterator[tuple[KeyPath, Path]]:
    if isinstance(value, Path):
        yield location, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _paths(getattr(value, name), (*location, name))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _paths(inner, (*location, key))
    elif isinstance(value, tuple | list):
        for position, inner in enumerate(value):
            yield from _paths(inner, (*location, position))
