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

It costs P² operations a row and layer in float64, which run at half the speed of a network's
float32: of the 51 layers of SimAM-ResNet34 at 64 channels 1.4 GFLOP, beside 72 in float32 for a
forward pass of 400 frames. So 3.4 % of it is the least (54 and 95 GFLOP/s on a Zen 4 core); blocks
of ``BLOCK_ROWS`` reach 3.5 %, for M is read and written once a block, 0.2 GB of it a layer.

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
from jobs.protocol.settings import KFoldProtocol, ProtocolSettings
from jobs.settings import Settings

log = logging.getLogger(__name__)

FREE_SHARE = 0.75
"""Of a GPU's free memory, for statistics: the rest is for the network's batches."""
BLOCK_ROWS = 256
"""Rows that wait for each other: with 64 at a time, a CPU spends a tenth more on reading M."""
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
    protocol: ProtocolSettings
    """Labels are shuffled within its parts."""
    inner: bool = False
    """Inner folds of training parts are to be put together as well."""

    def identity(self) -> dict[str, object]:
        """What changes the sums; without inner folds it is what it was before there were any."""
        own: dict[str, object] = self.model_dump(mode="json", exclude={"protocol", "inner"})
        inner = {"inner": True} if self.inner else {}
        return {**own, "protocol": self.protocol.identity(), **inner}

    @property
    def n_columns(self) -> int:
        """K."""
        return len(self.columns())

    @property
    def n_row_sets(self) -> int:
        """Sets of utterances that are summed by themselves."""
        return max(self.row_sets) + 1

    def columns(self) -> list[tuple[str, str, int]]:
        """(target, control, fold) of every column of labels.

        Shuffled labels are others in every fold; what is the same in all of them is fold 0's.
        """
        n_folds = self.protocol.folds if isinstance(self.protocol, KFoldProtocol) else 1
        return [
            (target, control, fold)
            for target in self.targets
            for control in self.controls
            for fold in range(n_folds if control == "shuffled" else 1)
        ]

    def column(self, target: str, control: str, fold: int) -> int:
        """Which column a cell of ``fold`` is fitted to."""
        return self.columns().index((target, control, fold if control == "shuffled" else 0))

    def row_set(self, target: str) -> int:
        """The set of utterances that have values of ``target``."""
        return self.row_sets[self.targets.index(target)]

    def matrix_bytes(self, width: int) -> int:
        """Memory that the sums of a layer of ``width`` take while they grow."""
        return 8 * self.n_row_sets * (1 + self.n_columns + width) ** 2

    def working_bytes(self, width: int) -> int:
        """The same with the rows that wait for the next block."""
        return self.matrix_bytes(width) + 4 * BLOCK_ROWS * width

    def stored_bytes(self, width: int) -> int:
        """What they take on disk: a triangle."""
        size = 1 + self.n_columns + width
        return 8 * self.n_row_sets * (width + size * (size + 1) // 2)


Rows = npt.NDArray[np.floating[Any]]
"""(n, D) activations of a layer."""


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
        target = self.settings.targets[self.settings.row_sets.index(row_set)]
        return np.isfinite(self.values[:, self.settings.column(target, "none", 0)])


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

    def add(self, X: Rows, Y: FloatArray) -> None:
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
        self._waiting: list[tuple[Mapping[str, Rows], FloatArray]] = []

    def add(self, layers: Mapping[str, Rows], labels: FloatArray) -> None:
        """Add utterances, which wait until there are ``BLOCK_ROWS``.

        Args:
            layers: (n, D) activations of each layer, those that are not asked for among them.
            labels: (n, K) of the utterances; NaN where there is none.
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
        """(sets of rows, D + P(P + 1)/2) of each layer, which is let go; {} if nothing came."""
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
