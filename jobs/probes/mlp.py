"""A multi-layer perceptron probe: ReLU layers, Adam, early stopping."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator

from jobs.metrics import FloatArray
from jobs.probes.linear import fit_standardiser, no_standardiser
from jobs.probes.perceptrons import Data, Recipe, Trained, n_parameters, train
from jobs.probes.result import ProbeResult
from jobs.probes.ridge import inner_folds
from jobs.protocol import Fold, StrArray
from jobs.settings import Settings

STUDY: dict[str, object] = {
    "learning_rate": 3e-4,
    "batch_size": 32,
    "epochs": 3,
    "weight_decay": 0.0,
    "standardise": False,
    "early_stopping": False,
}
"""What ``preset: study`` stands for: the speech-rate study's probe, under-trained as it was."""

CACHE_BYTES = 32 * 2**20
"""Networks are trained together as long as their parameters, gradients and Adam's two moments fit
in this much; beyond it, batching costs more memory traffic than it saves."""


class MlpSettings(Settings):
    """Settings of the MLP probe."""

    kind: Literal["mlp"] = "mlp"
    name: str | None = None
    preset: Literal["study"] | None = None
    """Take the values of a preset for every field that is not given beside it."""
    hidden: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = (128,)
    """Width of each hidden layer; none at all is a linear probe."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Adam's step size."""
    batch_size: int = Field(default=32, ge=1)
    """Utterances a step."""
    epochs: int = Field(default=100, ge=1)
    """Passes over the training part at most."""
    patience: int = Field(default=10, ge=1)
    """Epochs without a lower validation loss after which training stops."""
    weight_decay: float = Field(default=0.0, ge=0)
    """L2 penalty, as Adam takes it (added to the gradient)."""
    standardise: bool = True
    """Standardise activations and target on the training part."""
    early_stopping: bool = True
    """Stop by the validation loss and keep the best weights; False: all epochs, last weights."""
    seeds: int = Field(default=3, ge=1, le=1_000)
    """Repetitions, each with its own initial weights and order of utterances."""

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("preset") == "study":
            return {**STUDY, **given}
        return given

    def identity(self) -> dict[str, object]:
        """What changes one seed's numbers: a preset is its values, more seeds change none."""
        return self.model_dump(mode="json", exclude={"name", "preset", "seeds"})


def fit_predict(
    settings: MlpSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
) -> ProbeResult:
    """A perceptron for every column of ``Y`` (U, K) on ``X`` (U, D), column k with ``seeds[k]``.

    Trained by mean squared error in float32, on activations and a target standardised on the rows
    that are trained on. Early stopping watches the validation part or, where there is none, one
    inner ``GroupKFold`` fold of the training speakers, which are then not trained on.

    Returns:
        Predictions (n_test, K); details ``epochs`` (run) and ``best_epoch`` (whose weights are
        used, counted from 1). A network that diverged predicts NaN.

    Raises:
        ValueError: early stopping, no validation part and fewer than two training speakers.
    """
    return fit_predict_as(torch.float32, settings, X, Y, fold, groups, seeds)


def fit_predict_as(
    dtype: torch.dtype,
    settings: MlpSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
) -> ProbeResult:
    """``fit_predict`` computed in ``dtype``."""
    fitted, watched = fold.train, fold.validation
    if settings.early_stopping and not watched.size:
        fitted, watched = next(inner_folds(fold.train, groups))
    mean, scale = np.zeros(Y.shape[1]), np.ones(Y.shape[1])
    standardise = no_standardiser(X.shape[1])
    if settings.standardise:
        standardise = fit_standardiser(X[fitted])
        columns = Y[fitted].T.copy()  # contiguous: rounding of a sum depends on nothing else
        mean, scale = columns.mean(axis=1), columns.std(axis=1)
        scale[scale == 0] = 1
    scaled = (Y - mean) / scale
    data = Data(
        X=torch.from_numpy(standardise(X[fitted])).to(dtype),
        Y=torch.from_numpy(scaled[fitted].T.copy()).to(dtype),
        X_validation=torch.from_numpy(standardise(X[watched])).to(dtype),
        Y_validation=torch.from_numpy(scaled[watched].T.copy()).to(dtype),
    )
    test = torch.from_numpy(standardise(X[fold.test])).to(dtype)
    predictions, details = [], []
    for trained in _train_in_chunks(settings, data, seeds):
        predictions.append(trained(test).double().numpy())
        details += [
            {"epochs": float(epochs), "best_epoch": float(best)}
            for epochs, best in zip(trained.epochs, trained.best_epochs, strict=True)
        ]
    return ProbeResult(np.concatenate(predictions).T * scale + mean, details)


def _train_in_chunks(settings: MlpSettings, data: Data, seeds: Sequence[int]) -> list[Trained]:
    recipe = Recipe(
        widths=(data.X.shape[1], *settings.hidden, 1),
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        weight_decay=settings.weight_decay,
        patience=settings.patience if settings.early_stopping else None,
    )
    network_bytes = 4 * n_parameters(recipe.widths) * data.X.element_size()
    together = max(1, CACHE_BYTES // network_bytes)
    chunks = []
    for start in range(0, len(seeds), together):
        part = slice(start, start + together)
        chunk = Data(data.X, data.Y[part], data.X_validation, data.Y_validation[part])
        chunks.append(train(chunk, recipe, seeds[part]))
    return chunks
