"""Settings of the sums that replace activations, importable without torch or scipy."""

from jobs.protocol.settings import KFoldProtocol, ProtocolSettings
from jobs.settings import Settings

BLOCK_ROWS = 256
"""Rows that are added together: with blocks of 64, reading M costs a CPU 10 % more time."""
GRAM_VERSION = 1
"""Part of the ids of statistics; increment it when the same settings give other values."""


class GramSettings(Settings):
    """Settings of the sums; they must be known before the activations are computed."""

    targets: tuple[str, ...]
    row_sets: tuple[int, ...]
    """Number, for each target, of the set of utterances that have a value of it. Targets with
    values for the same utterances share a set; every set is summed separately."""
    controls: tuple[str, ...]
    """``none`` first."""
    layers: tuple[str, ...]
    protocol: ProtocolSettings
    """Labels are shuffled within its splits."""
    inner: bool = False
    """Inner folds of the training splits can be assembled as well."""

    def identity(self) -> dict[str, object]:
        """Return the settings that change the sums; without inner folds, ``inner`` is left out."""
        own: dict[str, object] = self.model_dump(mode="json", exclude={"protocol", "inner"})
        inner = {"inner": True} if self.inner else {}
        return {**own, "protocol": self.protocol.identity(), **inner}

    @property
    def n_columns(self) -> int:
        """K, the number of columns of labels."""
        return len(self.columns())

    @property
    def n_row_sets(self) -> int:
        """Number of sets of utterances that are summed separately."""
        return max(self.row_sets) + 1

    def columns(self) -> list[tuple[str, str, int]]:
        """Return (target, control, fold) of every column of labels.

        Shuffled labels differ between folds; all other columns are listed with fold 0.
        """
        n_folds = self.protocol.folds if isinstance(self.protocol, KFoldProtocol) else 1
        return [
            (target, control, fold)
            for target in self.targets
            for control in self.controls
            for fold in range(n_folds if control == "shuffled" else 1)
        ]

    def column(self, target: str, control: str, fold: int) -> int:
        """Return the index of the column for a cell of ``fold``."""
        return self.columns().index((target, control, fold if control == "shuffled" else 0))

    def row_set(self, target: str) -> int:
        """Return the number of the set of utterances that have values of ``target``."""
        return self.row_sets[self.targets.index(target)]

    def matrix_bytes(self, width: int) -> int:
        """Return the bytes of memory for the sums of a layer of ``width``."""
        return 8 * self.n_row_sets * (1 + self.n_columns + width) ** 2

    def working_bytes(self, width: int) -> int:
        """Return the bytes of memory for the sums and the rows of the next block."""
        return self.matrix_bytes(width) + 4 * BLOCK_ROWS * width

    def stored_bytes(self, width: int) -> int:
        """Return the bytes of the sums on disk, where only a triangle of M is stored."""
        size = 1 + self.n_columns + width
        return 8 * self.n_row_sets * (width + size * (size + 1) // 2)
