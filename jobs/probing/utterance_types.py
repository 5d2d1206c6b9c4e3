"""Types of utterances, to which the control ``type`` gives random values.

A type is a cluster of the filterbank statistics of utterances, as the baseline ``fbank`` has them:
a property of the input that training and test utterances share.

Legend: U utterances, S statistics.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from jobs.activations.store import read_layer
from jobs.arrays import FloatArray
from jobs.protocol.folds import Fold, IntArray
from jobs.storage.location import Location

STATISTICS = "statistics"
"""The layer of the baseline ``fbank``."""
MOST_TYPES = 16
UTTERANCES_PER_TYPE = 10
"""Least average number of training utterances of a type; fewer utterances make fewer types."""
MOST_CLUSTERED = 5000
"""Training utterances from which clusters are found, drawn at random if there are more."""
UNKNOWN = -1
"""Type of utterances without statistics."""


class UtteranceTypes:
    """The types of all utterances, by fold.

    Args:
        statistics: (U, S), NaN in rows without.
    """

    def __init__(self, statistics: FloatArray) -> None:
        self._statistics = statistics
        self._made: dict[bytes, IntArray] = {}

    def of(self, fold: Fold) -> IntArray:
        """Return (U,) the type of every utterance, from clusters of training utterances."""
        key = fold.train.tobytes()
        if key not in self._made:
            self._made[key] = find_types(self._statistics, fold.train)
        return self._made[key]


def find_types(statistics: FloatArray, train: IntArray) -> IntArray:
    """Cluster the ``train`` rows of ``statistics`` (U, S) by k-means; assign all to the clusters.

    Statistics are standardised on the training rows. There are up to ``MOST_TYPES`` clusters, and
    the generator's seed is 0.
    """
    known = np.asarray(np.isfinite(statistics).all(axis=1))
    rows = train[known[train]]
    types = np.full(len(statistics), UNKNOWN, dtype=np.int64)
    n_types = min(MOST_TYPES, len(rows) // UTTERANCES_PER_TYPE)
    if n_types < 2:
        types[known] = 0
        return types
    if len(rows) > MOST_CLUSTERED:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_CLUSTERED, replace=False))
    mean, sd = statistics[rows].mean(axis=0), statistics[rows].std(axis=0)
    scaled = (statistics[known] - mean) / np.where(sd > 0, sd, 1.0)
    fitted = scaled[np.searchsorted(np.flatnonzero(known), rows)]
    distinct = min(n_types, len(np.unique(fitted, axis=0)))
    clusters = KMeans(distinct, n_init=1, random_state=0).fit(fitted)
    types[known] = clusters.predict(scaled)
    return types


def read_types(sets: Iterable[tuple[Location, int]], order: "pd.Index[str]") -> UtteranceTypes:
    """Read the statistics of the utterances in ``order`` (U,).

    Args:
        sets: (folder, number of shards) of the activations of the baseline ``fbank``.
        order: utterance ids.

    Raises:
        jobs.activations.manifest.CorruptShard: a shard is damaged and has to be extracted again.
    """
    statistics: FloatArray | None = None
    for folder, n_shards in sets:
        names, values = read_layer(folder, n_shards, STATISTICS)
        if statistics is None:
            statistics = np.full((len(order), values.shape[1]), np.nan)
        rows = order.get_indexer(pd.Index(names))
        statistics[rows[rows >= 0]] = values[rows >= 0]
    return UtteranceTypes(np.full((len(order), 1), np.nan) if statistics is None else statistics)
