"""All paths of a run on disk come from here."""

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
"""Of runs behind URLs."""


def local_cache(cache: Location) -> Path:
    """Where corpora are made, and what was measured is kept: with the activations, unless these are
    behind a URL."""
    return cache if isinstance(cache, Path) else DEFAULT_CACHE


@dataclass(frozen=True)
class RunFolder:
    """``results/<name>/`` and what stands in it."""

    root: Path
    remote: RemotePath | None = None
    """What the folder is mirrored to; jobs, on whatever machine, read and write there."""

    def for_jobs(self, path: Path) -> Location:
        """A path of the run as jobs are to use it."""
        if self.remote is None:
            return path
        return self.remote if path == self.root else self.remote / path.relative_to(self.root)

    @property
    def spec(self) -> Path:
        """The spec as it was resolved, with every default written out."""
        return self.root / "spec.yaml"

    @property
    def plan(self) -> Path:
        """What the run consists of."""
        return self.root / "plan.json"

    @property
    def utterances(self) -> Path:
        """The utterance table: what was said, by whom, how long, and every target."""
        return self.root / "utterances.csv"

    @property
    def skipped(self) -> Path:
        """Utterances that were left out, and why."""
        return self.root / "skipped.csv"

    @property
    def ledger(self) -> Path:
        """A line per finished cell."""
        return self.root / "ledger.jsonl"

    @property
    def events(self) -> Path:
        """What happened, for live views and ``status``."""
        return self.root / "events.jsonl"

    @property
    def provenance(self) -> Path:
        """Versions, hardware, digests."""
        return self.root / "provenance.json"

    @property
    def inputs(self) -> Path:
        """What a complete run was made from, see ``sweep.running.up_to_date``."""
        return self.root / "inputs.json"

    @property
    def driver_log(self) -> Path:
        """The driver's log, with whatever Ray printed."""
        return self.root / "driver.log"

    @property
    def lock(self) -> Path:
        """Held by the one driver of the run."""
        return self.root / ".lock"

    @property
    def stop_request(self) -> Path:
        """Asks the driver to end."""
        return self.root / ".stop"

    @property
    def submission(self) -> Path:
        """What ``sweep submit`` had a cluster run here last."""
        return self.root / ".submitted"

    @property
    def predictions(self) -> Path:
        """Test predictions, one file a probe job."""
        return self.root / "predictions"

    @property
    def similarity(self) -> Path:
        """Layers against layers, one file a pair of models."""
        return self.root / "similarity"

    @property
    def probes(self) -> Path:
        """Fitted probes, where the spec asks for them: weights and a card each."""
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
        """What the numbers allow one to say, a sentence a line."""
        return self.root / "report" / "findings.txt"

    @property
    def methods(self) -> Path:
        """What was done, as the methods section of a paper states it."""
        return self.root / "report" / "methods.md"

    @property
    def report(self) -> Path:
        """The page with all of it."""
        return self.root / "report.html"

    def written(self) -> Iterator[Path]:
        """Files in the folders that a run writes to; neither below another run among them, nor
        below anything else that lies here."""
        folders = (self.predictions, self.similarity, self.probes, self.tables, self.plots)
        for top in (*folders, self.findings.parent):
            for here, below, names in os.walk(top):
                if RunFolder(Path(here)).lock.exists():
                    below.clear()
                    continue
                yield from (Path(here, name) for name in names)
        if self.root.is_dir():
            yield from (path for path in self.root.iterdir() if path.is_file())


def run_folder(place: Location) -> RunFolder:
    """The folder of a run; of one behind a URL its copy on this machine."""
    if isinstance(place, Path):
        return RunFolder(place.absolute())
    digest = hashlib.sha256(place.url.encode()).hexdigest()[:8]
    return RunFolder((COPIES / f"{slug(place.name)}-{digest}").absolute(), place)


def make_folder(option: str, place: Location) -> None:
    """Make what was given with ``option`` and see that it can be written to, if it is a path.

    Raises:
        SpecError: it cannot.
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
