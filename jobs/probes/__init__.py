"""Probes: from pooled activations (U, D) to a target. Pure functions of their arguments.

``PROBES[settings.kind].fit_predict`` fits and predicts. All K columns of ``Y`` are problems on the
same activations and fold (target × control × seed), so one factorisation or one batched network
serves them all. To add a probe, write a file with its settings, derived from
``BaseProbeSettings``, and ``fit_predict``, and add a row to ``PROBES``. Only settings are imported
with this package: what fits is imported when it is first called.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import Field

from jobs.probes.cca_settings import CcaSettings
from jobs.probes.knn_settings import KnnSettings
from jobs.probes.linear_settings import LinearSettings
from jobs.probes.logistic_settings import LogisticSettings
from jobs.probes.mdl_settings import MdlSettings
from jobs.probes.mlp_settings import MlpSettings
from jobs.probes.ridge_settings import RidgeSettings
from jobs.probes.settings import BaseProbeSettings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from jobs.arrays import FloatArray
    from jobs.probes.result import ProbeResult, Weights
    from jobs.protocol.folds import Fold, StrArray

__all__ = [
    "PROBES",
    "PROBE_VERSION",
    "CcaSettings",
    "KnnSettings",
    "LinearSettings",
    "LogisticSettings",
    "MdlSettings",
    "MlpSettings",
    "Probe",
    "ProbeSettings",
    "RidgeSettings",
]

TargetKind = Literal["regression", "classification"]
"""Kind of a target: a number, or one of several classes."""

PROBE_VERSION = 3
"""Version in every cell's id, increased when a probe or a score changes its numbers."""


class FitPredict(Protocol):
    """``fit_predict`` of a probe; ``settings`` is the class that belongs to the probe's kind."""

    def __call__(
        self,
        settings: Any,
        X: "npt.NDArray[np.float32]",
        Y: "FloatArray",
        fold: "Fold",
        groups: "StrArray",
        seeds: Sequence[int],
    ) -> "ProbeResult":
        """Fit on ``fold.train``, choose on ``fold.validation``, predict ``fold.test``.

        Args:
            settings: settings of the probe's own kind.
            X: (U, D) pooled activations of one layer, finite.
            Y: (U, K) target values, one column a problem, finite; for a classification target,
                codes 0, 1, … of classes, not all of which need occur in the training split.
            fold: row positions of the splits.
            groups: (U,) the speaker of every row, for inner folds.
            seeds: (K,) the seed of every column; deterministic probes ignore it.
        """


class Apply(Protocol):
    """``apply`` of a probe: the predictions of ``fit_predict`` from its weights alone."""

    def __call__(
        self, settings: Any, weights: "Weights", X: "npt.NDArray[np.float32]"
    ) -> "FloatArray":
        """Predict (n,) values, or codes for a classification probe, from activations ``X``
        (n, D)."""


@dataclass(frozen=True)
class Probe:
    """A kind of probe."""

    settings: type[BaseProbeSettings]
    """Its settings class, with the field ``kind``."""
    fit_predict: FitPredict
    predicts: frozenset[TargetKind]
    """Kinds of targets that it predicts."""
    apply: Apply | None = None
    """None where a fitted probe cannot be saved."""
    classify: FitPredict | None = None
    """``fit_predict`` for codes of classes, if the probe predicts both kinds of targets."""

    def fit(self, kind: TargetKind) -> FitPredict:
        """Return the function that fits and predicts targets of ``kind``, one of ``predicts``."""
        return self.classify if kind == "classification" and self.classify else self.fit_predict


REGRESSION: frozenset[TargetKind] = frozenset({"regression"})
CLASSIFICATION: frozenset[TargetKind] = frozenset({"classification"})


@dataclass(frozen=True)
class Deferred:
    """A function of a module that is imported when the function is first called."""

    module: str
    name: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return getattr(import_module(self.module), self.name)(*args, **kwargs)


def _built_in(
    settings: type[BaseProbeSettings],
    module: str,
    predicts: frozenset[TargetKind],
    *,
    saved: bool = False,
    classify: bool = False,
) -> Probe:
    return Probe(
        settings,
        Deferred(module, "fit_predict"),
        predicts,
        Deferred(module, "apply") if saved else None,
        Deferred(module, "classify") if classify else None,
    )


BOTH = REGRESSION | CLASSIFICATION

PROBES: dict[str, Probe] = {
    "ridge": _built_in(RidgeSettings, "jobs.probes.ridge", REGRESSION, saved=True),
    "linear": _built_in(LinearSettings, "jobs.probes.linear", REGRESSION, saved=True),
    "mlp": _built_in(MlpSettings, "jobs.probes.mlp", REGRESSION, saved=True),
    "cca": _built_in(CcaSettings, "jobs.probes.cca", REGRESSION, saved=True),
    "knn": _built_in(KnnSettings, "jobs.probes.knn", BOTH, classify=True),
    "mdl": _built_in(MdlSettings, "jobs.probes.mdl", BOTH, classify=True),
    "logistic": _built_in(LogisticSettings, "jobs.probes.logistic", CLASSIFICATION, saved=True),
}
"""Probes by kind."""

if TYPE_CHECKING:
    ProbeSettings = BaseProbeSettings
else:
    _ANY = reduce(operator.or_, (probe.settings for probe in PROBES.values()))
    ProbeSettings = Annotated[_ANY, Field(discriminator="kind")]


def probe_name(settings: ProbeSettings) -> str:
    """Return the name of a probe in tables and plots: its ``name``, else its kind."""
    return settings.name or settings.kind


def seed_count(settings: ProbeSettings) -> int:
    """Return the number of seeds of a cell: 1 if the probe is deterministic."""
    count: int = getattr(settings, "seeds", 1)
    return count
