"""Which layers are compared with which, the values on disk, and their table.

The unit is a pair of models, all their layers: a file in the run's folder, named by an id of what
changes its numbers, so that a new model costs its own pairs and nothing else.
"""

import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs.identity import content_id, lines_digest
from jobs.models.settings import BASELINE_PREFIX
from jobs.protocol.predictions import DAMAGED_NPZ
from jobs.protocol.settings import SplitsProtocol
from jobs.similarity.job import SIMILARITY_VERSION, Values
from jobs.similarity.settings import FEWEST, Measure
from jobs.storage.atomic import atomic_path
from sweep.plan.make_plan import used_parts
from sweep.plan.plan import Plan, PlannedModel, PlannedSet
from sweep.spec.check import CheckContext, Finding
from sweep.spec.schema import Spec
from sweep.spec.suggestions import nearest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelPair:
    """Two models, or one twice: every layer of ``a`` against every layer of ``b``."""

    pair_id: str
    a: PlannedModel
    b: PlannedModel

    def file(self, folder: Path) -> Path:
        """Where its values lie in the run's ``folder``."""
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
    """The activation sets of ``model`` that hold what is compared."""
    part = compared_part(spec)
    return [planned for planned in model.sets if part in (None, planned.split)]


def compared_part(spec: Spec) -> str | None:
    """The part of the corpus that is compared on; None: all of it."""
    if spec.similarity is not None and spec.similarity.part is not None:
        return spec.similarity.part
    return spec.protocol.test if isinstance(spec.protocol, SplitsProtocol) else None


def draw_utterances(spec: Spec, table: pd.DataFrame) -> tuple[str, ...]:
    """The utterances to compare on, sorted: the same for every model.

    They are drawn from the table, before anything is read, so that the pairs' ids are known.
    """
    assert spec.similarity is not None
    part = compared_part(spec)
    rows = table if part is None else table[table["split"] == part]
    names = sorted(rows["utterance_id"])
    count = min(spec.similarity.utterances, len(names))
    generator = np.random.default_rng(spec.similarity.seed)
    return tuple(names[i] for i in sorted(generator.choice(len(names), count, replace=False)))


def model_pairs(spec: Spec, plan: Plan, table: pd.DataFrame) -> list[ModelPair]:
    """Every model with itself and with those after it; baselines have no layers to compare."""
    if spec.similarity is None:
        return []
    models = [model for model in plan.models if not model.name.startswith(BASELINE_PREFIX)]
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


def check_part(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse to compare layers on a split that is not extracted."""
    if spec.similarity is None or context.utterances is None:
        return
    part, parts = compared_part(spec), used_parts(spec, context.utterances)
    if part is not None and part not in parts:
        message = f"part: the run has no activations of {part!r}{nearest(part, parts)}"
        yield ("similarity", "part"), message


def check_count(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse to compare layers on too few utterances."""
    if spec.similarity is None or context.table is None:
        return
    part, table = compared_part(spec), context.table
    count = len(table) if part is None else int((table["split"] == part).sum())
    if count < FEWEST:
        message = f"similarity needs at least {FEWEST} utterances, found {count} in {part or 'all'}"
        yield ("similarity",), message


def write_pair(path: Path, values: PairValues) -> None:
    """Write the values of a pair, atomically."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "n_utterances": np.array(values.n_utterances),
        "complete": np.array(values.complete),
    }
    for measure, found in values.by_measure.items():
        arrays |= {f"{measure}/{name}": array for name, array in vars(found).items()}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]


def read_pair(path: Path, measures: Sequence[Measure]) -> PairValues | None:
    """The values of a pair; None if they are not there, or damaged, which the log tells."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            fields = ("forward", "backward", "chance", "flagged")
            by_measure = {
                measure: Values(*(file[f"{measure}/{name}"] for name in fields))
                for measure in measures
            }
            return PairValues(int(file["n_utterances"]), bool(file["complete"]), by_measure)
    except FileNotFoundError:
        return None
    except DAMAGED_NPZ as error:
        log.warning("%s cannot be read (%s): it is computed again", path, error)
        return None


def _identity(spec: Spec, model: PlannedModel) -> dict[str, object]:
    return {
        "activations": [planned.activation_id for planned in compared_sets(spec, model)],
        "names": [layer.name for layer in model.layers],
    }
