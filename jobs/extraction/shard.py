"""A shard: some utterances whose activations are extracted and stored together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobs.storage.location import Location

if TYPE_CHECKING:  # torch, safetensors and readers of corpora are not needed to plan a shard
    from jobs.activations.contents import CachedRow
    from jobs.corpus.skipped import Skipped
    from jobs.gram.sums import Labels


@dataclass(frozen=True)
class Shard:
    """Some utterances, and the folder for their activations."""

    folder: Location
    index: int
    utterance_ids: tuple[str, ...]
    audio_paths: tuple[str, ...]
    model_digest: str
    """Expected weights digest of the model, see `jobs.models.describe.weights_digest`."""
    labels: "Labels | None" = field(default=None, compare=False)
    """Labels of the utterances; if given, statistics are stored instead of activations."""
    cached: "Mapping[str, CachedRow]" = field(default_factory=dict, compare=False)
    """Utterance id → where another shard has its activations; these are copied."""

    @property
    def paths(self) -> dict[str, str]:
        """Utterance id → its audio path."""
        return dict(zip(self.utterance_ids, self.audio_paths, strict=True))

    @property
    def paths_to_read(self) -> list[str]:
        """Audio paths of the utterances whose activations are not copied."""
        return [path for name, path in self.paths.items() if name not in self.cached]


@dataclass(frozen=True)
class ShardReport:
    """Result of extracting a shard."""

    index: int
    n_utterances: int
    """Utterances stored, not counting skipped ones."""
    skipped: "tuple[Skipped, ...]"
    seconds: float
    """Wall time, including reading and writing."""
    frames_computed: int
    """Frames that went through the network."""
    frames_useful: int
    """``frames_computed`` without padding."""
    bytes_written: int
    """Bytes of tensors; 0 if the shard existed already."""
    forward_seconds: float = 0.0
    """Share of ``seconds`` spent in forward passes, including pooling."""
    copied: int = 0
    """Utterances whose activations were copied from other shards."""
