"""What the page shows of a single layer: test predictions, and for classes what was confused.

Predictions are averaged over seeds. Where a run has more of them than fit, whole speakers are left
out, so that the errors of those that remain are complete; where that would leave too few speakers,
a few utterances of each are kept instead.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.models.settings import BASELINE_PREFIX
from jobs.protocol.predictions import CellPredictions
from sweep.report.figures.units import with_unit
from sweep.report.page_data.encode import packed, rounded
from sweep.results.run import Run
from sweep.state.ledger import Record

MOST_POINTS, LEAST_POINTS = 400, 40
"""Bounds of the number of predictions of a layer and probe on the page."""
ALL_POINTS = 450_000
"""Predictions on the whole page, two bytes each."""
MOST_CLASSES = 20
"""Classes up to which a layer has a confusion matrix; of more, its most frequent confusions."""
ALL_COUNTS = 250_000
"""Entries of all confusion matrices, up to which they are on the page."""
NAMED_CONFUSIONS = 8
FEWEST_SPEAKERS = 12
"""Speakers on the page, if so many were tested, however many utterances each of them has."""
_MARGIN = 0.35
"""Part of the range of true values by which predictions on the page may lie beyond it."""

Point = tuple[str, str]
"""(Target, probe)."""


@dataclass(frozen=True)
class _Layer:
    """The done cells of a layer for a target and probe."""

    model: str
    layer: str
    point: Point
    records: list[Record]


def layer_details(run: Run) -> dict[str, Any]:
    """Collect the predictions of every layer that the chart shows; without any if none are kept."""
    if run.plan.scored_by_sums:
        return {"targets": {}, "predicted": {}, "confused": {}}
    layers = list(_layers(run.records.values()))
    numbers = [one for one in layers if one.point[0] not in run.plan.classes]
    most = int(np.clip(ALL_POINTS // max(1, len(numbers)), LEAST_POINTS, MOST_POINTS))
    shown: dict[str, _Shown] = {}
    predicted: dict[str, str] = {}
    for one in numbers:
        cells = [run.cell_predictions(record.cell_id) for record in one.records]
        target = one.point[0]
        if target not in shown:
            shown[target] = _Shown.of(cells, run.speakers, most)
        predicted[_key(one)] = shown[target].predictions(cells)
    classes = [one for one in layers if one.point[0] in run.plan.classes]
    return {
        "targets": {target: points.as_json(target) for target, points in shown.items()},
        "predicted": predicted,
        "classes": {name: list(names) for name, names in run.plan.classes.items()},
        "confused": _confusions(run, classes),
    }


def _key(one: _Layer) -> str:
    """The name of a layer's entry, with a separator that is one byte in JSON and in no name."""
    return "\x7f".join((one.model, one.layer, *one.point))


def _layers(records: Iterable[Record]) -> Iterator[_Layer]:
    """Group the done cells without control by layer, target and probe, baselines left out."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        is_shown = record.status == "done" and record.control == "none"
        if is_shown and not record.model.startswith(BASELINE_PREFIX):
            key = (record.model, record.layer, record.target, record.probe)
            groups.setdefault(key, []).append(record)
    for (model, layer, target, probe), own in groups.items():
        yield _Layer(model, layer, (target, probe), own)


@dataclass(frozen=True)
class _Shown:
    """The test utterances of a target that are on the page."""

    position: dict[str, int]
    """Utterance → its position."""
    speakers: list[str]
    truth: npt.NDArray[np.float64]
    n_tested: int
    n_speakers: int
    """Tested, on the page or not."""

    @classmethod
    def of(cls, cells: list[CellPredictions], speaker_of: dict[str, str], most: int) -> "_Shown":
        """Choose about ``most`` utterances: all, or those of speakers over the range of values."""
        truth = {
            str(name): float(value)
            for cell in cells
            for name, value in zip(cell.utterance_id, cell.y_true, strict=True)
        }
        by_speaker: dict[str, list[str]] = {}
        for name in truth:
            by_speaker.setdefault(speaker_of[name], []).append(name)
        names = _chosen(by_speaker, truth, most)
        return cls(
            {name: at for at, name in enumerate(names)},
            [speaker_of[name] for name in names],
            np.array([truth[name] for name in names]),
            len(truth),
            len(by_speaker),
        )

    @property
    def ends(self) -> tuple[float, float]:
        """Lowest and highest value that a prediction on the page can have."""
        low, high = float(self.truth.min()), float(self.truth.max())
        margin = _MARGIN * ((high - low) or 1.0)
        return low - margin, high + margin

    def predictions(self, cells: list[CellPredictions]) -> str:
        """The mean prediction of every utterance, packed."""
        total, count = np.zeros(len(self.truth)), np.zeros(len(self.truth))
        for cell in cells:
            places = [self.position.get(name, -1) for name in cell.utterance_id.tolist()]
            at = np.array(places, dtype=np.int64)
            known = at >= 0
            np.add.at(total, at[known], cell.y_pred[known].astype(np.float64))
            np.add.at(count, at[known], 1)
        with np.errstate(invalid="ignore"):
            return packed(total / count, *self.ends)

    def as_json(self, target: str) -> dict[str, Any]:
        """Everything about the utterances that is the same for all layers."""
        names = list(dict.fromkeys(self.speakers))
        number = {name: at for at, name in enumerate(names)}
        return {
            "label": with_unit(target, target),
            "ids": list(self.position),
            "speakers": names,
            "speaker": [number[name] for name in self.speakers],
            "truth": rounded(self.truth, 5),
            "ends": rounded(self.ends, 9),
            "tested": [self.n_tested, self.n_speakers],
        }


def _chosen(by_speaker: dict[str, list[str]], truth: dict[str, float], most: int) -> list[str]:
    """Choose at most ``most`` utterances: of as many whole speakers as fit, evenly by their means,
    or equally many of each of `FEWEST_SPEAKERS`, evenly by value."""
    ordered = sorted(
        by_speaker, key=lambda speaker: (np.mean([truth[n] for n in by_speaker[speaker]]), speaker)
    )
    fewest = min(FEWEST_SPEAKERS, len(ordered))
    for n_speakers in range(len(ordered), fewest - 1, -1):
        chosen = [name for speaker in _evenly(ordered, n_speakers) for name in by_speaker[speaker]]
        if len(chosen) <= most:
            return chosen
    return [
        name
        for speaker in _evenly(ordered, fewest)
        for name in _evenly(sorted(by_speaker[speaker], key=truth.__getitem__), most // fewest)
    ]


def _evenly(items: list[str], count: int) -> list[str]:
    """Choose ``count`` items at equal distances, the ends among them; all if there are no more."""
    if len(items) <= count:
        return items
    return [items[at] for at in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _confusions(run: Run, layers: list[_Layer]) -> dict[str, Any]:
    """Counts of (true, predicted) class over folds and seeds: whole matrices, or the largest."""
    n_entries = sum(len(run.plan.classes[one.point[0]]) ** 2 for one in layers)
    found: dict[str, Any] = {}
    for one in layers:
        n_classes = len(run.plan.classes[one.point[0]])
        counts: Counter[tuple[int, int]] = Counter()
        for record in one.records:
            cell = run.cell_predictions(record.cell_id)
            codes = (cell.y_true.astype(int).tolist(), cell.y_pred.astype(int).tolist())
            counts.update(zip(*codes, strict=True))
        if n_classes <= MOST_CLASSES and n_entries <= ALL_COUNTS:
            found[_key(one)] = [counts[a, b] for a in range(n_classes) for b in range(n_classes)]
            continue
        wrong = [(pair, n) for pair, n in counts.most_common() if pair[0] != pair[1]]
        right = sum(n for (a, b), n in counts.items() if a == b)
        found[_key(one)] = {
            "right": right,
            "all": counts.total(),
            "largest": [[a, b, n] for (a, b), n in wrong[:NAMED_CONFUSIONS]],
        }
    return found
