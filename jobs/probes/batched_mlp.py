"""K small perceptrons trained together with batched matrix products.

Axes: K networks, N training rows, B rows of a mini-batch, D features, P parameters of a network.
Every network has its own initial weights, order of rows and stopping time, and reaches the same
weights as it would alone, to the last bit, unless a product is of a single matrix, which BLAS
rounds differently. So there are always at least two in a batch, with a dummy network if necessary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

Layers = list[tuple[Tensor, Tensor]]
"""(weight (out, in), bias (out,)) of one network, as ``torch.nn.Linear`` has them."""

ALIGNMENT = 16
"""Parameters start at multiples of this, so that neither vector instructions nor matrix products
depend on a network's position in the batch."""


@dataclass(frozen=True)
class Recipe:
    """Training settings of the networks; fields as in ``MlpSettings``."""

    widths: tuple[int, ...]
    """Features, hidden widths, 1."""
    learning_rate: float
    batch_size: int
    epochs: int
    weight_decay: float
    dropout: float
    patience: int | None
    """Number of epochs without improvement; None: no early stopping."""


@dataclass(frozen=True)
class Data:
    """Rows to train on and, for early stopping, to validate on."""

    X: Tensor
    """(N, D), shared by all networks."""
    Y: Tensor
    """(K, N)"""
    X_validation: Tensor
    """(n, D)"""
    Y_validation: Tensor
    """(K, n)"""


@dataclass(frozen=True)
class Trained:
    """Networks after training."""

    widths: tuple[int, ...]
    parameters: Tensor
    """(K, P) parameters: the best of each network (early stopping), or its last."""
    epochs: list[int]
    """(K) epochs run."""
    best_epochs: list[int]
    """(K) epoch of the parameters, counted from 1."""

    def layers(self) -> list[Layers]:
        """Return the layers of K networks, each in its own memory."""
        views = _views(self.parameters, self.widths)
        return [
            [(weight[k].T.contiguous(), bias[k, 0].clone()) for weight, bias in views]
            for k in range(len(self.parameters))
        ]


def train(data: Data, recipe: Recipe, seeds: Sequence[int]) -> Trained:
    """Train network k on (X, Y[k]) by mean squared error and Adam, with ``seeds[k]`` alone.

    A seed's generator first draws the weights as ``torch.nn.Linear`` does, layer by layer, then a
    permutation of the rows an epoch and, with ``dropout``, a mask for every hidden layer a step, as
    ``torch.nn.Dropout`` does. With ``patience``, a network whose validation loss has not fallen for
    that many epochs leaves the batch.
    """
    with torch.inference_mode():  # gradients are computed by hand
        run = _Run(data, recipe, seeds)
        for epoch in range(1, recipe.epochs + 1):
            run.train_epoch()
            if recipe.patience is None:
                run.keep_all(epoch)
            elif not run.validate(epoch, recipe.patience):
                break
        return Trained(recipe.widths, run.best, run.epochs, run.best_epochs)


class _Run:
    """The state of K networks in training; ``active`` are in the batch, ``running`` unfinished."""

    def __init__(self, data: Data, recipe: Recipe, seeds: Sequence[int]) -> None:
        n_networks = len(seeds)
        self._data, self._recipe = data, recipe
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.active = list(range(n_networks))
        self.running = set(self.active)
        if n_networks == 1:
            self._generators.append(torch.Generator().manual_seed(seeds[0]))
            self._data = Data(data.X, data.Y[[0, 0]], data.X_validation, data.Y_validation[[0, 0]])
            self.active = [0, 1]
        initial = [_initial(recipe.widths, generator) for generator in self._generators]
        self._parameters = torch.stack(initial).to(data.X.dtype)
        self._adam = _Adam(recipe, self._parameters)
        self._set_views()
        self.best = torch.full_like(self._parameters[:n_networks], torch.nan)
        self.epochs, self.best_epochs = [0] * n_networks, [0] * n_networks
        self._best_loss = [float("inf")] * n_networks

    def train_epoch(self) -> None:
        """Pass over the training rows once, each network in its own order."""
        data, recipe = self._data, self._recipe
        n_rows = len(data.X)
        order = torch.stack(
            [torch.randperm(n_rows, generator=self._generators[k]) for k in self.active]
        )
        targets = data.Y[self.active].gather(1, order)
        for start in range(0, n_rows, recipe.batch_size):
            rows, values = (of[:, start : start + recipe.batch_size] for of in (order, targets))
            batch = data.X.index_select(0, rows.reshape(-1)).view(*rows.shape, -1)  # (K, B, D)
            self._gradients(batch, values[:, :, None], self._masks(batch))
            self._adam.step(self._parameters, self._gradient)

    def keep_all(self, epoch: int) -> None:
        """Note that every network has reached ``epoch``; its last parameters are the result."""
        n_networks = len(self.epochs)
        self.best = self._parameters[:n_networks]
        self.epochs = self.best_epochs = [epoch] * n_networks

    def validate(self, epoch: int, patience: int) -> bool:
        """Keep the best parameters so far, and stop networks without improvement; return whether
        any continue."""
        rows = self._data.X_validation.expand(len(self.active), -1, -1)
        outputs = _forward(self._weights, rows)[-1].squeeze(2)
        losses = (outputs - self._data.Y_validation[self.active]).square().mean(dim=1).tolist()
        for position, (k, loss) in enumerate(zip(self.active, losses, strict=True)):
            if k not in self.running:
                continue
            self.epochs[k] = epoch
            if loss < self._best_loss[k]:
                self._best_loss[k], self.best_epochs[k] = loss, epoch
                self.best[k] = self._parameters[position]  # copies the values
            if epoch - self.best_epochs[k] >= patience:
                self.running.remove(k)
        self._drop_finished()
        return bool(self.running)

    def _masks(self, batch: Tensor) -> list[Tensor]:
        """Dropout masks of the hidden layers' outputs (K, B, width); empty without dropout."""
        keep = 1 - self._recipe.dropout
        if keep == 1:
            return []
        masks = [batch.new_empty(*batch.shape[:2], width) for width in self._recipe.widths[1:-1]]
        for mask in masks:
            for of_network, k in zip(mask, self.active, strict=True):
                of_network.bernoulli_(keep, generator=self._generators[k])
            mask.div_(keep)
        return masks

    def _gradients(self, batch: Tensor, targets: Tensor, masks: list[Tensor]) -> None:
        """Write the gradient of the mean squared error over ``batch`` (K, B, D) into the gradient
        buffer.

        It is computed by hand: with mini-batches this small, half of autograd's time is overhead.
        """
        outputs = _forward(self._weights, batch, masks)
        gradient = (outputs.pop() - targets).mul_(2 / batch.shape[1])  # (K, B, 1)
        for (weight, _), (d_weight, d_bias) in zip(
            reversed(self._weights), reversed(self._d_weights), strict=True
        ):
            inputs = outputs.pop()
            torch.bmm(inputs.transpose(1, 2), gradient, out=d_weight)
            torch.sum(gradient, 1, keepdim=True, out=d_bias)
            if outputs:
                slope = inputs.sign_()  # of ReLU: 1 or 0
                back = weight.transpose(1, 2)  # from one output, a product of single numbers
                gradient = gradient * back if len(back[0]) == 1 else torch.bmm(gradient, back)
                gradient.mul_(slope)
                if masks:
                    gradient.mul_(masks[len(outputs) - 1])

    def _drop_finished(self) -> None:
        """Take finished networks out of the batch, as long as two remain."""
        ranked = sorted(self.active, key=lambda k: k not in self.running)
        kept = ranked[: max(2, len(self.running))]
        if len(kept) == len(self.active):
            return
        positions = [self.active.index(k) for k in kept]
        self._parameters = self._parameters[positions]
        self._adam.keep(positions)
        self.active = kept
        self._set_views()

    def _set_views(self) -> None:
        self._gradient = torch.zeros_like(self._parameters)
        self._weights = _views(self._parameters, self._recipe.widths)
        self._d_weights = _views(self._gradient, self._recipe.widths)


class _Adam:
    """Adam for (K, P) parameters. ``torch.optim.Adam`` does the same, but most of its time for a
    small network is overhead; this is the function that it calls in the end.
    """

    def __init__(self, recipe: Recipe, parameters: Tensor) -> None:
        self._recipe = recipe
        self._first, self._second = torch.zeros_like(parameters), torch.zeros_like(parameters)
        self._steps = torch.zeros(())

    def step(self, parameters: Tensor, gradient: Tensor) -> None:
        self._steps += 1
        torch._fused_adam_(
            [parameters],
            [gradient],
            [self._first],
            [self._second],
            [],
            [self._steps],
            lr=self._recipe.learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=self._recipe.weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def keep(self, positions: list[int]) -> None:
        """Keep only the networks at ``positions``."""
        self._first, self._second = self._first[positions], self._second[positions]


def _forward(
    weights: list[tuple[Tensor, Tensor]], batch: Tensor, masks: Sequence[Tensor] = ()
) -> list[Tensor]:
    """Compute the input and every layer's output, (K, B, width) each; ReLU after all layers but the
    last.

    With ``masks``, one per hidden layer, its outputs are multiplied by them.
    """
    outputs = [batch]
    for weight, bias in weights:
        if len(outputs) > 1:
            outputs[-1].relu_()
            if masks:
                outputs[-1].mul_(masks[len(outputs) - 2])
        if weight.shape[2] == 1:  # BLAS is slow with columns
            products = outputs[-1] * weight.transpose(1, 2)
            outputs.append(products.sum(2, keepdim=True).add_(bias))
        else:
            outputs.append(torch.baddbmm(bias, outputs[-1], weight))
    return outputs


def _views(flat: Tensor, widths: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """(weight (K, in, out), bias (K, 1, out)) of every layer, sharing the memory of (K, P)."""
    views, start = [], 0
    for n_in, n_out in pairwise(widths):
        weight = flat[:, start : start + n_in * n_out].view(-1, n_in, n_out)
        start += _aligned(n_in * n_out)
        bias = flat[:, None, start : start + n_out]
        start += _aligned(n_out)
        views.append((weight, bias))
    return views


def n_parameters(widths: Sequence[int]) -> int:
    """P: the number of parameters of one network, padding included."""
    pairs = pairwise(widths)
    return sum(_aligned(n_in * n_out) + _aligned(n_out) for n_in, n_out in pairs)


def _initial(widths: Sequence[int], generator: torch.Generator) -> Tensor:
    """(P,) float32, drawn as ``torch.nn.Linear`` draws: U(±1/√in) for weights, then biases."""
    flat = torch.zeros(1, n_parameters(widths))
    for weight, bias in _views(flat, widths):
        bound = weight.shape[1] ** -0.5
        drawn = torch.empty(weight.shape[2], weight.shape[1])
        weight[0] = drawn.uniform_(-bound, bound, generator=generator).T
        bias[0, 0] = torch.empty(bias.shape[2]).uniform_(-bound, bound, generator=generator)
    return flat[0]


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
