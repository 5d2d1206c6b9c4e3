"""Files with the arrays of every fold, for each of several targets or probes.

A file is an ``.npz`` without pickles: one array names the targets or probes; the names of the
arrays of the one at position p and of its fold f begin with ``p/f/``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.storage.location import Location
from jobs.storage.npz_files import load_npz, save_npz
from jobs.storage.object_store import atomic_path
from jobs.storage.regular_files import read_regular

Arrays = Mapping[str, npt.NDArray[Any]]
"""The arrays of one fold by name."""


def write_fold_arrays(path: Location, of: str, found: Mapping[str, Sequence[Arrays]]) -> None:
    """Write the arrays of every fold, atomically.

    Args:
        path: the file.
        of: name of the array with the names in ``found``, such as ``targets``.
        found: name → arrays of its folds.
    """
    arrays: dict[str, npt.NDArray[Any]] = {of: np.array(list(found), dtype=np.str_)}
    for position, folds in enumerate(found.values()):
        for number, fold in enumerate(folds):
            arrays |= {f"{position}/{number}/{name}": values for name, values in fold.items()}
    with atomic_path(path) as temporary:
        save_npz(temporary, arrays)


def read_fold_arrays(path: Path, of: str) -> dict[str, list[Arrays]]:
    """Read the file of ``write_fold_arrays``, name → arrays of its folds.

    Raises:
        FileNotFoundError: the file does not exist.
        DamagedFile: it is damaged.
        KeyError: it is of another kind.
    """
    arrays, _ = load_npz(read_regular(path))
    found: dict[str, list[Arrays]] = {}
    for position, name in enumerate(arrays[of]):
        folds: dict[int, dict[str, npt.NDArray[Any]]] = {}
        for key, values in arrays.items():
            if key.startswith(f"{position}/"):
                _, number, field = key.split("/")
                folds.setdefault(int(number), {})[field] = values
        found[str(name)] = [folds[number] for number in range(len(folds))]
    return found
