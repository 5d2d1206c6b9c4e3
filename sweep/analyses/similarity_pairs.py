"""The pairs of models whose layers are compared, and their values on disk.

The unit is a pair of models with all their layers: a file in the run's folder, named by an id of
everything that changes its numbers, so that a new model costs only its own pairs.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs.identity import content_id, lines_digest
from jobs.models.settings import BASELINE_PREFIX
from jobs.protocol.settings import SplitsProtocol
from jobs.similarity.job import SIMILARITY_VERSION, Values
from jobs.similarity.settings import Measure
from jobs.storage.atomic import atomic_path
from jobs.storage.npz_files import load_npz, save_npz
from jobs.storage.regular_files import DamagedFile, read_regular
from sweep.plan.plan import Plan, PlannedModel, PlannedSet
from sweep.spec.schema import Spec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelPair:
    """Two models, or a model and itself: every layer of ``a`` against every layer of ``b``."""

    pair_id: str
    a: PlannedModel
    b: PlannedModel

    def file(self, folder: Path) -> Path:
        """Path of its values in ``folder``."""
        return folder / f"{self.pair_id}.npz"


@dataclass(frozen=True)
class PairValues:
    """The values of a pair of models."""

    n_utterances: int
    complete: bool
    """False: a layer or a tile failed and is NaN; the next run computes the pair again."""
    by_measure: dict[Measure, Values]
    """R layers of ``a`` × C layers of ``b``."""


def compared_sets(spec: Spec, model: PlannedModel) -> list[PlannedSet]:
    """The activation sets of ``model`` that hold the utterances to compare on."""
    split = compared_split(spec)
    return [planned for planned in model.sets if split in (None, planned.split)]


def compared_split(spec: Spec) -> str | None:
    """The split of the corpus that layers are compared on; None: all of it."""
    if spec.similarity is not None and spec.similarity.part is not None:
        return spec.similarity.part
    protocol = spec.main_protocol
    return protocol.test if isinstance(protocol, SplitsProtocol) else None


def draw_utterances(spec: Spec, table: pd.DataFrame) -> tuple[str, ...]:
    """The utterances to compare on, sorted: the same for every model.

    They are drawn from the table, before anything is read, so that the pairs' ids are known.
    """
    assert spec.similarity is not None
    split = compared_split(spec)
    rows = table if split is None else table[table["split"] == split]
    names = sorted(rows["utterance_id"])
    count = min(spec.similarity.utterances, len(names))
    generator = np.random.default_rng(spec.similarity.seed)
    return tuple(names[i] for i in sorted(generator.choice(len(names), count, replace=False)))


def compared_models(plan: Plan) -> list[PlannedModel]:
    """Return all models except the baselines, which have no layers to compare."""
    return [model for model in plan.models if not model.name.startswith(BASELINE_PREFIX)]


def model_pairs(spec: Spec, plan: Plan, table: pd.DataFrame) -> list[ModelPair]:
    """Pair every model with itself and with those after it."""
    if spec.similarity is None:
        return []
    models = compared_models(plan)
    sides = [_identity(spec, model) for model in models]
    drawn = lines_digest(draw_utterances(spec, table))
    pairs = []
    for i, (a, side_a) in enumerate(zip(models, sides, strict=True)):
        for b, side_b in zip(models[i:], sides[i:], strict=True):
            identity = {
                "layers": [side_a, side_b],
                "utterances": drawn,
                "measures": sorted(set(spec.similarity.measures)),
                "version": SIMILARITY_VERSION,
            }
            pairs.append(ModelPair(content_id(identity), a, b))
    return pairs


def write_pair(path: Path, values: PairValues) -> None:
    """Write the values of a pair, atomically."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "n_utterances": np.array(values.n_utterances),
        "complete": np.array(values.complete),
    }
    for measure, found in values.by_measure.items():
        arrays |= {f"{measure}/{name}": array for name, array in vars(found).items()}
    with atomic_path(path) as temporary:
        save_npz(temporary, arrays)


def read_pair(path: Path, measures: Sequence[Measure]) -> PairValues | None:
    """Read the values of a pair; None if they are missing, or damaged, which is logged."""
    try:
        arrays, _ = load_npz(read_regular(path))
        fields = ("forward", "backward", "chance", "flagged")
        by_measure = {
            measure: Values(*(arrays[f"{measure}/{name}"] for name in fields))
            for measure in measures
        }
        return PairValues(int(arrays["n_utterances"]), bool(arrays["complete"]), by_measure)
    except FileNotFoundError:
        return None
    except (DamagedFile, KeyError, ValueError, TypeError) as error:
        log.warning("%s cannot be read (%s): it is computed again", path, error)
        return None


def _identity(spec: Spec, model: PlannedModel) -> dict[str, object]:
    return {
        "activations": [planned.activation_id for planned in compared_sets(spec, model)],
        "names": [layer.name for layer in model.layers],
    }
