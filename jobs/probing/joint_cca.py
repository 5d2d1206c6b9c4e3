"""Joint CCA of one layer with several targets: canonical components, and their file.

For every probe and fold, the file (`jobs.probing.fold_arrays`) has the arrays ``utterance_id``
(n_test,), ``activations`` and ``targets`` (n_test, k) float32, ``in_sample`` (k,), ``n_train`` and
``saturated``.

Legend: n_test test utterances of a fold, k components.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jobs.probes import CcaSettings
from jobs.probes.cca import Components, fit_jointly
from jobs.probing.errors import error_line
from jobs.probing.fold_arrays import Arrays, read_fold_arrays, write_fold_arrays
from jobs.probing.layer_data import LayerData
from jobs.probing.parts import ProbedLayer
from jobs.probing.results import FittedCell
from jobs.process import ran_out_of_memory
from jobs.protocol.folds import StrArray, only
from jobs.storage.location import Location
from jobs.storage.regular_files import DamagedFile


class CanonicalError(ValueError):
    """A file of canonical components that cannot be read."""


@dataclass(frozen=True)
class JointCca:
    """The part of a probe job that fits CCA probes to several targets jointly."""

    probes: Mapping[str, CcaSettings]
    """Name → settings of each CCA probe."""
    targets: tuple[str, ...]
    """Numeric columns of the utterance table, with one protocol."""
    file: Location

    def start(self, layer: ProbedLayer) -> "JointFit":
        """Fit after the layer's own cells."""
        return JointFit(self, layer)


class JointFit:
    """Joint CCA of one layer."""

    def __init__(self, joint: JointCca, layer: ProbedLayer) -> None:
        self._joint, self._layer = joint, layer

    def after_fit(self, fitted: FittedCell) -> None:
        """Do nothing: components are fitted to the layer, not to cells."""

    def finish(self) -> Mapping[str, str]:
        """Write the components; an error fails all cells of these probes except controls."""
        try:
            found = fit_targets_jointly(self._joint, self._layer.data)
        except Exception as error:
            if ran_out_of_memory(error) and self._layer.raises_out_of_memory:
                raise  # it may succeed on an exclusive node
            reason = f"several targets together: {error_line(error)}"
            return {
                cell.cell_id: reason
                for cell in self._layer.cells
                if cell.probe in self._joint.probes and cell.control == "none"
            }
        write_components(self._joint.file, found)
        return {}


@dataclass(frozen=True)
class FoldComponents:
    """The components of one probe in one fold."""

    n_train: int
    """Training utterances that have activations and a value of every target."""
    utterance_id: StrArray
    """(n_test,)"""
    found: Components


def fit_targets_jointly(joint: JointCca, data: LayerData) -> dict[str, list[FoldComponents]]:
    """Fit every probe in every fold, on the utterances that have a value of every target.

    Raises:
        ValueError: a fold has too few such utterances.
    """
    names = data.table["utterance_id"].to_numpy(dtype=np.str_)
    Y = data.table[list(joint.targets)].to_numpy(dtype=np.float64)
    usable = data.present & np.isfinite(Y).all(axis=1)
    found: dict[str, list[FoldComponents]] = {name: [] for name in joint.probes}
    for number, fold in enumerate(data.folds.of(joint.targets[0])):
        rows = only(usable, fold)
        if len(rows.train) < 2 or len(rows.test) < 2:
            raise ValueError(
                f"fold {number} has {len(rows.train)} training and {len(rows.test)} test "
                f"utterances with a value of all of {', '.join(joint.targets)}: expected at least "
                "2 of each; remove `components`, or the target that is lacking"
            )
        for name, settings in joint.probes.items():
            components = fit_jointly(settings, data.X, Y, rows)
            found[name].append(FoldComponents(len(rows.train), names[rows.test], components))
    return found


def write_components(path: Location, found: Mapping[str, Sequence[FoldComponents]]) -> None:
    """Write the components of every probe and fold, atomically."""
    arrays = {
        name: [
            {
                "utterance_id": fold.utterance_id,
                "activations": fold.found.activations.astype(np.float32),
                "targets": fold.found.targets.astype(np.float32),
                "in_sample": fold.found.in_sample,
                "n_train": np.array(fold.n_train),
                "saturated": np.array(fold.found.saturated),
            }
            for fold in folds
        ]
        for name, folds in found.items()
    }
    write_fold_arrays(path, "probes", arrays)


def read_components(path: Path) -> dict[str, list[FoldComponents]]:
    """Read the file of ``write_components``, by probe.

    Raises:
        FileNotFoundError: the file does not exist.
        CanonicalError: the file is damaged, or of another kind.
    """
    try:
        found = read_fold_arrays(path, "probes")
        return {name: [_fold(arrays) for arrays in folds] for name, folds in found.items()}
    except (DamagedFile, KeyError, ValueError, TypeError) as error:
        raise CanonicalError(
            f"{path} is not a readable file of canonical components ({type(error).__name__}: "
            f"{error}): delete it and run again"
        ) from error


def _fold(arrays: Arrays) -> FoldComponents:
    found = Components(
        activations=arrays["activations"].astype(np.float64),
        targets=arrays["targets"].astype(np.float64),
        in_sample=arrays["in_sample"],
        saturated=bool(arrays["saturated"]),
    )
    return FoldComponents(int(arrays["n_train"]), arrays["utterance_id"], found)
