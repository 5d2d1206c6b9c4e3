"""Losses of layers on the validation split, where a layer is chosen, and on the test split.

A layer that is chosen on validation is chosen without the test speakers: its test losses are those
of any one layer, and a paired test of two such layers has its nominal size, with a choice that
costs no power. Under ``kfold`` every fold has a validation fold of its own, and the layer is chosen
for each fold separately, as in nested cross-validation (S. Varma & R. Simon, Bias in error
estimation when using cross-validation for model selection, BMC Bioinformatics 7, 2006, 91): a fold
is never scored with a layer that its own speakers helped to choose.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.arrays import FloatArray
from jobs.statistics.best_layer import SpeakerErrors
from jobs.ties import first_lowest


@dataclass(frozen=True)
class ValidatedLayer:
    """Losses of one layer by fold, F folds."""

    loss: FloatArray
    """(F,) mean loss on the fold's validation split, averaged over seeds."""
    errors: tuple[SpeakerErrors, ...]
    """(F,) losses on each fold's test split."""


@dataclass(frozen=True)
class ChosenLayers:
    """The layers of a model that validation chose."""

    positions: tuple[int, ...]
    """Position of the layer of every fold."""
    errors: tuple[SpeakerErrors, ...]
    """Losses of that layer on the fold's test split."""

    def at(self, speakers: Sequence[str]) -> FloatArray:
        """(1, S, 4) losses of all folds for ``speakers``, as those of one layer."""
        return np.asarray(np.sum([one.at(speakers) for one in self.errors], axis=0)[None])


def choose_on_validation(layers: Sequence[ValidatedLayer | None]) -> ChosenLayers | None:
    """Choose the layer with the lowest validation loss for every fold; the first if tied.

    Returns:
        None where a layer has no validation losses, or not of the same number of folds.
    """
    known = [layer for layer in layers if layer is not None]
    if len(known) < len(layers) or len({len(layer.loss) for layer in known}) != 1:
        return None
    chosen = first_lowest(np.stack([layer.loss for layer in known], axis=1)).tolist()
    errors = tuple(known[layer].errors[fold] for fold, layer in enumerate(chosen))
    return ChosenLayers(tuple(chosen), errors)
