"""Settings of a protocol: which utterances train, validate and test a probe."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, model_validator

from jobs.settings import Settings

BALANCE_VERSION = 1
"""Part of the ids of cells of classes in folds; increment it when `jobs.protocol.balanced_parts`
finds other parts."""


class SplitsProtocol(Settings):
    """The splits of the corpus, as they are."""

    EXAMPLES = (
        "{kind: splits, train: train, validation: dev, test: test, allow_speaker_overlap: false}",
    )

    kind: Literal["splits"] = "splits"
    """Use the splits of the corpus as they are."""
    train: str = "train"
    """Split that probes are trained on."""
    validation: str | None = "validation"
    """Split that penalties and the number of epochs are chosen on. null: inner folds of the
    training speakers are used instead."""
    test: str = "test"
    """Split that is scored."""
    allow_speaker_overlap: bool = False
    """Whether a speaker may be in two splits. A probe may then score well by recognising
    speakers."""

    @model_validator(mode="after")
    def _splits_differ(self) -> "SplitsProtocol":
        names = [name for _, name in self.splits()]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(
                f"the split {repeated[0]!r} is used twice: train, validation and test must differ"
            )
        return self

    @property
    def n_folds(self) -> int:
        """Number of folds: one."""
        return 1

    @property
    def has_validation(self) -> bool:
        """True if there are utterances to choose hyperparameters on."""
        return self.validation is not None

    def splits(self) -> Iterator[tuple[str, str]]:
        """(role, split) of the roles that are filled."""
        yield "train", self.train
        if self.validation is not None:
            yield "validation", self.validation
        yield "test", self.test


class KFoldProtocol(Settings):
    """All splits pooled and cut into folds, with no group in two folds.

    Each fold is tested once; the next one is for validation and the others are for training.
    """

    EXAMPLES = ("{kind: kfold, folds: 5, group: speaker_id, allow_speaker_overlap: false}",)

    kind: Literal["kfold"] = "kfold"
    """Pool all splits and cut them into folds."""
    folds: int = Field(default=5, ge=2, le=100_000)
    """Number of folds. With two there is no validation split, and inner folds are used instead."""
    group: str = "speaker_id"
    """Column of the utterance table whose values stay together: ``speaker_id``, ``chapter_id``,
    ``utterance_id``, or a column of the corpus."""
    allow_speaker_overlap: bool = False
    """Whether a speaker may be in two folds, as the target ``speaker`` requires. A probe may then
    score well by recognising speakers."""

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return self.folds

    @property
    def has_validation(self) -> bool:
        """True if there are utterances to choose hyperparameters on."""
        return self.folds >= 3

    def identity(self) -> dict[str, object]:
        """Return the settings that change the folds, without permissions."""
        return self.model_dump(mode="json", exclude={"allow_speaker_overlap"})


ProtocolSettings = Annotated[SplitsProtocol | KFoldProtocol, Field(discriminator="kind")]


@dataclass(frozen=True)
class Protocols:
    """The protocol of every target: one for all, except for targets with one of their own."""

    default: SplitsProtocol | KFoldProtocol
    own: Mapping[str, SplitsProtocol | KFoldProtocol] = field(default_factory=dict)

    def of(self, target: str) -> SplitsProtocol | KFoldProtocol:
        """Return the protocol of ``target``."""
        return self.own.get(target, self.default)
