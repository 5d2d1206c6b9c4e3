"""Probes: from pooled activations (U, D) to a target. Pure functions of their arguments.

``PROBES[settings.kind].fit_predict`` fits and predicts. All K columns of ``Y`` are problems on the
same activations and fold (target × control × seed), so one factorisation or one batched network
serves them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from jobs.arrays import FloatArray
from jobs.probes import cca, knn, linear, logistic, mdl, mlp, ridge
from jobs.probes.cca import CcaSettings
from jobs.probes.knn import KnnSettings
from jobs.probes.linear import LinearSettings
from jobs.probes.logistic import LogisticSettings
from jobs.probes.mdl import MdlSettings
from jobs.probes.mlp import MlpSettings
from jobs.probes.result import ProbeResult, Weights
from jobs.probes.ridge import RidgeSettings
from jobs.protocol.folds import Fold, StrArray

__all__ = ["PROBES", "PROBE_VERSION", "Probe", "ProbeResult", "ProbeSettings", "Weights"]

TargetKind = Literal["regression", "classification"]
"""A number that is measured, or one of several classes."""

PROBE_VERSION = 3
"""Part of every cell's id: raised when a probe or a score changes its numbers."""

ProbeSettings = Annotated[
    RidgeSettings
    | LinearSettings
    | MlpSettings
    | CcaSettings
    | LogisticSettings
    | KnnSettings
    | MdlSettings,
    Field(discriminator="kind"),
]


class FitPredict(Protocol):
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
            Y: (U, K) target values, one column a problem, finite; of a classification target
                codes 0, 1, … of classes, of which the training part need not have all.
            fold: row positions of the parts.
            groups: (U,) the speaker of every row, for inner folds.
            seeds: (K,) the seed of every column; deterministic probes ignore it.
        """


class Apply(Protocol):
    """``apply`` of a probe: what ``fit_predict`` would predict, from its weights alone."""

    def __call__(self, settings: Any, weights: Weights, X: npt.NDArray[np.float32]) -> FloatArray:
        """Predictions (n,) for activations ``X`` (n, D); of a classification probe, codes."""


@dataclass(frozen=True)
class Probe:
    """What a kind of probe can do."""

    fit_predict: FitPredict
    predicts: frozenset[TargetKind]
    """Kinds of targets that it is for."""
    apply: Apply | None = None
    """None where a fitted probe cannot be saved."""
    classify: FitPredict | None = None
    """``fit_predict`` for codes of classes, of a probe that is for both kinds of targets."""

    def fit(self, kind: TargetKind) -> FitPredict:
        """What fits and predicts targets of ``kind``, which is one of ``predicts``."""
        return self.classify if kind == "classification" and self.classify else self.fit_predict


REGRESSION: frozenset[TargetKind] = frozenset({"regression"})
CLASSIFICATION: frozenset[TargetKind] = frozenset({"classification"})

PROBES: dict[str, Probe] = {
    "ridge": Probe(ridge.fit_predict, REGRESSION, ridge.apply),
    "linear": Probe(linear.fit_predict, REGRESSION, linear.apply),
    "mlp": Probe(mlp.fit_predict, REGRESSION, mlp.apply),
    "cca": Probe(cca.fit_predict, REGRESSION, cca.apply),
    "knn": Probe(knn.fit_predict, REGRESSION | CLASSIFICATION, classify=knn.classify),
    "mdl": Probe(mdl.fit_predict, REGRESSION | CLASSIFICATION, classify=mdl.classify),
    "logistic": Probe(logistic.fit_predict, predicts=CLASSIFICATION, apply=logistic.apply),
}


def probe_name(settings: ProbeSettings) -> str:
    """The name a probe has in tables and plots: its ``name``, else its kind."""
    return settings.name or settings.kind


def seed_count(settings: ProbeSettings) -> int:
    """How often a cell is repeated with another seed: once, where the probe is deterministic."""
    count: int = getattr(settings, "seeds", 1)
    return count
