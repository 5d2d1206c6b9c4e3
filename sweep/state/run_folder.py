"""Paths of a run on disk, all defined here."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs.storage.atomic import slug
from jobs.storage.location import Location, RemotePath
from sweep.errors import Problem, SpecError

DEFAULT_CACHE = Path("results/.cache")
COPIES = Path("results/.remote")
"""Folder of the local copies of runs at URLs."""


def local_cache(cache: Location) -> Path:
    """Folder for synthetic corpora and measurements: in the activation cache, unless that is at a
    URL."""
    return cache if isinstance(cache, Path) else DEFAULT_CACHE


@dataclass(frozen=True)
class RunFolder:
    """``results/<name>/`` and the paths in it."""

    root: Path
    remote: RemotePath | None = None
    """Store that the folder is mirrored to; jobs on any machine read and write there."""

    def for_jobs(self, path: Path) -> Location:
        """Return a path of the run for use by jobs."""
        if self.remote is None:
            return path
        return self.remote if path == self.root else self.remote / path.relative_to(self.root)

    @property
    def spec(self) -> Path:
        """The spec as it was resolved, with every default written out."""
        return self.root / "spec.yaml"

    @property
    def plan(self) -> Path:
        """Everything that the run consists of."""
        return self.root / "plan.json"

    @property
    def utterances(self) -> Path:
        """The utterance table: text, speaker, duration and every target."""
        return self.root / "utterances.csv"

    @property
    def skipped(self) -> Path:
        """Skipped utterances with reasons."""
        return self.root / "skipped.csv"

    @property
    def ledger(self) -> Path:
        """A line per finished cell."""
        return self.root / "ledger.jsonl"

    @property
    def events(self) -> Path:
        """Events, for live views and ``status``."""
        return self.root / "events.jsonl"

    @property
    def provenance(self) -> Path:
        """Versions, hardware, digests."""
        return self.root / "provenance.json"

    @property
    def inputs(self) -> Path:
        """Inputs of a complete run, see ``sweep.running.up_to_date``."""
        return self.root / "inputs.json"

    @property
    def driver_log(self) -> Path:
        """The driver's log, including output of Ray."""
        return self.root / "driver.log"

    @property
    def lock(self) -> Path:
        """Lock held by the driver of the run."""
        return self.root / ".lock"

    @property
    def stop_request(self) -> Path:
        """Request to the driver to end."""
        return self.root / ".stop"

    @property
    def submission(self) -> Path:
        """The last job that ``sweep submit`` sent to a cluster for this run."""
        return self.root / ".submitted"

    @property
    def predictions(self) -> Path:
        """Test predictions, one file per probe job."""
        return self.root / "predictions"

    @property
    def similarity(self) -> Path:
        """Comparison of layers, one file per pair of models."""
        return self.root / "similarity"

    @property
    def probes(self) -> Path:
        """Fitted probes if the spec saves them, each with weights and a card."""
        return self.root / "probes"

    @property
    def tables(self) -> Path:
        """``metrics``, ``layers`` and ``models``."""
        return self.root / "tables"

    @property
    def plots(self) -> Path:
        """The figures."""
        return self.root / "plots"

    @property
    def findings(self) -> Path:
        """Findings, one sentence per line."""
        return self.root / "report" / "findings.txt"

    @property
    def methods(self) -> Path:
        """Methods, as in the methods section of a paper."""
        return self.root / "report" / "methods.md"

    @property
    def report(self) -> Path:
        """The report page."""
        return self.root / "report.html"

    @property
    def records(self) -> tuple[Path, ...]:
        """The files that tell where a run stands."""
        return (
            self.spec, self.plan, self.ledger, self.events, self.provenance, self.findings,
        )  # fmt: skip

    @property
    def top_files(self) -> tuple[Path, ...]:
        """All files that a run writes beside its folders."""
        return (
            self.spec, self.plan, self.utterances, self.skipped, self.ledger, self.events,
            self.provenance, self.inputs, self.driver_log, self.lock, self.stop_request,
            self.submission, self.report, self.ledger.with_name(f"{self.ledger.name}.damaged"),
        )  # fmt: skip

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders that a run writes to."""
        return (
            self.predictions, self.similarity, self.probes, self.tables, self.plots,
            self.findings.parent,
        )  # fmt: skip

    def is_own(self, path: Path) -> bool:
        """Return whether ``path`` is where a run keeps something that others read."""
        if path in self.top_files:
            return True
        sketches = path.is_relative_to(self.similarity / "sketches")
        return not sketches and any(path.is_relative_to(folder) for folder in self.folders)

    def written(self) -> Iterator[Path]:
        """Files in the folders that a run writes to, but not below another run or any other folder
        in it."""
        for top in self.folders:
            for here, below, names in os.walk(top):
                if RunFolder(Path(here)).lock.exists():
                    below.clear()
                    continue
                yield from (Path(here, name) for name in names)
        if self.root.is_dir():
            yield from (path for path in self.root.iterdir() if path.is_file())


def run_folder(place: Location) -> RunFolder:
    """Return the folder of a run; for a run at a URL, its copy on this machine."""
    if isinstance(place, Path):
        return RunFolder(place.absolute())
    digest = hashlib.sha256(place.url.encode()).hexdigest()[:8]
    return RunFolder((COPIES / f"{slug(place.name)}-{digest}").absolute(), place)


def make_folder(option: str, place: Location) -> None:
    """Create the folder given with ``option``, if it is a path, and check that it is writable.

    Raises:
        SpecError: it is not.
    """
    if not isinstance(place, Path):
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        message = f"nothing can be written there ({error.strerror}): expected a folder for that"
        raise SpecError([Problem(f"{option} {place}", 1, 1, message)]) from None
