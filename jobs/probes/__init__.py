"""Probes: from pooled activations (U, D) to a continuous target. Pure functions of their arguments.

``PROBES[settings.kind]`` fits and predicts. All K columns of ``Y`` are problems on the same
activations and fold (target × control × seed), so one factorisation or one batched network serves
them all.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from jobs.metrics import FloatArray
from jobs.probes import cca, mlp, ridge
from jobs.probes.cca import CcaSettings
from jobs.probes.mlp import MlpSettings
from jobs.probes.result import ProbeResult
from jobs.probes.ridge import RidgeSettings
from jobs.protocol import Fold, StrArray

__all__ = ["PROBES", "PROBE_VERSION", "Probe", "ProbeResult", "ProbeSettings"]

PROBE_VERSION = 1
"""Part of every cell's id: raised when a probe or a score changes its numbers."""

ProbeSettings = Annotated[RidgeSettings | MlpSettings | CcaSettings, Field(discriminator="kind")]


class Probe(Protocol):
    """``fit_predict`` of a probe; ``settings`` is the class that belongs to the probe's kind."""

    def __call__(
        self,
        settings: Any,
        X: npt.NDArray[np.float32],
        Y: FloatArray,
        fold: Fold,
        groups: StrArray,
        seeds: Sequence[int],
    ) -> ProbeResult:
        """Fit on ``fold.train``, choose on ``fold.validation``, predict ``fold.test``.

        Args:
            settings: of the probe's own kind.
            X: (U, D) pooled activations of one layer, finite.
            Y: (U, K) target values, one column a problem, finite.
            fold: row positions of the parts.
            groups: (U,) the speaker of every row, for inner folds.
            seeds: (K,) the seed of every column; deterministic probes ignore it.
        """


PROBES: dict[str, Probe] = {
    "ridge": ridge.fit_predict,
    "mlp": mlp.fit_predict,
    "cca": cca.fit_predict,
}


def probe_name(settings: RidgeSettings | MlpSettings | CcaSettings) -> str:
    """The name a probe has in tables and plots: its ``name``, else its kind."""
    return settings.name or settings.kind


def seed_count(settings: RidgeSettings | MlpSettings | CcaSettings) -> int:
    """How often a cell is repeated with another seed: once, where the probe is deterministic."""
    return settings.seeds if isinstance(settings, MlpSettings) else 1
