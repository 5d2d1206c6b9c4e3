"""Runs many inputs through a network, in batches.

Whatever the batches are, each input's values are those of a pass of its own, to rounding. On a CPU
batches have equal lengths: padding would only add computation. On a GPU single short inputs leave
most of it idle, so lengths are mixed if padding can be masked exactly.

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
"""Frames in a batch on a CPU, which bounds memory (65 MB for a stem of 64 channels)."""
GPU_BATCH_FRAMES = 25_600
"""Initial number of frames in a batch on a GPU: 0.5 GB for such a stem."""
MASK_TOLERANCE = 1e-3
"""Maximum relative difference between a masked batch and a single input, in float32: rounding is
below 1e-4 in the deepest network here, and a missing mask changes values by percents."""


class InputTooLarge(RuntimeError):  # noqa: N818 (a finding about an input and a device)
    """A single input does not fit the device's memory."""

    def __init__(self, name: str, frames: int, device: torch.device) -> None:
        super().__init__(
            f"{name}: its {frames} frames do not fit the memory of {device}, alone in a batch; set "
            "features.max_frames, or extract this model on a device with more memory"
        )


@dataclass(frozen=True)
class Reading:
    """Layers of some inputs."""

    values: dict[str, Tensor]
    """(U, D) float32 of each layer, in depth order, on the device."""
    frames_computed: int
    """Frames of 10 ms, including padding."""
    frames_useful: int
    """Frames of 10 ms, without padding."""


def read_padded(
    reader: TapReader, padding: PaddingMode, batch: Tensor, lengths: Sequence[int]
) -> dict[str, Tensor]:
    """Read the layers of a batch, (B, D) each, every row as if it were alone.

    Args:
        reader: reader of the network.
        padding: how the network handles padding; may be ``none`` if nothing is padded.
        batch: (B, T, ...).
        lengths: lengths of the rows.

    Raises:
        CannotMask: the batch is padded, and this network cannot mask padding.
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
        model: the model, which is moved to the device.
        pooling: pooling of every layer.
        device: device to compute on.
        precision: precision of the arithmetic.
        batching: see `Batching`.

    Attributes:
        masks: whether batches may mix lengths.
        budget: maximum frames in a batch, halved whenever the device runs out of memory.
        errors: errors of the precision by layer, measured on the first batch; None in float32.

    Raises:
        ModelError: the device does not support the precision.
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
        """Read every layer of every input, each from one forward pass.

        Passes that are discarded, because memory ran out or for a check, are not counted.

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
        """Read the layers of a batch; None if new batches must be formed to read it."""
        try:
            return self._read_checked(inputs)
        except CannotMask as error:
            self._use_equal_lengths(str(error))
            return None
        except torch.OutOfMemoryError as error:
            longest = max(map(len, inputs))
            if len(inputs) == 1:
                raise InputTooLarge(first, self._frames(longest), self._device) from error
            # Half of this batch, not of the budget: the batch may have been much smaller.
            self.budget = max(1, self._frames(len(inputs) * longest) // 2)
        # Outside the handler, in which the error still refers to the tensors of the pass.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning("out of memory: batches of %d frames from here on", self.budget)
        return None

    def _read_checked(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Read the layers of a batch; in the first ones, check masking and measure precision."""
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
        """Compare the shortest input of a padded batch with a pass of its own.

        The rules cover torch's operations, but cannot see what a network computes without torch.

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
