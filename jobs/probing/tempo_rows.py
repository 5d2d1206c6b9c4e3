"""Rows of the utterance table that the tempo analysis adds, and the names of their predictions."""

import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from jobs.audio.segments import at_tempo
from jobs.audio.stretch import TEMPO_VERSION
from jobs.corpus.table import has_value
from jobs.probes import PROBES, ProbeSettings
from jobs.probing.tempo_settings import TempoSettings
from jobs.protocol.folds import IntArray
from jobs.protocol.target_folds import TargetFolds
from jobs.targets.registry import TARGETS

EXPONENTS = {
    target.name: target.tempo_exponent
    for target in TARGETS.values()
    if target.tempo_exponent is not None
}
"""Target → e, where speech at f times the tempo has f^e times the value: 1 for a rate."""

RECORDED = "recorded"
"""In keys of predictions: the audio as it was recorded."""

_SPLIT = "#tempo="


def followed_targets(settings: TempoSettings, probed: Sequence[str]) -> tuple[str, ...]:
    """Select the targets of this analysis among those that are ``probed``."""
    wanted = EXPONENTS if settings.targets is None else settings.targets
    return tuple(name for name in probed if name in wanted)


def predicts_stretched(
    targets: Sequence[str], target: str, control: str, probe: ProbeSettings
) -> bool:
    """Return True if a cell's probe predicts stretched utterances.

    It does if it can be applied to new activations, predicts one of ``targets`` and is not a
    control.
    """
    return control == "none" and target in targets and PROBES[probe.kind].apply is not None


def prediction_key(cell_id: str, factor: float | str) -> str:
    """Name a cell's predictions at ``factor``, or as ``RECORDED``."""
    return f"{cell_id}@{factor}"


def tempo_split(factor: float | str) -> str:
    """Name the split of utterances at ``factor``."""
    return f"{_SPLIT}{factor}"


def draw_utterances(
    settings: TempoSettings,
    targets: Sequence[str],
    folds: TargetFolds,
    table: pd.DataFrame,
) -> tuple[str, ...]:
    """Draw the utterances to stretch, sorted; the same in any order of the table.

    All of them are test utterances of every one of the ``targets``.

    Every speaker contributes one before any contributes another, speakers and utterances in random
    order. Utterances without a value of any of the ``targets`` are not drawn.
    """
    tested = tested_rows(folds, targets)
    known = np.any([has_value(table[name]) for name in targets], axis=0)
    rows = table.iloc[tested[known[tested]]].sort_values("utterance_id")
    generator = np.random.default_rng(settings.seed)
    rows = rows.iloc[generator.permutation(len(rows))]
    turn = rows.groupby("speaker_id", sort=False).cumcount()
    order = np.argsort(turn.to_numpy(), kind="stable")
    return tuple(sorted(rows["utterance_id"].iloc[order[: settings.utterances]]))


def tested_rows(folds: TargetFolds, targets: Sequence[str]) -> IntArray:
    """List the rows that are tested for every one of the ``targets``, ascending."""
    tested = (
        np.unique(np.concatenate([fold.test for fold in folds.of(target)])) for target in targets
    )
    return functools.reduce(np.intersect1d, tested)


def stretched_rows(
    utterances: Sequence[str], factors: Sequence[float], table: pd.DataFrame
) -> pd.DataFrame:
    """Make the rows of ``utterances`` at each of ``factors``, one split per factor.

    Path, identity and length are those of the stretched audio; the columns of targets stay as they
    are.
    """
    rows = table[table["utterance_id"].isin(set(utterances))]
    frames = [
        rows.assign(
            split=tempo_split(factor),
            audio_path=[at_tempo(path, factor) for path in rows["audio_path"]],
            audio_digest=[f"{d}*{factor} v{TEMPO_VERSION}" for d in rows["audio_digest"]],
            seconds=rows["seconds"] / factor,
            n_samples=(rows["n_samples"] / factor).round().astype(int),
        )
        for factor in factors
    ]
    return pd.concat(frames, ignore_index=True)


def recorded_rows(utterances: Sequence[str], table: pd.DataFrame) -> pd.DataFrame:
    """Copy the rows of ``utterances`` as they were recorded into a split of their own."""
    return table[table["utterance_id"].isin(set(utterances))].assign(split=tempo_split(RECORDED))
