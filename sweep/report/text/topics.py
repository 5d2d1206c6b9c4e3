"""The rows of the tables that the headline of one target is about."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from jobs.models.settings import BASELINE_PREFIX
from jobs.statistics.points import FOLDS
from jobs.statistics.scores import MAIN_SCORE, TargetKind
from jobs.targets.registry import target_title
from sweep.report.text import phrases


@dataclass(frozen=True)
class Topic:
    """One target and the first probe of the spec that predicts it, whatever its score."""

    target: str
    kind: TargetKind
    probe: str
    """Name of the probe if the target has several, else empty."""
    units: str
    """Units over which differences are paired: ``speakers`` or ``folds``."""
    models: pd.DataFrame
    """Rows of ``models.csv`` without the references."""
    layers: pd.DataFrame
    differences: pd.DataFrame

    @property
    def label(self) -> str:
        """The target in words."""
        return target_title(self.target)

    @property
    def main(self) -> str:
        """Column of ``layers.csv`` with the main score."""
        return MAIN_SCORE[self.kind]

    @property
    def honest(self) -> str:
        """Column of ``models.csv`` with the selection-corrected score."""
        return f"best_{self.main}_honest"

    @property
    def scored(self) -> str:
        """The score and the target in words: ``R² for speech rate``."""
        return f"{phrases.score_name(self.kind)} for {self.label}"

    @property
    def nothing(self) -> str:
        """Name of the no-skill prediction."""
        return phrases.nothing_of(self.kind)

    @property
    def test(self) -> str:
        """Description of the test of differences between models."""
        return f"{self.probe}, {self.paired}" if self.probe else self.paired

    @property
    def paired(self) -> str:
        """The test without the probe."""
        return f"paired over {self.units}"

    @property
    def own(self) -> pd.DataFrame:
        """Rows of ``models.csv`` without the baselines."""
        return self.models[~self.models["model"].str.startswith(BASELINE_PREFIX)]

    def rows(self, comparison: str) -> pd.DataFrame:
        """Rows of ``differences.csv`` of one kind of comparison."""
        return self.differences[self.differences["comparison"] == comparison]

    def score(self, model: str, layer: str) -> float:
        """Score of a model at a layer or, where no layer is named, the selection-corrected one;
        NaN where several are named, of different folds."""
        if not layer:
            rows = self.models[self.models["model"] == model]
            return float(rows[self.honest].iloc[0])
        rows = self.layers[(self.layers["model"] == model) & (self.layers["layer"] == layer)]
        return float(rows[self.main].iloc[0]) if len(rows) else float("nan")


def topics_of(
    layers: pd.DataFrame, models: pd.DataFrame, differences: pd.DataFrame
) -> Iterator[Topic]:
    """Yield the topic of every target, in the order of ``models``.

    Args:
        layers: ``layers.csv``.
        models: ``models.csv``.
        differences: ``differences.csv``.
    """
    probed = models[models["probe"] != ""]
    for target, of_target in probed.groupby("target", sort=False, observed=True):
        probe = of_target["probe"].iloc[0]
        yield Topic(
            str(target),
            of_target["target_kind"].iloc[0],
            str(probe) if of_target["probe"].nunique() > 1 else "",
            "folds" if (of_target["interval_over"] == FOLDS).any() else "speakers",
            *(_about(frame, target, probe) for frame in (of_target, layers, differences)),
        )


def _about(frame: pd.DataFrame, target: object, probe: object) -> pd.DataFrame:
    return frame[(frame["target"] == target) & (frame["probe"] == probe)]
