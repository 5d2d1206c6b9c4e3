"""Settings of the linear probe."""

from typing import Literal

from jobs.probes.training_settings import TrainingSettings


class LinearSettings(TrainingSettings):
    """Settings of the linear probe."""

    EXAMPLES = (
        "{kind: linear, name: sgd, learning_rate: 0.001, batch_size: 32, epochs: 50, patience: 5}",
        "{kind: linear, weight_decay: 0.01}",
        "{kind: linear, preset: study, standardise: true, early_stopping: true, seeds: 3}",
    )

    kind: Literal["linear"] = "linear"
    """A linear layer, trained like the MLP."""
    name: str | None = None
    """Label in tables and plots; by default the kind. Needed where a kind is used twice."""

    def describe(self, validation: str | None) -> str:
        """Name the layer and the training."""
        return f"A linear layer, {self.describe_training(validation)}."
