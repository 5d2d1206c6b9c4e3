"""Probes on disk: weights as safetensors, and a card in JSON that describes them.

``0123abcd….safetensors`` and ``0123abcd….json``, named after the cell. The card is written last: a
probe without a card was not finished. The card also names the model, the layer and the features, so
that a probe can be used on new audio long after its run.

Legend: U utterances, D width of the layer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load

from jobs.activations.store import save_tensors
from jobs.arrays import FloatArray
from jobs.extraction.settings import ExtractSettings
from jobs.probes import PROBES, ProbeSettings
from jobs.probes.result import Weights
from jobs.probing.parts import ProbedLayer
from jobs.probing.results import FittedCell
from jobs.settings import Settings
from jobs.storage.json_files import byte_sum, with_sum, without_sum
from jobs.storage.location import Location
from jobs.storage.object_store import atomic_path, write_text
from jobs.storage.regular_files import DamagedFile, read_regular

FORMAT = 1
"""Version of the card; to be raised when older cards can no longer be read."""


class SavedProbeError(ValueError):
    """A saved probe cannot be read, or does not fit the activations."""


class ProbeCard(Settings):
    """The description of a saved probe."""

    format: int = FORMAT
    cell_id: str
    model: str
    """Name of the model in the run."""
    extract: ExtractSettings
    """The model, the features and the pooling that made its activations."""
    model_digest: str
    """`jobs.models.describe.weights_digest` of that model."""
    layer: str
    width: int
    """Width of the layer, D."""
    target: str
    unit: str
    """Unit of a prediction; empty if it has none."""
    classes: tuple[str, ...] = ()
    """Classes in the order of their codes; empty for numeric targets."""
    probe_name: str
    probe: ProbeSettings
    seed: int
    fold: int
    n_train: int
    scores: dict[str, float | None]
    """Scores on the test split of its fold, as in ``metrics.csv``."""
    weights_sum: str = ""
    """`jobs.storage.json_files.byte_sum` of the file of its weights; empty in older cards."""


@dataclass(frozen=True)
class SavedProbe:
    """A fitted probe: ``load_probe(path).predict(activations)``."""

    card: ProbeCard
    weights: Weights

    def codes(self, X: npt.NDArray[np.float32]) -> FloatArray:
        """Predict (U,) values in the target's unit, or codes of ``card.classes``, from (U, D).

        Raises:
            SavedProbeError: the activations have another width than those it was fitted on.
        """
        if X.ndim != 2 or X.shape[1] != self.card.width:
            raise SavedProbeError(
                f"the probe of {self.card.layer} needs activations of shape (utterances, "
                f"{self.card.width}), found {X.shape}: read them from the layer and with the "
                "pooling that its card names"
            )
        apply = PROBES[self.card.probe.kind].apply
        assert apply is not None  # a probe that cannot be applied is not saved
        return np.asarray(apply(self.card.probe, self.weights, X))

    def predict(self, X: npt.NDArray[np.float32]) -> FloatArray | npt.NDArray[np.str_]:
        """Predict (U,) values in the target's unit, or names of classes, from (U, D) activations.

        Raises:
            SavedProbeError: the activations have another width than those it was fitted on.
        """
        codes = self.codes(X)
        if not self.card.classes:
            return codes
        return np.array(self.card.classes, dtype=np.str_)[codes.astype(np.int64)]


@dataclass(frozen=True)
class Saving:
    """The part of a probe job that saves fitted probes, except those of controls."""

    folder: Location
    extract: ExtractSettings
    model_digest: str
    units: Mapping[str, str]
    """Target → unit."""

    def start(self, layer: ProbedLayer) -> "ProbeSaver":
        """Save the probes of ``layer`` as they are fitted."""
        return ProbeSaver(self, layer)


class ProbeSaver:
    """Writes each fitted probe of one layer."""

    def __init__(self, saving: Saving, layer: ProbedLayer) -> None:
        self._saving, self._layer = saving, layer

    def after_fit(self, fitted: FittedCell) -> None:
        """Save the probe if it can be saved and is not a control."""
        if fitted.weights and fitted.cell.control == "none":
            save_probe(self._saving.folder, self._card(fitted), fitted.weights)

    def finish(self) -> Mapping[str, str]:
        """Do nothing: all files are already written."""
        return {}

    def _card(self, fitted: FittedCell) -> ProbeCard:
        cell, data = fitted.cell, self._layer.data
        return ProbeCard(
            cell_id=cell.cell_id,
            model=self._layer.model,
            extract=self._saving.extract,
            model_digest=self._saving.model_digest,
            layer=self._layer.name,
            width=data.X.shape[1],
            target=cell.target,
            unit=self._saving.units.get(cell.target, ""),
            classes=data.classes.get(cell.target, ()),
            probe_name=cell.probe,
            probe=fitted.settings,
            seed=cell.seed,
            fold=cell.fold,
            n_train=fitted.result.n_train,
            scores=fitted.result.scores,
        )


def card_path(folder: Path, cell_id: str) -> Path:
    """Return the path of the card of a cell's probe; its weights are in the same folder."""
    return folder / f"{cell_id}.json"


def save_probe(folder: Location, card: ProbeCard, weights: Weights) -> None:
    """Write a probe atomically, its card last."""
    with atomic_path(folder / f"{card.cell_id}.safetensors") as temporary:
        save_tensors({name: np.ascontiguousarray(w) for name, w in weights.items()}, temporary)
        values = {**card.model_dump(mode="json"), "weights_sum": byte_sum(temporary.read_bytes())}
    text = with_sum(json.dumps(values, indent=1).encode()).decode()
    write_text(folder / f"{card.cell_id}.json", text)


def load_probe(path: str | Path) -> SavedProbe:
    """Load the probe whose card or weights are at ``path``.

    Raises:
        SavedProbeError: there is no probe, or it is damaged.
    """
    card = Path(path).with_suffix(".json")
    weights = card.with_suffix(".safetensors")
    try:
        described = ProbeCard.model_validate_json(without_sum(read_regular(card))[0])
        data = read_regular(weights)
        if described.weights_sum and described.weights_sum != byte_sum(data):
            raise DamagedFile(f"{weights.name} was changed after it was written")
        return SavedProbe(described, load(data))
    except (OSError, ValidationError, DamagedFile, SafetensorError) as error:
        raise SavedProbeError(
            f"no saved probe at {path} ({type(error).__name__}: {str(error).splitlines()[0]}): "
            f"expected {card.name} and {weights.name}, as a run with `save_probes: true` writes "
            "them; run its spec again"
        ) from error
