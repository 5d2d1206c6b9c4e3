"""A model family: everything that the rest of the code needs to know of one ``kind`` of model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from jobs.models.settings import ModelSettings

if TYPE_CHECKING:  # torch is imported when a model is loaded, not to read a spec
    from jobs.models.model import ProbedModel

S = TypeVar("S", bound=ModelSettings)


def unchanged(settings: S) -> S:
    """Return the settings: they mean the same in every process on every node."""
    return settings


def nothing(settings: ModelSettings) -> None:
    """Return None: this family has no such thing."""


def no_match(name: str) -> None:
    """Return None: no name on the command line stands for a model of this family."""


@dataclass(frozen=True)
class ModelFamily(Generic[S]):
    """One kind of model; a row of `jobs.models.FAMILIES`."""

    settings: type[S]
    """Settings class, with the kind as the only value of its field ``kind``."""
    load: Callable[[S], "ProbedModel"]
    """Load a model on the CPU, in evaluation mode, in float32; raises `ModelError`. Libraries are
    imported when it is called."""
    resolve: Callable[[S], S] = unchanged
    """Settings for any process on any node: folders found, paths absolute; raises `ModelError`."""
    source: Callable[[S], str | None] = nothing
    """Origin of the weights, for messages; None if there is nothing that a user could look at."""
    untrained_seed: Callable[[S], int | None] = nothing
    """Seed of random weights; None for a trained model, or one whose training is unknown."""
    from_name: Callable[[str], S | None] = no_match
    """Settings of the model that a name on the command line stands for, such as a checkpoint
    folder; None if it is not one of this family."""
    is_baseline: bool = False
    """Whether it is a reference for the models under study: then all its layers are probed, and its
    input is the whole utterance, whatever part of it networks are given."""
