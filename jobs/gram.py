"""Sufficient statistics of least squares: activations and labels summed up, and not one row kept.

A row of what is summed is [1, y₁ … y_K, x₁ − s₁ … x_D − s_D], P = 1 + K + D long: the sum M of its
outer products holds the count, the sums, X'X, X'Y and Y'Y of a set of rows at once. The shift s is
the mean of the first block, so that little is lost to cancellation when the mean is taken out.

All is float64, in memory and on disk: X'X of a layer is nearly singular, and its rounding reaches
the smaller penalties of a ridge regression. Measured, as the largest difference of a prediction
from that of the activations in SDs of the predictions, at α = 1e-4, 1e-2 and 1 (6000 rows of 1280
features in five main directions)::

    sums in float64                    1e-11   1e-13   5e-15
    summed in float64, kept in float32  5e-4    9e-6    4e-7
    summed in float32                   5e-3    8e-5    1e-6

Legend: n rows of a block, D width of a layer, K columns of labels.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import blas, lapack

from jobs.metrics import FloatArray
from jobs.protocol import SplitsProtocol
from jobs.settings import Settings

log = logging.getLogger(__name__)

FREE_SHARE = 0.75
"""Of a GPU's free memory, for statistics: the rest is for the network's batches."""
GRAM_VERSION = 1
"""Raised when the same settings give other statistics than before: part of their ids."""


class GramSettings(Settings):
    """What is summed up beside the activations: it has to be known before they are computed."""

    targets: tuple[str, ...]
    row_sets: tuple[int, ...]
    """Of each target: which set of utterances has values of it. Targets that all utterances have,
    or that the same ones lack, share one; every set is summed by itself."""
    controls: tuple[str, ...]
    """``none`` first."""
    layers: tuple[str, ...]
    protocol: SplitsProtocol
    """Labels are shuffled within its parts."""

    @property
    def n_columns(self) -> int:
        """K."""
        return len(self.targets) * len(self.controls)

    @property
    def n_row_sets(self) -> int:
        """Sets of utterances that are summed by themselves."""
        return max(self.row_sets) + 1

    def columns(self) -> list[tuple[str, str]]:
        """(target, control) of every column of labels."""
        return [(target, control) for target in self.targets for control in self.controls]

    def row_set(self, target: str) -> int:
        """The set of utterances that have values of ``target``."""
        return self.row_sets[self.targets.index(target)]

    def working_bytes(self, width: int) -> int:
        """Memory that the sums of a layer of ``width`` take while they grow."""
        return 8 * self.n_row_sets * (1 + self.n_columns + width) ** 2

    def stored_bytes(self, width: int) -> int:
        """What they take on disk: a triangle."""
        size = 1 + self.n_columns + width
        return 8 * self.n_row_sets * (width + size * (size + 1) // 2)


@dataclass(frozen=True)
class Labels:
    """The labels of some utterances."""

    settings: GramSettings
    values: FloatArray
    """(U, K); NaN where there is none."""

    def __getitem__(self, rows: slice) -> "Labels":
        """Those of some utterances."""
        return Labels(self.settings, self.values[rows])

    def usable(self, row_set: int) -> npt.NDArray[np.bool_]:
        """(U,) which utterances are in a set of rows."""
        target = self.settings.row_sets.index(row_set)
        column = target * len(self.settings.controls)
        return np.isfinite(self.values[:, column])


class Sums:
    """M of one layer and one set of rows, on a device.

    Args:
        width: D.
        n_columns: K.
        device: where M lies, P² float64 of it. On a CPU BLAS' ``syrk`` adds one triangle in place;
            torch has no such product, and adds both.
    """

    def __init__(self, width: int, n_columns: int, device: torch.device) -> None:
        size = 1 + n_columns + width
        self._shift: FloatArray | None = None
        self._width, self._n_columns, self._device = width, n_columns, device
        self._matrix: FloatArray | torch.Tensor = (
            np.zeros((size, size), order="F")
            if device.type == "cpu"
            else torch.zeros((size, size), dtype=torch.float64, device=device)
        )

    def add(self, X: npt.NDArray[np.floating[Any]], Y: FloatArray) -> None:
        """Add a block: activations ``X`` (n, D) and labels ``Y`` (n, K), 0 where there is none.

        Activations that are not finite make the sums so.
        """
        if not len(X):
            return
        # Infinite values: inf − inf is NaN, and stays in the sums for whoever reads them.
        with np.errstate(invalid="ignore"):
            if self._shift is None:
                self._shift = X.mean(axis=0, dtype=np.float64)
            block = np.empty((len(X), 1 + self._n_columns + self._width))
            block[:, 0] = 1
            block[:, 1 : 1 + self._n_columns] = Y
            np.subtract(X, self._shift, out=block[:, 1 + self._n_columns :])
        if isinstance(self._matrix, torch.Tensor):
            rows = torch.from_numpy(block).to(self._device)
            self._matrix.addmm_(rows.T, rows)
            return
        # The block's transpose has LAPACK's order, so that nothing is copied.
        blas.dsyrk(1.0, block.T, beta=1.0, c=self._matrix, lower=1, overwrite_c=1)

    def packed(self) -> FloatArray:
        """(D + P(P + 1)/2,): the shift, and the lower triangle of M, column by column."""
        shift = np.zeros(self._width) if self._shift is None else self._shift
        matrix = self._matrix
        if isinstance(matrix, torch.Tensor):
            matrix = matrix.numpy(force=True)
        triangle, info = lapack.dtrttp(np.asfortranarray(matrix), uplo="L")
        assert info == 0, info
        return np.concatenate([shift, triangle])


class LayerSums:
    """The sums of every layer and every set of rows.

    Args:
        settings: what is summed.
        device: where the activations come from: a GPU is faster than the CPU beside it by more
            than an order, if its memory has room.
    """

    def __init__(self, settings: GramSettings, device: torch.device) -> None:
        self._settings, self._device = settings, device
        self._sums: dict[str, list[Sums]] = {}

    def add(self, layers: Mapping[str, npt.NDArray[np.floating[Any]]], labels: FloatArray) -> None:
        """Add utterances.

        Args:
            layers: (n, D) activations of each layer, those that are not asked for among them.
            labels: (n, K) of the utterances; NaN where there is none.
        """
        chosen = {name: layers[name] for name in self._settings.layers} if layers else {}
        if chosen and not self._sums:
            self._begin({name: values.shape[1] for name, values in chosen.items()})
        values = np.nan_to_num(labels, nan=0.0)
        usable = Labels(self._settings, labels).usable
        for row_set in range(self._settings.n_row_sets):
            rows = usable(row_set)
            for name, X in chosen.items():
                every = bool(rows.all())
                self._sums[name][row_set].add(
                    X if every else X[rows], values if every else values[rows]
                )

    def packed(self) -> dict[str, FloatArray]:
        """(sets of rows, D + P(P + 1)/2) of each layer, which is let go; {} if nothing came."""
        return {
            name: np.stack([one.packed() for one in self._sums.pop(name)])
            for name in list(self._sums)
        }

    def _begin(self, widths: Mapping[str, int]) -> None:
        needed = sum(map(self._settings.working_bytes, widths.values()))
        device = _with_room(self._device, needed)
        for name, width in widths.items():
            self._sums[name] = [
                Sums(width, self._settings.n_columns, device)
                for _ in range(self._settings.n_row_sets)
            ]


def _with_room(device: torch.device, needed: int) -> torch.device:
    """``device``, or the CPU if it is a GPU without so many bytes to spare."""
    if device.type == "cpu":
        return device
    free, _ = torch.cuda.mem_get_info(device)
    if needed < FREE_SHARE * free:
        return device
    log.warning(
        "statistics are summed on the CPU, which is slower: they take %.1f GiB, and %s has %.1f "
        "GiB to spare (layers: fewer, or pooling: channels)",
        needed / 2**30, device, FREE_SHARE * free / 2**30,
    )  # fmt: skip
    return torch.device("cpu")
