"""Settings of the tempo analysis, and the rows of the utterance table that it adds."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from jobs.audio.segments import at_tempo
from jobs.audio.stretch import FASTEST, SLOWEST, TEMPO_VERSION
from jobs.corpus.table import has_value
from jobs.probes import PROBES, ProbeSettings
from jobs.protocol.folds import make_folds
from jobs.protocol.settings import ProtocolSettings
from jobs.settings import Settings
from jobs.targets.registry import TARGETS

EXPONENTS = {
    target.name: target.tempo_exponent
    for target in TARGETS.values()
    if target.tempo_exponent is not None
}
"""Target → e, where speech at f times the tempo has f^e times its value: 1 for a rate."""


RECORDED = "recorded"
"""In keys of predictions: the audio as it was recorded."""


class TempoSettings(Settings):
    """Test utterances at other rates, with their pitch kept."""

    EXAMPLES = ("{factors: [0.8, 0.9, 1.1, 1.25], utterances: 200, targets: [cps], seed: 0}",)

    factors: Annotated[
        tuple[Annotated[float, Field(ge=SLOWEST, le=FASTEST)], ...], Field(min_length=2)
    ] = (0.8, 0.9, 1.1, 1.25)
    """New rate ÷ recorded rate, between 0.5 and 2; two or more, since stretched utterances are
    compared with each other."""
    utterances: Annotated[int, Field(ge=2)] = 200
    """Largest number of test utterances to stretch; the same for all models, drawn at random, from
    all speakers equally."""
    targets: tuple[str, ...] | None = None
    """Targets to follow, of those whose change with tempo is known: ``cps``, ``cps_with_spaces``,
    ``words_per_second``, ``articulation_rate`` and ``duration``. null: all of them that are
    probed."""
    seed: int = 0
    """Seed of the random choice of utterances."""

    def among(self, probed: Sequence[str]) -> tuple[str, ...]:
        """The targets of this analysis among those that are ``probed``."""
        asked = EXPONENTS if self.targets is None else self.targets
        return tuple(name for name in probed if name in asked)

    @field_validator("factors")
    @classmethod
    def _different(cls, factors: tuple[float, ...]) -> tuple[float, ...]:
        if 1 in factors:
            raise ValueError("factors: 1 is the recording, which is heard in any case; remove it")
        if len(set(factors)) < len(factors):
            raise ValueError(f"factors: expected different ones, found {list(factors)}")
        return factors


def is_asked(targets: Sequence[str], target: str, control: str, probe: ProbeSettings) -> bool:
    """Whether a cell's probe is to predict stretched utterances: a probe that can be applied to new
    activations, of one of ``targets``, and not a control."""
    return control == "none" and target in targets and PROBES[probe.kind].apply is not None


def key(cell_id: str, factor: float | str) -> str:
    """The name of a cell's predictions at ``factor``, or as ``RECORDED``."""
    return f"{cell_id}@{factor}"


def split_at(factor: float | str) -> str:
    """Name of the split of utterances at ``factor``."""
    return f"{_SPLIT}{factor}"


_SPLIT = "#tempo="


def draw_utterances(
    settings: TempoSettings,
    targets: Sequence[str],
    protocol: ProtocolSettings,
    table: pd.DataFrame,
) -> tuple[str, ...]:
    """Draw the test utterances to stretch, sorted; the same in any order of the table.

    Every speaker contributes one before any contributes another, speakers and utterances in random
    order. Utterances without a value of any of the ``targets`` are not drawn.
    """
    tested = np.unique(np.concatenate([fold.test for fold in make_folds(protocol, table)]))
    known = np.any([has_value(table[name]) for name in targets], axis=0)
    rows = table.iloc[tested[known[tested]]].sort_values("utterance_id")
    generator = np.random.default_rng(settings.seed)
    rows = rows.iloc[generator.permutation(len(rows))]
    turn = rows.groupby("speaker_id", sort=False).cumcount()
    order = np.argsort(turn.to_numpy(), kind="stable")
    return tuple(sorted(rows["utterance_id"].iloc[order[: settings.utterances]]))


def stretched_rows(
    utterances: Sequence[str], factors: Sequence[float], table: pd.DataFrame
) -> pd.DataFrame:
    """Rows of ``utterances`` at each of ``factors``, a split each.

    Path, identity and length are those of the stretched audio; the columns of targets stay as they
    are.
    """
    rows = table[table["utterance_id"].isin(set(utterances))]
    frames = [
        rows.assign(
            split=split_at(factor),
            audio_path=[at_tempo(path, factor) for path in rows["audio_path"]],
            audio_digest=[f"{d}*{factor} v{TEMPO_VERSION}" for d in rows["audio_digest"]],
            seconds=rows["seconds"] / factor,
            n_samples=(rows["n_samples"] / factor).round().astype(int),
        )
        for factor in factors
    ]
    return pd.concat(frames, ignore_index=True)


def recorded_rows(utterances: Sequence[str], table: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``utterances`` as they were recorded, as a split of its own."""
    return table[table["utterance_id"].isin(set(utterances))].assign(split=split_at(RECORDED))
