"""Settings of probes that learn by gradient descent: shared by ``mlp`` and ``linear``."""

from typing import Any, Literal

from pydantic import Field, model_validator

from jobs.probes.settings import BaseProbeSettings
from jobs.settings import Count

STUDY: dict[str, object] = {
    "learning_rate": 3e-4,
    "batch_size": 32,
    "epochs": 3,
    "weight_decay": 0.0,
    "standardise": False,
    "early_stopping": False,
}
"""Values of ``preset: study``: the under-trained probe of the speech-rate study."""


class TrainingSettings(BaseProbeSettings):
    """Adam, early stopping, seeds."""

    preset: Literal["study"] | None = None
    """Values for all keys that are not given: ``study`` trains as the study did (Adam at 3e-4, 3
    epochs, nothing standardised, no early stopping)."""
    learning_rate: float = Field(default=1e-3, gt=0, le=1_000)
    """Step size of Adam."""
    batch_size: Count = 32
    """Number of utterances per step."""
    epochs: int = Field(default=100, ge=1, le=1_000_000)
    """Largest number of passes over the training split."""
    patience: Count = 10
    """Number of epochs without a lower validation loss after which training stops."""
    weight_decay: float = Field(default=0.0, ge=0, le=1e6)
    """L2 penalty, added to the gradient."""
    standardise: bool = True
    """Whether activations and targets are standardised, with the mean and standard deviation of the
    training split."""
    early_stopping: bool = True
    """Whether training stops by the validation loss and keeps the best weights. false: all epochs
    run, and the last weights are kept."""
    seeds: int = Field(default=3, ge=1, le=1_000)
    """Number of repetitions, each with its own initial weights and order of utterances."""

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("preset") == "study":
            return {**STUDY, **given}
        return given

    def identity(self) -> dict[str, object]:
        """Return the settings that change one seed's numbers: the values of a preset, without the
        number of seeds."""
        return self.model_dump(mode="json", exclude={"name", "preset", "seeds"})

    def describe_training(self, validation: str | None) -> str:
        """Describe optimiser, step size, stopping and seeds in a phrase.

        Args:
            validation: see `BaseProbeSettings.describe`.
        """
        decay = f", weight decay {self.weight_decay:g}" if self.weight_decay else ""
        watched = f"the {validation}" if validation else "speakers left out of the training split"
        stop = (
            f"at most {self.epochs} epochs, stopped after {self.patience} without a lower loss on "
            f"{watched}, the best weights kept"
            if self.early_stopping
            else f"{self.epochs} epochs"
        )
        return (
            "trained on the mean squared error with Adam (Kingma & Ba 2015), learning rate "
            f"{self.learning_rate:g}{decay}, batches of {self.batch_size} utterances, {stop}, "
            f"{f'averaged over {self.seeds} seeds' if self.seeds > 1 else 'one seed'}"
        )
