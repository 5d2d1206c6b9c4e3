"""Sufficient statistics for least squares: sums of activations and labels, keeping no rows.

The rows summed are [1, y₁ … y_K, x₁ − s₁ … x_D − s_D], of length P = 1 + K + D: the sum M of their
outer products holds the count, the sums, X'X, X'Y and Y'Y of a set of rows at once. The shift s is
the mean of the first block, so that little precision is lost when the mean is subtracted.

Everything is float64, in memory and on disk: X'X of a layer is nearly singular, and rounding errors
in it matter at the smaller penalties of ridge regression. The largest difference between
predictions from sums and from activations, in SDs of the predictions, was at α = 1e-4, 1e-2 and 1
(6000 rows of 1280 features with five dominant directions)::

    sums in float64                    1e-11   1e-13   5e-15
    summed in float64, kept in float32  5e-4    9e-6    4e-7
    summed in float32                   5e-3    8e-5    1e-6

The cost is P² operations per row and layer in float64, at about half the speed of float32. The 51
layers of SimAM-ResNet34 with 64 channels take 1.4 GFLOP per row, against 72 in float32 for a
forward pass of 400 frames. At 54 and 95 GFLOP/s (a Zen 4 core) this is at least 3.4 % of the pass;
blocks of ``BLOCK_ROWS`` reach 3.5 %, as M (0.2 GB per layer) is read and written once per block.

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

from jobs.arrays import FloatArray
from jobs.gram.settings import BLOCK_ROWS, GramSettings

log = logging.getLogger(__name__)

FREE_SHARE = 0.75
"""Share of a GPU's free memory for the statistics; the rest is for the network's batches."""


Rows = npt.NDArray[np.floating[Any]]
"""(n, D) activations of a layer."""


@dataclass(frozen=True)
class Labels:
    """Labels of some utterances."""

    settings: GramSettings
    values: FloatArray
    """(U, K); NaN if there is no value."""

    def __getitem__(self, rows: slice) -> "Labels":
        """Return the labels of a slice of the utterances."""
        return Labels(self.settings, self.values[rows])

    def usable(self, row_set: int) -> npt.NDArray[np.bool_]:
        """Return a (U,) mask of the utterances in a set of rows."""
        target = self.settings.targets[self.settings.row_sets.index(row_set)]
        return np.isfinite(self.values[:, self.settings.column(target, "none", 0)])


class Sums:
    """Sum M of one layer and one set of rows, on a device.

    Args:
        width: D.
        n_columns: K.
        device: device of M, which has P² float64 values. On a CPU, BLAS' ``syrk`` updates one
            triangle in place; torch has no such function and updates both.
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

    def add(self, X: Rows, Y: FloatArray) -> None:
        """Add a block: activations ``X`` (n, D) and labels ``Y`` (n, K), 0 if missing.

        Activations that are not finite make the sums not finite.
        """
        if not len(X):
            return
        # inf − inf is NaN, which stays in the sums and is reported when they are read.
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
        # The transpose is in column-major order, as BLAS needs it, so nothing is copied.
        blas.dsyrk(1.0, block.T, beta=1.0, c=self._matrix, lower=1, overwrite_c=1)

    def packed(self) -> FloatArray:
        """Return (D + P(P + 1)/2,): the shift and the lower triangle of M, column by column."""
        shift = np.zeros(self._width) if self._shift is None else self._shift
        matrix = self._matrix
        if isinstance(matrix, torch.Tensor):
            matrix = matrix.numpy(force=True)
        triangle, info = lapack.dtrttp(np.asfortranarray(matrix), uplo="L")
        assert info == 0, info
        return np.concatenate([shift, triangle])


class LayerSums:
    """Sums of every layer and every set of rows.

    Args:
        settings: settings of the sums.
        device: device of the activations. A GPU with enough free memory is more than ten times
            as fast as its CPU.
    """

    def __init__(self, settings: GramSettings, device: torch.device) -> None:
        self._settings, self._device = settings, device
        self._sums: dict[str, list[Sums]] = {}
        self._waiting: list[tuple[Mapping[str, Rows], FloatArray]] = []

    def add(self, layers: Mapping[str, Rows], labels: FloatArray) -> None:
        """Add utterances; they are summed in blocks of ``BLOCK_ROWS``.

        Args:
            layers: (n, D) activations of each layer; layers not in the settings are ignored.
            labels: (n, K) labels; NaN if there is no value.
        """
        if not layers:
            return
        chosen = {name: layers[name] for name in self._settings.layers}
        if not self._sums:
            self._begin({name: values.shape[1] for name, values in chosen.items()})
        if sum(len(rows) for _, rows in self._waiting) + len(labels) > BLOCK_ROWS:
            self._add_waiting()
        self._waiting.append((chosen, labels))

    def packed(self) -> dict[str, FloatArray]:
        """Return (sets of rows, D + P(P + 1)/2) per layer, freeing the sums; {} without rows."""
        self._add_waiting()
        return {
            name: np.stack([one.packed() for one in self._sums.pop(name)])
            for name in list(self._sums)
        }

    def _add_waiting(self) -> None:
        if not self._waiting:
            return
        labels = np.concatenate([rows for _, rows in self._waiting])
        values = np.nan_to_num(labels, nan=0.0)
        usable = [
            np.flatnonzero(Labels(self._settings, labels).usable(row_set))
            for row_set in range(self._settings.n_row_sets)
        ]
        for name, sums in self._sums.items():
            X = np.concatenate([layers[name] for layers, _ in self._waiting])
            for one, rows in zip(sums, usable, strict=True):
                every = len(rows) == len(X)
                one.add(X if every else X[rows], values if every else values[rows])
        self._waiting.clear()

    def _begin(self, widths: Mapping[str, int]) -> None:
        needed = sum(map(self._settings.matrix_bytes, widths.values()))
        device = _device_with_room(self._device, needed)
        for name, width in widths.items():
            self._sums[name] = [
                Sums(width, self._settings.n_columns, device)
                for _ in range(self._settings.n_row_sets)
            ]


def _device_with_room(device: torch.device, needed: int) -> torch.device:
    """Return ``device``, or the CPU if it is a GPU without ``needed`` bytes to spare."""
    if device.type == "cpu":
        return device
    free, _ = torch.cuda.mem_get_info(device)
    if needed < FREE_SHARE * free:
        return device
    log.warning(
        "statistics are summed on the CPU, which is slower: they need %.1f GiB, and %s has %.1f "
        "GiB to spare (use fewer layers, or pooling: channels)",
        needed / 2**30, device, FREE_SHARE * free / 2**30,
    )  # fmt: skip
    return torch.device("cpu")
