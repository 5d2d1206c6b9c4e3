"""Many inputs through a network: in which batches, on which device, with which arithmetic.

Whatever the batches are, each input's values are those of a pass of its own, to rounding. On a CPU
batches have equal lengths: padding would only be more to compute. On a GPU short inputs alone leave
most of it idle, so lengths are mixed where the network can be masked exactly.

Legend: U inputs, B inputs of a batch, D the pooled width of a layer.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from jobs.audio.frames import FRAME_SHIFT
from jobs.extraction.batches import equal_batches, padded_batches
from jobs.models.arithmetic import arithmetic, layer_errors
from jobs.models.model import PaddingMode, ProbedModel
from jobs.models.padding import CannotMask, check_pooled, masked_batch, pad
from jobs.models.pooling import POOLINGS
from jobs.models.precision import LayerError, check_precision
from jobs.models.settings import Precision
from jobs.models.tap_reader import TapReader
from jobs.models.taps import Pooling

log = logging.getLogger(__name__)

Batching = Literal["auto", "equal", "masked"]
"""``equal``: inputs of equal shape share a batch. ``masked``: of similar length, where the network
allows it. ``auto``: what is fastest on the device. It changes nothing but the speed."""

EQUAL_BATCH_FRAMES = 3_200
"""Of a batch on a CPU: a bound on memory (at 64 channels, 65 MB a value of the stem)."""
GPU_BATCH_FRAMES = 25_600
"""Of a batch on a GPU, to begin with: 0.5 GB a value of such a stem."""
MASK_TOLERANCE = 1e-3
"""Relative difference that a masked batch may have from an input alone, in float32: rounding stays
below 1e-4 in the deepest network here, a mask that is missing changes percents."""


class InputTooLarge(RuntimeError):  # noqa: N818 (a finding about an input and a device)
    """One input alone does not fit the device's memory."""

    def __init__(self, name: str, frames: int, device: torch.device) -> None:
        super().__init__(
            f"{name}: its {frames} frames do not fit the memory of {device}, alone in a batch; set "
            "features.max_frames, or extract this model on a device with more memory"
        )


@dataclass(frozen=True)
class Reading:
    """The layers of some inputs."""

    values: dict[str, Tensor]
    """(U, D) float32 of each layer, in depth order, on the device."""
    frames_computed: int
    """Of 10 ms."""
    frames_useful: int
    """Without padding."""


def read_padded(
    reader: TapReader, padding: PaddingMode, batch: Tensor, lengths: Sequence[int]
) -> dict[str, Tensor]:
    """The layers of a batch, (B, D) each, every row as if it were alone.

    Args:
        reader: of the network.
        padding: how the network handles padding; may be ``none`` if nothing is padded.
        batch: (B, T, ...).
        lengths: of the rows.

    Raises:
        CannotMask: a padded batch that this network cannot be given.
    """
    if len(set(lengths)) == 1:
        return reader.read(batch)
    if padding == "none":
        raise CannotMask("its padding cannot be masked")
    if padding == "lengths":
        return reader.read(batch, lengths)
    with masked_batch(batch, lengths):
        values = reader.read(batch)
        check_pooled(values)
    return values


class Forward:
    """A network that is read batch by batch.

    Args:
        model: it is moved to the device.
        pooling: of every layer.
        device: where to compute.
        precision: of the arithmetic.
        batching: see `Batching`.

    Attributes:
        masks: whether batches may mix lengths.
        budget: frames of a batch at most, halved whenever the device runs out of memory.
        errors: of the arithmetic, by layer, measured on the first batch; None in float32.

    Raises:
        ModelError: the device has no such arithmetic.
    """

    def __init__(
        self,
        model: ProbedModel,
        pooling: Pooling,
        device: torch.device,
        precision: Precision = "fp32",
        batching: Batching = "auto",
    ) -> None:
        check_precision(precision, device.type, model.architecture)
        self._architecture = model.architecture
        self._reader = TapReader(model.module.to(device), model.taps, POOLINGS[pooling])
        self._padding = model.padding
        self._step = model.step
        self._device = device
        self._precision = precision
        on_gpu = device.type == "cuda"
        wanted = batching == "masked" or (batching == "auto" and on_gpu)
        self.masks = wanted and model.padding != "none"
        self.budget = GPU_BATCH_FRAMES if on_gpu else EQUAL_BATCH_FRAMES
        self.errors: dict[str, LayerError] | None = None
        self._checked = False

    def read(self, inputs: Sequence[Tensor], names: Sequence[str]) -> Reading:
        """Every layer of every input, each from one forward pass.

        Passes that are thrown away, because memory ran out or for a check, are not counted.

        Args:
            inputs: U, (T, ...) each, on the CPU.
            names: U, for messages.

        Raises:
            InputTooLarge: one does not fit the device's memory.
        """
        values: dict[str, Tensor] = {}
        computed = 0
        batches = self._plan(inputs, range(len(inputs)))
        while batches:
            rows = batches[0]
            read = self._try_to_read([inputs[row] for row in rows], names[rows[0]])
            if read is None:
                # Smaller batches from here on, or, for a network that cannot be masked, equal ones.
                batches = self._plan(inputs, [row for batch in batches for row in batch])
                continue
            del batches[0]
            computed += len(rows) * max(len(inputs[row]) for row in rows)
            for layer, values_BD in read.items():
                if layer not in values:
                    shape = len(inputs), values_BD.shape[1]
                    values[layer] = torch.empty(shape, device=self._device)
                values[layer][rows] = values_BD.float()
        return Reading(values, self._frames(computed), self._frames(sum(map(len, inputs))))

    def _frames(self, positions: int) -> int:
        return positions * self._step // FRAME_SHIFT

    def _plan(self, inputs: Sequence[Tensor], rows: Sequence[int]) -> list[list[int]]:
        budget = max(1, self.budget * FRAME_SHIFT // self._step)
        if self.masks:
            return padded_batches([len(one) for one in inputs], rows, budget)
        return equal_batches([tuple(one.shape) for one in inputs], rows, budget)

    def _try_to_read(self, inputs: Sequence[Tensor], first: str) -> dict[str, Tensor] | None:
        """The layers of a batch; None after a change of plan that lets it be read in another."""
        try:
            return self._read_checked(inputs)
        except CannotMask as error:
            self._use_equal_lengths(str(error))
            return None
        except torch.OutOfMemoryError as error:
            longest = max(map(len, inputs))
            if len(inputs) == 1:
                raise InputTooLarge(first, self._frames(longest), self._device) from error
            # Of what was tried, not of the budget: padding may have made the batch much smaller.
            self.budget = max(1, self._frames(len(inputs) * longest) // 2)
        # Outside the handler, where the error still held what the pass had made.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning("out of memory: batches of %d frames from here on", self.budget)
        return None

    def _read_checked(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """The layers of a batch; of the first ones, what is to be known of them is measured."""
        mixed = len({len(one) for one in inputs}) > 1
        values = None
        if mixed and not self._checked:
            values = self._read_batch(inputs, "fp32")
            self._check_mask(values, inputs)
            self._checked = True
        if self._precision == "fp32":
            return self._read_batch(inputs, "fp32") if values is None else values
        if self.errors is not None:
            return self._read_batch(inputs, self._precision)
        exact = self._read_batch(inputs, "fp32") if values is None else values
        values = self._read_batch(inputs, self._precision)
        self.errors = layer_errors({k: v.float() for k, v in values.items()}, exact)
        return values

    def _read_batch(self, inputs: Sequence[Tensor], precision: Precision) -> dict[str, Tensor]:
        batch, lengths = pad(inputs)
        if self._device.type == "cuda":
            batch = batch.pin_memory()
        batch = batch.to(self._device, non_blocking=True)
        with arithmetic(precision, self._device):
            return read_padded(self._reader, self._padding, batch, lengths)

    def _check_mask(self, values: Mapping[str, Tensor], inputs: Sequence[Tensor]) -> None:
        """Compare the shortest input of a padded batch with itself alone.

        Rules know what torch's operations do; what a network does beside torch, they do not see.

        Raises:
            CannotMask: they differ by more than rounding.
        """
        row = min(range(len(inputs)), key=lambda row: len(inputs[row]))
        alone = self._read_batch([inputs[row]], "fp32")
        errors = layer_errors({k: v[row : row + 1] for k, v in values.items()}, alone)
        for layer, error in errors.items():
            if error.largest > MASK_TOLERANCE:
                raise CannotMask(f"layer {layer} of a padded batch is off by {error.largest:.1e}")

    def _use_equal_lengths(self, reason: str) -> None:
        log.warning("%s is read in batches of equal length: %s", self._architecture, reason)
        self.masks = False
