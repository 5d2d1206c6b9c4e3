"""The spec as one validated value.

The settings of corpora, models, features, probes and protocols are defined beside their code in
``jobs``; the spec combines them.
"""

from typing import Annotated, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from jobs.activations.dtype import Dtype
from jobs.audio.settings import FeatureSettings
from jobs.beyond.settings import BeyondSettings
from jobs.corpus import AnyCorpusSettings
from jobs.models import AnyModelSettings
from jobs.models.taps import LayerChoice, Pooling
from jobs.probes import ProbeSettings
from jobs.probing.tempo_settings import TempoSettings
from jobs.protocol.settings import KFoldProtocol, Protocols, ProtocolSettings, SplitsProtocol
from jobs.settings import Settings
from jobs.similarity.settings import SimilaritySettings
from sweep.tracking import AnyTrackSettings

SMALLEST_SHARE = 0.01
"""Smallest share of a GPU for one actor."""
Cpus = Annotated[int, Field(ge=1, le=10_000)]
"""Number of CPU cores."""
Gibibytes = Annotated[float, Field(gt=0, le=1_000_000)]
"""Amount of memory."""


class Bootstrap(Settings):
    """Confidence intervals, by resampling whole speakers with replacement."""

    EXAMPLES = ("{resamples: 1000, by: speaker_id}",)

    resamples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    """Number of bootstrap samples."""
    by: Literal["speaker_id"] = "speaker_id"
    """Unit of resampling: all utterances of a speaker together."""


class ExtractorResources(Settings):
    """Resources of one extraction actor, which loads one model at a time."""

    EXAMPLES = ("{gpus: 1, cpus: 2, memory: 8}",)

    gpus: Annotated[float, Field(ge=0, le=10_000)] = 0
    """Number of GPUs; 0 computes on the CPU. A fraction lets several actors share a GPU; they also
    share its memory, which nothing divides between them."""
    cpus: Cpus = 1
    """Number of CPU cores, which is also the number of torch's threads."""
    memory: Gibibytes | None = None
    """Memory to reserve on the actor's node, in GiB. null: nothing is reserved."""

    @field_validator("gpus")
    @classmethod
    def _a_share_or_whole(cls, gpus: float) -> float:
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(f"gpus: expected a share of one GPU or a whole number, found {gpus:g}")
        if 0 < gpus < SMALLEST_SHARE:
            raise ValueError(f"gpus: expected 0 or at least {SMALLEST_SHARE:g}, found {gpus:g}")
        return gpus


class ProbeResources(Settings):
    """Resources of one probe task."""

    EXAMPLES = ("{cpus: 1, memory: 4}",)

    cpus: Cpus = 1
    """Number of CPU cores, which is also the number of torch's threads."""
    memory: Gibibytes | None = None
    """Memory to reserve on the task's node, in GiB. null: nothing is reserved."""


class Compute(Settings):
    """Resources and limits of a run. They change no results."""

    EXAMPLES = ("{extractor: {gpus: 1}, probe: {cpus: 1}, timeout: 60, give_up_after: 10}",)

    extractor: ExtractorResources = ExtractorResources()
    """Resources of one extraction actor."""
    probe: ProbeResources = ProbeResources()
    """Resources of one probe task."""
    timeout: Annotated[float, Field(gt=0, le=10_000_000)] | None = None
    """Longest time for one shard, or for the probes of one layer, on Ray, in minutes. A process
    that takes longer is ended, and its work is tried again. null: no limit."""
    give_up_after: Annotated[int, Field(ge=2, le=1_000_000_000)] | None = 10
    """Number of failures (of layers, or of models' extractions) after which the run stops, if they
    all have the same error and nothing has succeeded. null: never."""


class Spec(Settings):
    """One sweep: models × layers × targets × probes × seeds, on one corpus."""

    EXAMPLES = (
        "{name: rates, targets: [cps], layers: [stem, 'layer2.*', -1], features: {max_frames: 300},"
        " pooling: mean, dtype: float32, store: activations, controls: [shuffled],"
        " baselines: [mean, duration, fbank], bootstrap: {resamples: 1000}, save_probes: true,"
        " corpus: {kind: csv, path: data/clips.csv}, protocol: {kind: kfold},"
        " protocols: {cps: {kind: splits, validation: dev}},"
        " models: [{name: ResNet, kind: wespeaker, architecture: SimAM_ResNet34_ASP}],"
        " probes: [{kind: ridge}], similarity: {measures: [cka]}, tempo: {utterances: 100},"
        " beyond: {nuisances: [fbank]}, train_fractions: [0.1, 0.3, 1],"
        " compute: {extractor: {gpus: 1}}, track: mlflow}",
    )

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    """Name of the sweep and of its folder in ``results``: letters, digits, ``.``, ``_``, ``-``."""
    corpus: AnyCorpusSettings
    """Utterances to probe on, with their audio, transcripts and speakers."""
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("cps",)
    """Quantities to predict; see the list of targets below."""
    models: Annotated[tuple[AnyModelSettings, ...], Field(min_length=1)]
    """Models to probe, each with a ``name`` of its own."""
    layers: LayerChoice = "all"
    """Layers to probe: ``all``; ``blocks``, the outputs of a network's blocks and what is before
    and after all blocks (all layers where no blocks are known); or a list of globs over their names
    and positions (negative ones count from the end). ``sweep layers MODEL`` lists the layers of a
    model with their levels."""
    features: FeatureSettings = FeatureSettings()
    """Input features of the models."""
    pooling: Pooling = "mean"
    """Pooling over time of each layer's output: ``mean``; ``mean+std``, which appends the standard
    deviation; or ``channels``, the mean over time and frequency, which takes less disk."""
    dtype: Dtype = "float32"
    """Number format of stored activations."""
    store: Literal["activations", "gram"] = "activations"
    """What extraction stores of the splits for training and validation (with kfold: of all folds):
    ``activations``; or ``gram``, sums that suffice for ridge and cca, whose size does not grow with
    the number of utterances."""
    probes: Annotated[tuple[ProbeSettings, ...], Field(min_length=1)]
    """Probes to fit to each layer and target."""
    protocol: ProtocolSettings = SplitsProtocol()
    """Division into training, validation and test utterances."""
    protocols: dict[str, ProtocolSettings] = Field(default_factory=dict)
    """Divisions for single targets, by name, in place of ``protocol``: the target ``speaker`` needs
    one in which speakers are both trained and tested on, beside targets that must not have it."""
    controls: tuple[Literal["type", "shuffled", "speaker"], ...] = ("type",)
    """Control tasks, for the same probes, which replace the targets: ``type`` by a random value for
    each type of utterance, where a type is one of up to 16 clusters of the baseline ``fbank``, and
    the table gives how much better the real targets are predicted (selectivity); ``speaker`` by a
    random value for each speaker; ``shuffled`` permutes them within each split, which nothing can
    predict, unless data leak. Without that baseline, and with ``store: gram``, the default is
    none."""
    baselines: tuple[Literal["mean", "duration", "fbank"], ...] = (
        "mean",
        "duration",
        "fbank",
    )
    """Baselines to compare with: ``mean`` always predicts the training mean and is always included;
    ``duration`` probes the utterance's duration, ``fbank`` the spread over time of the
    mean-normalised log-mel filter bank and of its change from frame to frame."""
    bootstrap: Bootstrap = Bootstrap()
    """Confidence intervals."""
    similarity: SimilaritySettings | None = None
    """Optional analysis: similarity between layers. null: none."""
    tempo: TempoSettings | None = None
    """Optional analysis: whether predictions follow when test utterances are played faster or
    slower. null: none."""
    train_fractions: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)
    ] = (1.0,)
    """Optional analysis: learning curves, the same probes fitted to fractions of the training
    speakers, such as [0.1, 0.3, 1]. 1, all of them, is always included."""
    beyond: BeyondSettings | None = None
    """Optional analysis: what each layer adds to nuisances, such as the duration and the input
    features. null: none."""
    save_probes: bool = False
    """Whether to keep the fitted probes in the run's folder, for ``sweep predict``."""
    compute: Compute = Compute()
    """Resources and limits of the run."""
    track: AnyTrackSettings = None
    """Experiment tracker that the finished run is sent to: ``mlflow``, ``tensorboard``, ``wandb``,
    or a mapping with more settings. It gets layer curves (score over layer index), parameters,
    tables, figures and report. A tracker that fails does not fail the run; ``sweep report`` sends
    it again. null: none."""

    @property
    def target_protocols(self) -> Protocols:
        """The protocol of every target."""
        return Protocols(self.protocol, self.protocols)

    @property
    def main_protocol(self) -> SplitsProtocol | KFoldProtocol:
        """The protocol of most use: the common one, or if no target has it, the first target's."""
        common = any(target not in self.protocols for target in self.targets)
        return self.protocol if common else self.protocols[self.targets[0]]

    @model_validator(mode="before")
    @classmethod
    def _controls_that_are_possible(cls, values: object) -> object:
        """Leave out the default control where it cannot be had."""
        if not isinstance(values, dict) or "controls" in values:
            return values
        baselines = values.get("baselines", ("fbank",))
        lacks_types = isinstance(baselines, list | tuple) and "fbank" not in baselines
        if lacks_types or values.get("store") == "gram":
            return {**values, "controls": ()}
        return values

    @field_validator("layers", mode="before")
    @classmethod
    def _words_or_a_list(cls, layers: object) -> object:
        if layers in ("all", "blocks") or (isinstance(layers, list | tuple) and layers):
            return layers
        such = "globs and positions such as [stem, 'layer2.*', -1]"
        raise ValueError(f"layers: expected all, blocks, or a list of {such}, found {layers!r}")

    @field_validator("train_fractions")
    @classmethod
    def _different_fractions(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(fractions)) < len(fractions):
            raise ValueError(f"train_fractions: expected different ones, found {list(fractions)}")
        return tuple(sorted({*fractions, 1.0}))

    def to_yaml(self) -> str:
        """Return the spec as YAML, with all defaults written out."""
        text: str = yaml.safe_dump(
            self.model_dump(mode="json"), sort_keys=False, allow_unicode=True
        )
        return text
