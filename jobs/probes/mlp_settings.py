"""Settings of the MLP probe."""

from typing import Annotated, Literal

from pydantic import Field

from jobs.probes.training_settings import TrainingSettings


class MlpSettings(TrainingSettings):
    """Settings of the MLP probe."""

    EXAMPLES = (
        "{kind: mlp, name: small, hidden: [16], dropout: 0.2, learning_rate: 0.003}",
        "{kind: mlp, batch_size: 64, epochs: 50, patience: 5, weight_decay: 0.01, seeds: 3}",
        "{kind: mlp, preset: study, standardise: false, early_stopping: false}",
    )

    kind: Literal["mlp"] = "mlp"
    """A multilayer perceptron."""
    name: str | None = None
    """Label in tables and plots; by default the kind. Needed where a kind is used twice."""
    hidden: Annotated[tuple[Annotated[int, Field(ge=1, le=65_536)], ...], Field(max_length=32)] = (
        128,
    )
    """Number of units of each hidden layer; an empty list is a linear probe."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of every hidden layer's outputs that is set to 0 in a training step. It does not make a
    probe selective: Hewitt & Liang 2019, arXiv 1909.03368."""

    def describe(self, validation: str | None) -> str:
        """Name the hidden layers and the training."""
        widths = " and ".join(map(str, self.hidden))
        if not widths:
            layers = "without hidden layers"
        elif len(self.hidden) == 1:
            layers = f"with a hidden layer of {widths} units"
        else:
            layers = f"with hidden layers of {widths} units"
        dropout = f", dropout {self.dropout:g}" if self.dropout else ""
        training = self.describe_training(validation)
        return f"A multilayer perceptron {layers} (ReLU{dropout}), {training}."
