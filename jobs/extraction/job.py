"""The extraction job: one shard of one model."""

from dataclasses import dataclass
from typing import ClassVar

from jobs.extraction.extractor import Extractor
from jobs.extraction.settings import ExtractSettings
from jobs.extraction.shard import Shard, ShardReport
from jobs.job import Resources, Worker


@dataclass(frozen=True)
class ExtractJob:
    """One shard of one model (see ``jobs.job.Job``)."""

    model: str
    settings: ExtractSettings
    shard: Shard

    resources: ClassVar[Resources] = "extractor"

    @property
    def key(self) -> str:
        """Unique among all activation sets of the model."""
        return f"{self.title} of {self.shard.folder.name}"

    @property
    def kind(self) -> str:
        """A model's shards have about equally many utterances."""
        return f"shards of {self.model}"

    @property
    def title(self) -> str:
        """Model and shard."""
        return f"{self.model} / shard {self.shard.index}"

    @property
    def affinity(self) -> str:
        """The model, which is loaded once for all of its shards."""
        return self.model

    def run(self, worker: Worker) -> ShardReport:
        """Extract the shard with the model that the worker keeps."""
        extractor = worker.keep(
            self.settings, lambda: Extractor(self.settings, device=worker.device)
        )
        return extractor.extract(self.shard)
