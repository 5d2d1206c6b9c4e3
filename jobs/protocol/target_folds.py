"""Folds of every target of an utterance table.

Targets may have protocols of their own, and classes are balanced over folds.
"""

from collections.abc import Collection

import pandas as pd

from jobs.protocol.folds import Fold, StrArray, group_labels, make_folds
from jobs.protocol.settings import KFoldProtocol, Protocols


class TargetFolds:
    """The folds of each target, made on first use; targets with equal folds share them.

    Args:
        protocols: the protocol of every target.
        table: U rows, with names of classes.
        classes: the targets whose values are classes.
    """

    def __init__(
        self, protocols: Protocols, table: pd.DataFrame, classes: Collection[str] = ()
    ) -> None:
        self.protocols = protocols
        self._table, self._classes = table, frozenset(classes) & set(table.columns)
        self._made: dict[str, list[Fold]] = {}

    def of(self, target: str) -> list[Fold]:
        """Return the folds of ``target``.

        Raises:
            ValueError: its protocol does not fit the table.
        """
        key = self.key(target)
        if key not in self._made:
            by_class = self._is_balanced(target)
            classes = self._table[target].to_numpy(dtype=str) if by_class else None
            self._made[key] = make_folds(self.protocols.of(target), self._table, classes)
        return self._made[key]

    def groups(self, target: str) -> StrArray:
        """(U,) groups that the folds of ``target`` keep together."""
        return group_labels(self.protocols.of(target), self._table)

    def key(self, target: str) -> str:
        """Identify the folds of ``target``: targets with the same key have the same folds."""
        own = target if self._is_balanced(target) else ""
        return f"{self.protocols.of(target).model_dump_json()} {own}"

    def _is_balanced(self, target: str) -> bool:
        return target in self._classes and isinstance(self.protocols.of(target), KFoldProtocol)
