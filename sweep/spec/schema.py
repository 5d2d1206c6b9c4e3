"""The spec: what a user writes, as one validated value.

Jobs define the settings of corpora, models, features, probes and protocols; the spec joins them.
"""

from typing import Annotated, Literal

import yaml
from pydantic import Field, field_validator

from jobs.activations.store import Dtype
from jobs.audio.features import FeatureSettings
from jobs.corpus import CorpusSettings
from jobs.models import ModelSettings
from jobs.models.taps import Pooling
from jobs.probes import ProbeSettings
from jobs.probing.tempo_settings import TempoSettings
from jobs.protocol.folds import ProtocolSettings, SplitsProtocol
from jobs.settings import Settings
from jobs.similarity.job import SimilaritySettings

SMALLEST_SHARE = 0.01
"""Of a GPU, for one actor: no network shares one with more than a hundred."""


class Bootstrap(Settings):
    """Intervals: resampling with replacement, whole speakers at a time."""

    resamples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    by: Literal["speaker_id"] = "speaker_id"


class ExtractorResources(Settings):
    """What one extraction actor holds."""

    gpus: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    """GPUs; 0 computes on the CPU. A fraction is a share of one; nothing but the actors' own
    sparing use keeps its memory apart."""
    cpus: Annotated[int, Field(ge=1)] = 1
    """Cores, and threads of torch."""
    memory: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """GiB that are kept free for it on its node; None: as it comes."""

    @field_validator("gpus")
    @classmethod
    def _a_share_or_whole(cls, gpus: float) -> float:
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(f"gpus: expected a share of one GPU or a whole number, found {gpus:g}")
        if 0 < gpus < SMALLEST_SHARE:
            raise ValueError(f"gpus: expected 0 or at least {SMALLEST_SHARE:g}, found {gpus:g}")
        return gpus


class ProbeResources(Settings):
    """What one probe task holds."""

    cpus: Annotated[int, Field(ge=1)] = 1
    """Cores, and threads of torch."""
    memory: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """GiB that are kept free for it on its node; None: as it comes."""


class Compute(Settings):
    """How it is run; changes no number's identity and is never hashed."""

    extractor: ExtractorResources = ExtractorResources()
    probe: ProbeResources = ProbeResources()
    timeout: Annotated[float, Field(gt=0)] | None = None
    """Minutes that one shard, or the probes of one layer, may take on Ray: longer is a hang, its
    process is ended, and the work tried again. None: any time."""
    give_up_after: Annotated[int, Field(ge=2)] | None = 10
    """Stop the run when so much of its work (layers, extractions of models) has failed, all of it
    alike, and nothing succeeded. None: never."""


class Spec(Settings):
    """A sweep: models × layers × targets × probes × seeds, on one corpus."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    """Names the run's folder."""
    corpus: CorpusSettings
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("cps",)
    models: Annotated[tuple[ModelSettings, ...], Field(min_length=1)]
    layers: Literal["all"] | tuple[int | str, ...] = "all"
    """``all``, or globs over tap names and indices."""
    features: FeatureSettings = FeatureSettings()
    pooling: Pooling = "mean"
    dtype: Dtype = "float32"
    """How activations are stored."""
    store: Literal["activations", "gram"] = "activations"
    """What extraction leaves of the training and validation parts, with kfold of every fold:
    activations, or their sufficient statistics for ridge and cca, which take no more room for more
    utterances."""
    probes: Annotated[tuple[ProbeSettings, ...], Field(min_length=1)]
    protocol: ProtocolSettings = SplitsProtocol()
    controls: tuple[Literal["shuffled", "speaker"], ...] = ()
    """The same probes on other targets: ``shuffled`` within each part, or a random value per
    ``speaker``."""
    baselines: tuple[Literal["mean", "duration", "fbank"], ...] = ("mean",)
    """Beside the mean predictor, which is always there: what duration or the input alone tells."""
    bootstrap: Bootstrap = Bootstrap()
    similarity: SimilaritySettings | None = None
    """Layers against layers; absent: none."""
    tempo: TempoSettings | None = None
    """Tested utterances at other rates, and whether predictions follow; absent: none."""
    save_probes: bool = False
    """Keep the fitted probes in the run's folder, for `sweep predict`."""
    compute: Compute = Compute()

    @field_validator("layers", mode="before")
    @classmethod
    def _all_or_a_list(cls, layers: object) -> object:
        if layers == "all" or (isinstance(layers, list | tuple) and layers):
            return layers
        expected = "expected all, or a list of globs and positions such as [stem, 'layer2.*', -1]"
        raise ValueError(f"layers: {expected}, found {layers!r}")

    def to_yaml(self) -> str:
        """The spec with every default written out."""
        text: str = yaml.safe_dump(
            self.model_dump(mode="json"), sort_keys=False, allow_unicode=True
        )
        return text
