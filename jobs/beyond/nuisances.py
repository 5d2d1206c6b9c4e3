"""Nuisances as bands of features, row by row of the utterance table.

Legend: U rows of the utterance table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jobs.arrays import FloatArray
from jobs.beyond.banded_ridge import Rows
from jobs.beyond.settings import BASELINES, COLUMNS, Nuisance
from jobs.probes import TargetKind
from jobs.probing.layer_data import read_sets
from jobs.protocol.folds import Fold, StrArray
from jobs.statistics.speaker_mean import speaker_mean
from jobs.storage.location import Location


@dataclass(frozen=True)
class BaselineRows:
    """The stored activations of a baseline."""

    layer: str
    """Its only layer."""
    activations: tuple[tuple[Location, int], ...]
    """(folder, number of shards) of every activation set."""


def nuisances_of(
    nuisances: Sequence[Nuisance], target: str, kind: TargetKind
) -> tuple[Nuisance, ...]:
    """Select the nuisances that are used for ``target``.

    A nuisance that is the target itself would leave nothing to explain; the mean of a speaker's
    other utterances is defined for numbers alone, as it would give away a class of the speaker.
    """
    own = {COLUMNS.get(nuisance, nuisance): nuisance for nuisance in nuisances}.get(target)
    return tuple(
        nuisance
        for nuisance in nuisances
        if nuisance != own and (nuisance != "speaker_mean" or kind == "regression")
    )


def read_baselines(baselines: Mapping[str, BaselineRows], table: pd.DataFrame) -> dict[str, Rows]:
    """Read the (U, n) activations of every baseline, NaN where an utterance was skipped.

    Raises:
        jobs.activations.manifest.CorruptShard: a shard is damaged and has to be extracted again.
        ValueError: a baseline has no activations.
    """
    found = {}
    for name, baseline in baselines.items():
        rows, _ = read_sets(baseline.activations, baseline.layer, pd.Index(table["utterance_id"]))
        if rows is None:
            raise ValueError(f"no utterance has activations of the baseline {name}")
        found[name] = rows
    return found


def fixed_bands(
    nuisances: Sequence[Nuisance], baselines: Mapping[str, Rows], table: pd.DataFrame
) -> dict[Nuisance, Rows]:
    """Return the (U, n) values of all nuisances that do not depend on target and fold."""
    return {
        nuisance: baselines[nuisance]
        if nuisance in BASELINES
        else table[[COLUMNS[nuisance]]].to_numpy(dtype=np.float32)
        for nuisance in nuisances
        if nuisance != "speaker_mean"
    }


def speaker_mean_band(y: FloatArray, speakers: StrArray, fold: Fold) -> Rows:
    """(U, 1) mean of a target ``y`` (U,) over the *other* utterances of the speaker in the same
    split of ``fold``, as `jobs.statistics.speaker_mean` has it for the test split; NaN elsewhere.

    A speaker's only utterance has the training mean.
    """
    band = np.full((len(y), 1), np.nan, dtype=np.float32)
    mean = float(y[fold.train].mean())
    for rows in (fold.train, fold.validation, fold.test):
        band[rows, 0] = speaker_mean(y[rows], speakers[rows], mean)
    return band
