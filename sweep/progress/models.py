"""Progress of one model of a run: what was done to it, and the scores of its layers so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal[
    "waiting", "loading", "extracting", "extracted", "probing", "done", "failed",
]  # fmt: skip
"""States of a model, in the order in which it passes through them; a failed one ends there."""
EVENT_SCORES = {"best": ("r2", "R²"), "best_accuracy": ("accuracy", "accuracy")}
"""Fields of ``cells_done`` with a best score: its key, and how it is called."""


@dataclass(frozen=True)
class Best:
    """The best layer of a model so far, over all probes and all targets of a kind."""

    layer: str
    probe: str
    target: str
    score: float
    """R², or the accuracy of a target that is a class."""


@dataclass
class Units:
    """Shards or layers of a model: how many there are, and which of them this run finished."""

    total: int = 0
    """0 if it is not known, as in runs of earlier versions."""
    earlier: int = 0
    """Number finished by earlier runs."""
    finished: set[str] = field(default_factory=set)
    seconds: float = 0.0
    """Seconds of processes that the finished ones took."""
    measured: int = 0
    """Number of finished ones that did not fail, whose duration says how long others take."""

    @property
    def done(self) -> int:
        """Number that need no more work."""
        return self.earlier + len(self.finished)

    @property
    def left(self) -> int:
        """Number that are not done."""
        return max(self.total - self.done, 0)

    def finish(self, name: str, seconds: float, *, failed: bool = False) -> None:
        """Count one that returned."""
        self.finished.add(name)
        self.seconds += seconds
        self.measured += not failed

    def __str__(self) -> str:
        return f"{self.done}/{self.total}" if self.total else str(self.done)


@dataclass
class ModelProgress:
    """State of one model."""

    name: str
    shards: set[int] = field(default_factory=set)
    """Shards that any run extracted."""
    layers: set[str] = field(default_factory=set)
    """Layers that any run probed."""
    skipped: int = 0
    """Utterances that could not be read."""
    failed: int = 0
    """Cells, or shards, that failed in this run."""
    failed_layers: set[str] = field(default_factory=set)
    """Layers all of whose cells failed in this run."""
    best: Best | None = None
    """Best layer by R²."""
    best_accuracy: Best | None = None
    last_change: int = 0
    """Number of the last event that concerned it; the greatest is the most recent."""
    extraction: Units = field(default_factory=Units)
    probing: Units = field(default_factory=Units)
    order: Sequence[int] = ()
    """Index of every planned layer, in depth order; empty if it is not known."""
    scores: dict[str, dict[int, float]] = field(default_factory=dict)
    """Target → index of a layer → its score, by the best probe."""
    names: dict[int, str] = field(default_factory=dict)
    """Index of a layer → its name."""
    extraction_failed: bool = False
    run_ended: bool = False
    began: str = ""
    """The last stage that jobs of it were sent to an executor for; empty: none yet."""

    @property
    def state(self) -> State:
        """Its state, from what this run did to it."""
        all_failed = self.failed_layers and len(self.failed_layers) == len(self.probing.finished)
        if self.extraction_failed or (all_failed and not self.probing.left):
            return "failed"
        if self.probing.total and not self.probing.left and not self.extraction.left:
            return "done"
        if self.run_ended and self.layers and not self.probing.total:
            return "done"  # events of earlier versions do not say how many there are
        if self.probing.finished or self.began == "probe":
            return "probing"
        if self.extraction.finished:
            extracted = self.extraction.total and not self.extraction.left
            return "extracted" if extracted else "extracting"
        return "loading" if self.began == "extract" else "waiting"

    @property
    def state_text(self) -> str:
        """The state in words, with counts: ``probing 37/51``."""
        match self.state:
            case "extracting":
                return f"extracting {self.extraction}"
            case "probing":
                return f"probing {self.probing}"
            case "done" if self.failed:
                return f"done, {self.failed} failed"
            case state:
                return state

    @property
    def share(self) -> float | None:
        """Share of its shards and layers that is done; None if it is not known."""
        parts = [units for units in (self.extraction, self.probing) if units.total]
        shares = [min(units.done / units.total, 1.0) for units in parts]
        return sum(shares) / len(shares) if shares else None

    def plan(self, work: Mapping[str, Any] | None) -> None:
        """Begin a run with the ``work`` that its ``planned`` event has for this model."""
        self.failed, self.began = 0, ""
        self.extraction_failed = self.run_ended = False
        self.failed_layers.clear()
        work = work or {"shards": 0, "shards_done": 0, "layers": [], "layers_done": 0}
        self.order = work["layers"]
        self.extraction = Units(work["shards"], work["shards_done"])
        self.probing = Units(len(self.order), work["layers_done"])

    def extracted(self, event: Mapping[str, Any]) -> None:
        """Take in a ``shard_done``."""
        number = event["shard"]
        self.skipped += 0 if number in self.shards else event["skipped"]
        self.shards.add(number)
        self.extraction.finish(str(number), event["seconds"])

    def probed(self, event: Mapping[str, Any]) -> None:
        """Take in a ``cells_done``."""
        layer, index = event["layer"], event.get("layer_index", len(self.layers))
        self.failed += event["failed"]
        failed = event["failed"] == event["cells"]
        if failed:
            self.failed_layers.add(layer)
        self.probing.finish(layer, event["seconds"], failed=failed)
        self.scored({**event, "layer_index": index})

    def scored(self, event: Mapping[str, Any]) -> None:
        """Take in the scores of a layer, of this run or an earlier one."""
        layer, index = event["layer"], event["layer_index"]
        self.layers.add(layer)
        self.names[index] = layer
        self.best = _better(self.best, layer, event["best"], "r2")
        accuracy = event.get("best_accuracy")  # not recorded before class targets existed
        self.best_accuracy = _better(self.best_accuracy, layer, accuracy, "accuracy")
        for target, score in _scores(event).items():
            self.scores.setdefault(target, {})[index] = score

    def best_of(self, target: str) -> tuple[str, float] | None:
        """Name and score of the layer with the highest score of a target so far."""
        scores = self.scores.get(target)
        if not scores:
            return None
        index = max(scores, key=lambda index: (scores[index], -index))
        return self.names[index], scores[index]


def _scores(event: Mapping[str, Any]) -> Mapping[str, float]:
    """Score by target; in events of earlier versions, the best by its name."""
    if "scores" in event:
        found: Mapping[str, float] = event["scores"]
        return found
    best = ((event.get(name), key, label) for name, (key, label) in EVENT_SCORES.items())
    return {label: score[key] for score, key, label in best if score is not None}


def _better(
    best: Best | None, layer: str, found: Mapping[str, Any] | None, score: str
) -> Best | None:
    """Return the better of ``best`` and the score ``found`` in ``layer``."""
    if found is None or (best is not None and found[score] <= best.score):
        return best
    return Best(layer, found["probe"], found["target"], found[score])
