"""Training of probes by gradient descent, shared by ``mlp`` and ``linear``."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from jobs.arrays import FloatArray
from jobs.probes.batched_mlp import Data, Layers, Recipe, n_parameters, train
from jobs.probes.ridge import inner_folds
from jobs.probes.standardiser import Standardiser, fit_standardiser, no_standardiser
from jobs.probes.training_settings import TrainingSettings
from jobs.protocol.folds import Fold, StrArray

CACHE_BYTES = 32 * 2**20
"""Size up to which networks are trained together, for their parameters, gradients and Adam's two
moments; beyond it, batching costs more memory traffic than it saves."""


@dataclass(frozen=True)
class Network:
    """A trained network of standardised features, for a standardised target."""

    layers: Layers
    target_mean: float
    target_scale: float
    details: dict[str, float]
    """``epochs`` (run) and ``best_epoch`` (whose weights are kept, counted from 1)."""


def fit_networks(
    dtype: torch.dtype,
    settings: TrainingSettings,
    hidden: Sequence[int],
    dropout: float,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
) -> tuple[Standardiser, list[Network]]:
    """Fit a network for every column of ``Y`` (U, K) on ``X`` (U, D), column k with ``seeds[k]``.

    Training minimises the mean squared error in ``dtype``, on activations and a target standardised
    on the rows trained on. Early stopping uses the validation split or, if there is none, one inner
    ``GroupKFold`` fold of the training speakers, which are then not trained on.

    Raises:
        ValueError: early stopping, no validation split and fewer than two training speakers.
    """
    fitted, watched = fold.train, fold.validation
    if settings.early_stopping and not watched.size:
        fitted, watched = next(inner_folds(fold.train, groups))
    mean, scale = np.zeros(Y.shape[1]), np.ones(Y.shape[1])
    standardise = no_standardiser(X.shape[1])
    if settings.standardise:
        standardise = fit_standardiser(X[fitted])
        columns = Y[fitted].T.copy()  # contiguous: rounding depends on nothing else
        mean, scale = columns.mean(axis=1), columns.std(axis=1)
        scale[scale == 0] = 1
    scaled = (Y - mean) / scale
    data = Data(
        X=torch.from_numpy(standardise(X[fitted])).to(dtype),
        Y=torch.from_numpy(scaled[fitted].T.copy()).to(dtype),
        X_validation=torch.from_numpy(standardise(X[watched])).to(dtype),
        Y_validation=torch.from_numpy(scaled[watched].T.copy()).to(dtype),
    )
    recipe = Recipe(
        widths=(X.shape[1], *hidden, 1),
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        weight_decay=settings.weight_decay,
        dropout=dropout,
        patience=settings.patience if settings.early_stopping else None,
    )
    layers, details = _train_in_chunks(recipe, data, seeds)
    networks = zip(layers, mean.tolist(), scale.tolist(), details, strict=True)
    return standardise, [Network(*network) for network in networks]


def _train_in_chunks(
    recipe: Recipe, data: Data, seeds: Sequence[int]
) -> tuple[list[Layers], list[dict[str, float]]]:
    network_bytes = 4 * n_parameters(recipe.widths) * data.X.element_size()
    together = max(2, CACHE_BYTES // network_bytes)  # a single one would get a dummy network
    n_chunks = math.ceil(len(seeds) / together)
    layers: list[Layers] = []
    details: list[dict[str, float]] = []
    for i in range(n_chunks):  # of equal sizes
        part = slice(len(seeds) * i // n_chunks, len(seeds) * (i + 1) // n_chunks)
        chunk = Data(data.X, data.Y[part], data.X_validation, data.Y_validation[part])
        trained = train(chunk, recipe, seeds[part])
        layers += trained.layers()
        details += [
            {"epochs": float(epochs), "best_epoch": float(best)}
            for epochs, best in zip(trained.epochs, trained.best_epochs, strict=True)
        ]
    return layers, details
