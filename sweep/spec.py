"""The spec: what a user writes, as one validated value.

Jobs define the settings of corpora, models, features, probes and protocols; the spec joins them.
"""

import difflib
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator

from jobs.compare import SimilaritySettings
from jobs.corpus import CorpusSettings
from jobs.counterfactual import TempoSettings
from jobs.features import FeatureSettings
from jobs.models import ModelSettings
from jobs.models.taps import Pooling
from jobs.probes import ProbeSettings
from jobs.protocol import ProtocolSettings, SplitsProtocol
from jobs.settings import Settings
from jobs.store import Dtype
from sweep.source import Location, Problem, Source, SpecError

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


def load_spec(path: Path, overrides: Sequence[str] = ()) -> tuple[Spec, Source]:
    """Read a spec and apply ``--set`` assignments.

    Raises:
        SpecError: with every problem of form, each at its file, line and column.
    """
    source = _read(path, overrides)
    try:
        return Spec.model_validate(source.values), source
    except ValidationError as error:
        problems = [_explain(source, e) for e in error.errors() if not _is_echo(e)]
        raise SpecError(problems) from None


def sound_part(path: Path, overrides: Sequence[str] = ()) -> tuple[Spec, Source] | None:
    """What of a spec with errors of form can still be checked for its meaning; None: nothing.

    Raises:
        SpecError: it cannot be read at all.
    """
    source = _read(path, overrides)
    try:
        return Spec.model_validate(source.values), source
    except ValidationError as error:
        rest = source.without([e["loc"] for e in error.errors() if not _is_echo(e)])
    rest.values.setdefault("name", "unnamed")
    rest.values["probes"] = rest.values.get("probes") or [{"kind": "ridge"}]
    try:
        return Spec.model_validate(rest.values), rest
    except ValidationError:
        return None


def _read(path: Path, overrides: Sequence[str]) -> Source:
    source = Source(path)
    for assignment in overrides:
        source.override(assignment)
    return source


def nearest(name: str, valid: Sequence[str]) -> str:
    """ "; did you mean 'x'?" when something valid is near, else the valid names."""
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; expected one of {', '.join(valid)}" if valid else ""


def _explain(source: Source, details: Any) -> Problem:
    """One of pydantic's errors, as a sentence at its place."""
    location: Location = details["loc"]
    kind = details["type"]
    name = str(location[-1]) if location else ""
    if kind == "extra_forbidden":
        message = f"unknown key {name!r}{nearest(name, _valid_keys(location[:-1]))}"
        return source.problem(location, message, at_key=True)
    if kind == "missing":
        return source.problem(location[:-1], f"the key {name!r} is missing")
    found = details["input"]
    if kind == "literal_error":
        valid = [
            part.strip(" '") for part in details["ctx"]["expected"].replace(" or ", ", ").split(",")
        ]
        message = f"{name}: {found!r} is not valid{nearest(str(found), valid)}"
    elif kind == "union_tag_invalid":
        valid = [tag.strip(" '") for tag in details["ctx"]["expected_tags"].split(",")]
        tag = details["ctx"]["tag"]
        return source.problem((*location, "kind"), f"unknown kind {tag!r}{nearest(tag, valid)}")
    elif kind == "union_tag_not_found":
        message = "the key 'kind' is missing"
    elif kind in ("value_error", "assertion_error"):
        message = str(details["ctx"]["error"])
    else:
        shown = repr(found) if isinstance(found, str | int | float | bool | None) else _noun(found)
        message = f"{details['msg'][0].lower()}{details['msg'][1:]}, found {shown}"
        message = f"{name}: {message}" if name and not name.isdigit() else message
    return source.problem(location, message)


def _is_echo(details: Any) -> bool:
    """Pydantic counts only valid items: a list whose items are all wrong is also "too short"."""
    if details["type"] != "too_short":
        return False
    n_given: int = len(details["input"])
    return n_given > int(details["ctx"]["actual_length"])


def _noun(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"


def _valid_keys(location: Location) -> list[str]:
    """The keys that are valid in the mapping at ``location``."""
    annotations: list[Any] = [Spec]
    for step in location:
        annotations = [inner for outer in annotations for inner in _inside(outer, step)]
    return sorted({key for cls in annotations if _is_settings(cls) for key in cls.model_fields})


def _inside(annotation: Any, step: str | int) -> Iterator[Any]:
    """What may stand at ``step`` inside an ``annotation``; a union's tag stays in place."""
    if _is_settings(annotation):
        field = annotation.model_fields.get(step)
        if field is not None:
            yield from _members(field.annotation)
        elif "kind" in annotation.model_fields:
            kind = annotation.model_fields["kind"].annotation
            yield from [annotation] if step in typing.get_args(kind) else []
    for argument in typing.get_args(annotation):
        yield from _members(argument)


def _members(annotation: Any) -> Iterator[Any]:
    """The alternatives of a type, unions and annotations opened."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        yield from _members(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _is_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
