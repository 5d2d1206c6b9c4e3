"""Made-up runs: random predictions, and the tables that the real statistics make of them."""

import numpy as np
import pandas as pd

from jobs.protocol.predictions import CellPredictions
from jobs.statistics.curves import POINT_COLUMNS, Bootstrap, layer_curves
from jobs.statistics.difference_table import difference_table
from jobs.statistics.model_table import model_table
from jobs.statistics.scores import VALIDATION_LOSS
from jobs.statistics.scoring import score_classes, score_numbers
from jobs.statistics.speaker_mean import N_SPEAKERS

KINDS = {
    "cps": "regression",
    "f0_mean": "regression",
    "mood": "classification",
    "speaker": "classification",
}


class MadeRun:
    """Tables of a run of random shape: models, twins, baselines, layers, targets and probes.

    Layers know a random share of a target, from nothing to everything; some are copies of others,
    some speakers are hard, some targets constant, and some points lack cells.
    """

    def __init__(self, seed):
        self.rng = rng = np.random.default_rng(seed)
        n_speakers = int(
            rng.choice([1, 2, 3, 4, 6, 12, 30], p=[0.04, 0.06, 0.1, 0.1, 0.3, 0.2, 0.2])
        )
        sizes = rng.integers(2, 9, n_speakers)
        self.speakers = {f"u{i}-{j}": f"s{i}" for i, n in enumerate(sizes) for j in range(n)}
        self.ids = np.array(list(self.speakers))
        self.codes = np.array([int(name[1:]) for name in self.speakers.values()])
        self.n_folds = int(rng.choice([1, 5])) if n_speakers >= 6 else 1
        self.by_fold = self.n_folds > 1 and bool(rng.random() < 0.3)
        kinds = [name for name in KINDS if not (self.by_fold and KINDS[name] != "regression")]
        self.targets = list(rng.permutation(kinds)[: int(rng.integers(1, 3))])
        self.validated = bool(rng.random() < 0.5)
        self.probes = ["ridge", "mlp"][: int(rng.choice([1, 2], p=[0.8, 0.2]))]
        self.models, self.twins = self._models()
        self.cells, self.metrics, self.points = {}, [], {}
        for target in self.targets:
            self._target(target)
        self.layers, self.models_table, self.differences = self._tables()

    @property
    def tables(self):
        """layers.csv, models.csv and differences.csv."""
        return self.layers, self.models_table, self.differences

    def _models(self):
        """Name → layers, and pairs (trained, untrained)."""
        rng = self.rng
        shape = rng.random()
        n = int(rng.choice([1, 2]))
        names = [f"layer{i}" for i in range(int(rng.choice([1, 2, 3, 6], p=[0.3, 0.2, 0.3, 0.2])))]
        if len(names) > 1 and rng.random() < 0.5:
            names[-1] = "embedding"
        models, twins = {}, set()
        if shape > 0.9:
            n, names = 5, names[-1:]
        for number in range(n):
            models[f"net{number}"] = names
            if shape > 0.35:
                models[f"random{number}"] = names
                twins.add((f"net{number}", f"random{number}"))
        if rng.random() < 0.2 and twins:
            models["random0b"] = names
            twins.add(("net0", "random0b"))
        if rng.random() < 0.6:
            models |= {"baseline:duration": ["duration"], "baseline:fbank": ["statistics"]}
        return models, twins

    def _target(self, target):
        rng, n = self.rng, len(self.ids)
        of_speaker = rng.standard_normal(self.codes.max() + 1)[self.codes]
        truth = of_speaker + rng.standard_normal(n)
        if target == "speaker":
            truth = self.codes.astype(float)
        elif KINDS[target] == "classification":
            truth = np.digitize(truth, [0, 1]).astype(float)
        if rng.random() < 0.05:
            truth = np.full(n, 2.0)
        hard = np.ones(self.codes.max() + 1)
        if rng.random() < 0.4:
            hard[rng.integers(len(hard))] = 8.0
        for model, layers in self.models.items():
            level = rng.random()
            error = rng.standard_normal(n) * (1.2 - level)
            for index, layer in enumerate(layers):
                if rng.random() < 0.9:  # else a copy of the layer before
                    error = rng.standard_normal(n) * 2 * rng.random() * (1.2 - level)
                for probe in self.probes:
                    place = (model, layer, index, target, probe)
                    self._point(place, truth, truth + error * hard[self.codes])

    def _point(self, place, truth, guess):
        kind = KINDS[place[3]]
        if kind == "classification":
            guess = np.clip(np.round(guess), truth.min(), truth.max())
        self.points[place] = (*place, place[4], kind, self.n_folds, 0)
        failed = int(self.rng.integers(self.n_folds)) if self.rng.random() < 0.05 else None
        for fold in range(self.n_folds):
            if fold == failed:
                continue
            tested = self.codes % self.n_folds == fold
            cell_id = "/".join(map(str, (*place, fold)))
            y, y_pred = (x[tested].astype(np.float32) for x in (truth, guess))
            mean = float(np.mean(truth)) + 0.1 if kind == "regression" else float(truth[0])
            names = self.ids[tested]
            groups = np.array([self.speakers[name] for name in names])
            self.cells[cell_id] = CellPredictions(fold, mean, names, y, y_pred)
            if kind == "regression":
                scores = score_numbers(y.astype(float), y_pred.astype(float), mean, groups)
            else:
                scores = score_classes(y.astype(float), y_pred.astype(float), mean)
            about = {"seed": 0, "fold": fold, "control": "none", "n_test": len(y)}
            by_speaker = {
                **{f"speaker_mean_{name}": 1.0 for name in ("mse", "mae", "pearson")},
                N_SPEAKERS: len(set(groups)),
            }
            if self.validated:
                scores[VALIDATION_LOSS[kind]] = float(self.rng.random())
            key = dict(zip(POINT_COLUMNS[:5], place, strict=True))
            self.metrics.append(key | about | by_speaker | scores | {"cell_id": cell_id})

    def _tables(self):
        points = pd.DataFrame(list(self.points.values()), columns=POINT_COLUMNS)
        metrics = pd.DataFrame(self.metrics)
        orders = {"model": list(self.models), "target": self.targets, "probe": self.probes}
        for name, order in orders.items():
            for frame in (points, metrics):
                frame[name] = pd.Categorical(frame[name], categories=order, ordered=True)
        read = None if self.by_fold else self.cells.__getitem__
        bootstrap = Bootstrap(100)
        curves = layer_curves(points, metrics, read, self.speakers, bootstrap)
        return curves.layers, model_table(curves), difference_table(curves, self.twins, bootstrap)
