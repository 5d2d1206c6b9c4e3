"""All paths of a run on disk come from here."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFolder:
    """``results/<name>/`` and what stands in it."""

    root: Path

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
    def driver_log(self) -> Path:
        """The driver's log, with whatever Ray printed."""
        return self.root / "driver.log"

    @property
    def lock(self) -> Path:
        """Held by the one driver of the run."""
        return self.root / ".lock"

    @property
    def predictions(self) -> Path:
        """Test predictions, one file a probe job."""
        return self.root / "predictions"

    @property
    def tables(self) -> Path:
        """``metrics``, ``layers`` and ``models``."""
        return self.root / "tables"

    @property
    def plots(self) -> Path:
        """The figures."""
        return self.root / "plots"

    @property
    def report(self) -> Path:
        """The page with all of it."""
        return self.root / "report.html"
