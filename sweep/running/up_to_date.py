"""Detection of complete runs with unchanged inputs, without loading the engine.

A complete run leaves ``inputs.json``: a digest of what it was asked for, and digests of the states
of all files that it read and wrote. While they stay the same, running it again would do nothing
and make the same report. In all other cases, and if in doubt, an ordinary run follows.
"""

import json
import os
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.downloads.catalogue import MODELS_FOLDER
from jobs.identity import content_id
from jobs.storage.atomic import write_bytes
from jobs.storage.json_files import read_json, with_sum
from sweep.errors import SpecError
from sweep.own_packages import ROOT
from sweep.report.tables.markup import Cell, Table
from sweep.running.options import RunOptions
from sweep.spec.source import Source
from sweep.state.cache_users import remember_run
from sweep.state.file_states import survey
from sweep.state.run_folder import RunFolder, local_cache, run_folder

if TYPE_CHECKING:
    from sweep.prepare.prepare import Prepared

FORMAT = 1
SAFE_AGE = 2.0
"""Seconds by which inputs must be older than a run: clocks of file systems are coarse, and those of
servers differ."""
ENVIRONMENT = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "XDG_", "HOME", "PYTHONPATH")
"""Prefixes of environment variables that decide which checkpoints and packages are found."""


@dataclass(frozen=True)
class UpToDate:
    """A complete run whose inputs and results are unchanged."""

    folder: RunFolder
    done: int
    """Number of cells, all of the plan."""
    comparison: tuple[Table, ...]
    """The comparison tables of its report."""


class InputWatch:
    """Watches the inputs of a run from before it reads anything, and records them at its end."""

    def __init__(self, spec_path: Path, options: RunOptions) -> None:
        self._began = time.time()
        self._spec_path = spec_path
        self._options = options
        self._request = _request(spec_path, options)

    def record(
        self, folder: RunFolder, prepared: "Prepared", done: int, comparison: Sequence[Table]
    ) -> None:
        """Write ``inputs.json`` beside a complete run, unless an input is unknown, or may have
        changed since the run began.
        """
        from jobs.corpus import corpus_sources, excluded_file  # not needed to find a run up to date

        models = _model_paths(prepared)
        if self._request is None or models is None:
            return
        sources = corpus_sources(prepared.spec.corpus)
        given = {*_code(), self._spec_path.absolute(), *models, *(sources or ())}
        given |= set(excluded_file(prepared.spec.corpus))
        given |= {Path(skipped.path).absolute() for skipped in prepared.skipped}
        if sources is not None:  # otherwise the run itself made the audio
            given |= prepared.audio
        lost = any(not path.exists() for path in prepared.audio)
        if lost or survey(given).newest > self._began - SAFE_AGE:
            return
        sets = [planned for model in prepared.plan.models for planned in model.all_sets]
        cache = local_cache(self._options.cache).absolute()
        watched = {str(path) for path in (*given, *prepared.audio)}
        watched |= {str(planned.folder(cache)) for planned in sets}
        entry = {
            "format": FORMAT,
            "request": self._request,
            "states": _states(watched, folder),
            "watched": sorted(watched),
            "done": done,
            "comparison": [asdict(table) for table in comparison],
        }
        write_bytes(folder.inputs, with_sum(json.dumps(entry, indent=1).encode()))


def find_up_to_date(spec_path: Path, options: RunOptions) -> UpToDate | None:
    """Return the run of a spec if it is complete and running it again would change nothing."""
    try:
        request = _request(spec_path, options)
        if request is None:
            return None
        folder = run_folder(options.out or Path("results") / _run_name(spec_path, options))
        entry = read_json(folder.inputs)
        if (entry["format"], entry["request"]) != (FORMAT, request):
            return None
        if entry["states"] != _states(entry["watched"], folder):
            return None
        comparison = tuple(map(_table, entry["comparison"]))
        remember_run(options.cache, folder)
    except (OSError, SpecError, ValueError, KeyError, TypeError, AttributeError):
        return None  # an ordinary run reports problems of the spec or the disk
    return UpToDate(folder, entry["done"], comparison)


def _request(spec_path: Path, options: RunOptions) -> str | None:
    """Digest of everything that determines a run, except the states of files.

    None: an ordinary run is required, or its files are not visible to this process.
    """
    is_partial = options.only is not None or options.only_failed
    is_remote = not isinstance(options.cache, Path) or not isinstance(options.out, Path | None)
    if is_partial or is_remote or options.fresh or options.unlock or options.where == "cluster":
        return None
    try:
        spec = spec_path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None  # an ordinary run reports it
    variables = {name: os.environ[name] for name in os.environ if name.startswith(ENVIRONMENT)}
    return content_id(
        {
            "spec": spec,
            "overrides": list(options.overrides),
            "where": options.where,
            "fail_fast": options.fail_fast,
            "out": str(options.out),
            "cache": str(options.cache),
            "working directory": str(Path.cwd()),
            "environment": variables,
            "python": sys.version,
            "packages": sorted(_installed()),
        }
    )


def _installed() -> Iterator[str]:
    """Names and versions of the installed packages, as pip records them on disk.

    Not those of all of ``sys.path``, which Ray extends when it is imported.
    """
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        yield from (path.name for path in Path(folder).glob("*.dist-info"))


def _run_name(spec_path: Path, options: RunOptions) -> str:
    source = Source(spec_path)
    for assignment in options.overrides:
        source.override(assignment)
    return str(source.values["name"])


def _code() -> Iterator[Path]:
    """The files of this project's packages; folders change whenever Python compiles a module."""
    for package in (ROOT / "sweep", ROOT / "jobs"):
        for path in package.rglob("*"):
            if path.parent.name != "__pycache__" and path.is_file():
                yield path


def _model_paths(prepared: "Prepared") -> list[Path] | None:
    """All paths that models are read from or searched for at.

    None: they are unknown, since a user's function that makes a network may read any file.
    """
    given = {model.name: model for model in prepared.spec.models}
    paths: list[Path] = []
    for planned in prepared.plan.models:
        found = planned.extract.model
        if "factory" in type(found).model_fields:
            return None
        folder = getattr(found, "checkpoint", None)
        if folder is not None:
            named = getattr(given[planned.name], "checkpoint", folder)
            paths += [folder, named.absolute(), MODELS_FOLDER.absolute() / named]
            if folder.parent.name == "snapshots":  # of Hugging Face's cache
                paths.append(folder.parent.parent / "refs")
    return paths


def _states(watched: Iterable[str], folder: RunFolder) -> list[str]:
    """Digests of the states of the files that a run reads, and of those that it writes."""
    changing = {folder.inputs, folder.events, folder.driver_log, folder.lock}
    changing |= {folder.stop_request, folder.submission}
    left = {path for path in folder.written() if path not in changing}
    return [survey(map(Path, watched)).digest, survey(left).digest]


def _table(parsed: Mapping[str, Any]) -> Table:
    """Rebuild a table from its ``asdict`` form in JSON."""
    rows = tuple(tuple(Cell(**cell) for cell in row) for row in parsed["rows"])
    return Table(tuple(parsed["header"]), tuple(parsed["numeric"]), rows)
