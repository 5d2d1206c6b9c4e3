"""Rows 7 and 8: the MLP probe beside a plain ``nn.Module`` that a ``DataLoader`` feeds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from jobs.arrays import FloatArray
from jobs.probes import MlpSettings, mlp
from jobs.protocol.folds import Fold
from tests.benchmarks.measure import interleaved, ratios
from tests.benchmarks.result import Result, Target
from tests.benchmarks.workbench import Workbench

NETWORKS = 12
"""Problems of one layer: two targets, real and shuffled, three seeds."""
ROWS = 1200
"""Utterances to train on."""
EPOCHS = 4
"""All of them are run: how soon training stops is no matter of speed."""
SPEED = {64: Target(8, 12), 512: Target(3, 3.8), 5120: Target(1.25, 1.4)}
"""By width of the layer."""


@dataclass(frozen=True)
class Problem:
    """Activations and targets; the last quarter of the rows is for testing."""

    X: npt.NDArray[np.float32]
    Y: FloatArray
    standardised: Tensor
    """X, standardised beforehand: what plain networks are given."""

    @property
    def fold(self) -> Fold:
        rows = np.arange(len(self.X))
        n_train = len(rows) * 3 // 4
        return Fold(rows[:n_train], rows[:0], rows[n_train:])

    def ours(self, dtype: torch.dtype, settings: MlpSettings) -> FloatArray:
        """(n_test, K) predictions, column k with seed k."""
        groups, seeds = np.full(len(self.X), "s"), list(range(self.Y.shape[1]))
        found = mlp.fit_predict(settings, self.X, self.Y, self.fold, groups, seeds, dtype=dtype)
        return found.predictions

    def plain(self, dtype: torch.dtype, settings: MlpSettings, k: int) -> FloatArray:
        """(n_test,) of network k, as anyone would train it."""
        train, test = self.fold.train, self.fold.test
        X, y = self.standardised.to(dtype), torch.from_numpy(self.Y[:, k])
        mean, scale = y[train].mean(), y[train].std(correction=0)
        torch.manual_seed(k)
        model = nn.Sequential(nn.Linear(X.shape[1], 128), nn.ReLU(), nn.Linear(128, 1)).to(dtype)
        adam = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
        dataset = TensorDataset(X[train], ((y[train] - mean) / scale).to(dtype))
        loader = DataLoader(
            dataset,
            batch_size=settings.batch_size,
            sampler=Shuffled(len(train)),
            generator=torch.Generator(),  # or the loader draws from the network's own numbers
        )
        for _ in range(settings.epochs):
            for batch, targets in loader:
                _step(model, adam, batch, targets)
        with torch.no_grad():
            return np.asarray((model(X[test])[:, 0].double() * scale + mean).numpy())


class Shuffled(Sampler[int]):
    """Rows in an order drawn from torch's own numbers, as the probe draws it from its seed."""

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows

    def __len__(self) -> int:
        return self._n_rows

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self._n_rows).tolist())


def speed(bench: Workbench) -> list[Result]:
    """One plain network is trained, of which all are alike."""
    settings = MlpSettings(epochs=1 if bench.quick else EPOCHS, early_stopping=False)
    results = []
    for width, target in SPEED.items():
        data = problem(ROWS, width, torch.float32)
        seconds = interleaved(
            {
                "ours": lambda data=data: data.ours(torch.float32, settings),
                "plain": lambda data=data: data.plain(torch.float32, settings, 0),
            },
            bench.repetitions(5),
        )
        what = f"{NETWORKS} MLP probes, nn.Module + DataLoader ÷ ours, D {width}"
        values = tuple(NETWORKS * ratio for ratio in ratios(seconds, "plain", "ours"))
        results.append(Result(row=7, what=what, values=values, target=target))
    return results


def parity(bench: Workbench) -> list[Result]:
    """In float64 the networks are the same; in float32 they differ less than seeds do."""
    settings = MlpSettings(epochs=3 if bench.quick else 20, early_stopping=False)
    data = problem(300, 64, torch.float64)
    y = data.Y[data.fold.test]
    ours = data.ours(torch.float64, settings)
    plain = np.stack([data.plain(torch.float64, settings, k) for k in range(NETWORKS)], axis=1)
    error = float(np.max(np.abs(ours - plain)) / np.std(plain))
    ours = data.ours(torch.float32, settings)
    plain = np.stack([data.plain(torch.float32, settings, k) for k in range(NETWORKS)], axis=1)
    r2_ours, r2_plain = (1 - ((y - p) ** 2).mean(axis=0) / y.var(axis=0) for p in (ours, plain))
    difference = float(np.abs(r2_ours - r2_plain).max() / r2_plain.std(ddof=1))
    return [
        Result(
            row=8,
            what="MLP probes, float64: largest deviation from the plain loop ÷ 1e-12",
            values=(error / 1e-12,),
            target=Target(1, 1),
        ),
        Result(
            row=8,
            what="MLP probes, float32: largest change of R² ÷ its SD over seeds",
            values=(difference,),
            target=Target(0.1, 0.1),
        ),
    ]


def problem(n_train: int, width: int, dtype: torch.dtype) -> Problem:
    """The same target for all networks, which differ by seed."""
    rng = np.random.default_rng(0)
    n_rows = n_train * 4 // 3
    X = rng.standard_normal((n_rows, width)) * 3 + 1
    y = 12 + np.tanh(X[:, 0]) * 3 + X[:, 1] + 0.5 * rng.standard_normal(n_rows)
    X = X.astype(np.float32).astype(np.float64)
    standardised = torch.from_numpy((X - X[:n_train].mean(axis=0)) / X[:n_train].std(axis=0))
    Y = np.repeat(y[:, None], NETWORKS, axis=1)
    return Problem(X.astype(np.float32), Y, standardised.to(dtype))


def _step(model: nn.Module, adam: torch.optim.Adam, batch: Tensor, targets: Tensor) -> None:
    adam.zero_grad()
    nn.functional.mse_loss(model(batch).squeeze(1), targets).backward()
    adam.step()
