"""Many inputs through a network: the same values in any batches, and what is done about trouble."""

import copy
import logging

import pytest
import torch
from torch import nn

from jobs.audio.frames import FRAME_SHIFT
from jobs.extraction.forward import Forward, InputTooLarge
from jobs.models import load_model
from jobs.models.errors import ModelError
from jobs.models.model import ProbedModel
from jobs.models.pooling import POOLINGS
from jobs.models.tap_reader import TapReader
from jobs.models.taps import Tap
from jobs.models.wespeaker.settings import WespeakerSettings

CPU = torch.device("cpu")
LENGTHS = (40, 57, 40, 59, 60, 200)


def simam():
    args = {"in_planes": 4, "embed_dim": 8}
    settings = WespeakerSettings(name="x", architecture="SimAM_ResNet34_ASP", model_args=args)
    return load_model(settings)


def inputs(lengths=LENGTHS):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, 80, generator=generator) for n in lengths]


def names(given):
    return [f"u{row}" for row in range(len(given))]


def one_at_a_time(model, given, pooling="mean"):
    reader = TapReader(copy.deepcopy(model.module), model.taps, POOLINGS[pooling])
    readings = [reader.read(one[None]) for one in given]
    return {tap.name: torch.cat([one[tap.name] for one in readings]) for tap in model.taps}


def assert_same(values, expected, rtol=1e-5):
    assert list(values) == list(expected)
    for layer, exact in expected.items():
        scale = exact.abs().max().item()
        torch.testing.assert_close(values[layer], exact, rtol=0, atol=rtol * scale)


@pytest.fixture
def seen(monkeypatch):
    """The shapes of all batches."""
    read, shapes = TapReader.read, []

    def watched(self, batch, lengths=None):
        shapes.append(tuple(map(int.__index__, batch.shape[:2])))
        return read(self, batch, lengths)

    monkeypatch.setattr(TapReader, "read", watched)
    return shapes


def passes(module):
    """A model of one layer, the module's output, time last but one."""
    tap = Tap("only", "only", "", "output", time_axis=1)
    front_end = simam().front_end
    return ProbedModel("made for this", {}, module, (tap,), front_end, padding="rules")


@pytest.mark.parametrize("batching", ["equal", "masked"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_values_are_those_of_each_input_alone(batching, pooling):
    model, given = simam(), inputs()
    reading = Forward(simam(), pooling, CPU, batching=batching).read(given, names(given))
    assert_same(reading.values, one_at_a_time(model, given, pooling))
    assert reading.frames_useful == sum(LENGTHS)


def test_a_cpu_runs_equal_lengths_together_unless_told_otherwise(seen):
    reading = Forward(simam(), "mean", CPU).read(inputs(), names(LENGTHS))
    assert sorted(seen) == [(1, 57), (1, 59), (1, 60), (1, 200), (2, 40)]
    assert reading.frames_computed == reading.frames_useful == sum(LENGTHS)


def test_masked_batches_are_of_similar_lengths_and_padding_is_counted(seen):
    forward = Forward(simam(), "mean", CPU, batching="masked")
    reading = forward.read(inputs(), names(LENGTHS))
    # The pass of one that is alone is the check of the first padded batch.
    assert seen == [(1, 200), (3, 60), (1, 57), (2, 40)]
    assert reading.frames_computed == 200 + 3 * 60 + 2 * 40
    assert reading.frames_computed <= 1.05 * reading.frames_useful
    seen.clear()
    forward.read(inputs(), names(LENGTHS))
    assert seen == [(1, 200), (3, 60), (2, 40)]


def out_of_memory_above(monkeypatch, most):
    """Every pass over more frames fails as CUDA's do."""
    read, tried = TapReader.read, []

    def limited(self, batch, lengths=None):
        tried.append(batch.shape[0] * int.__index__(batch.shape[1]))
        if tried[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return read(self, batch, lengths)

    monkeypatch.setattr(TapReader, "read", limited)
    return tried


@pytest.mark.parametrize("batching", ["equal", "masked"])
def test_a_device_out_of_memory_gets_half_the_batch_and_that_is_remembered(
    monkeypatch, caplog, batching
):
    given = inputs([50] * 20)
    expected = one_at_a_time(simam(), given)
    forward = Forward(simam(), "mean", CPU, batching=batching)
    tried = out_of_memory_above(monkeypatch, 300)
    reading = forward.read(given, names(given))
    assert tried == [1000, 500, 250, 250, 250, 250]
    assert forward.budget == 250
    assert reading.frames_computed == 1000
    assert_same(reading.values, expected)
    assert "batches of 250 frames from here on" in caplog.text
    tried.clear()
    forward.read(given, names(given))
    assert tried == [250] * 4


def test_an_input_that_does_not_fit_alone_is_named_with_what_to_do(monkeypatch):
    tried = out_of_memory_above(monkeypatch, 100)
    forward = Forward(simam(), "mean", CPU, batching="masked")
    with pytest.raises(
        InputTooLarge, match=r"u5: its 200 frames do not fit .* set features\.max_frames"
    ):
        forward.read(inputs(), names(LENGTHS))
    assert tried == [200]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(80, 3, batch_first=True)

    def forward(self, x):
        return self.gru(x)[0]


class Unseen(nn.Module):
    """Does its work beside torch, where no rule sees it."""

    def forward(self, x):
        return torch.from_numpy(_numpy(x.detach()).cumsum(1)[:, ::-1].copy())


def _numpy(x):
    with torch._C.DisableTorchFunction():
        return x.numpy()


@pytest.mark.parametrize(
    ("network", "reason"),
    [(Recurrent, "no rule for gru"), (Unseen, "layer only of a padded batch")],
)
def test_a_network_that_cannot_be_masked_is_read_in_equal_lengths(caplog, network, reason):
    torch.manual_seed(0)
    model = passes(network().eval())
    untouched = copy.deepcopy(model)
    forward = Forward(model, "mean", CPU, batching="masked")
    given = inputs()
    expected = one_at_a_time(untouched, given)
    reading = forward.read(given, names(given))
    assert not forward.masks
    assert reason in caplog.text
    assert "made for this is read in batches of equal length" in caplog.text
    assert reading.frames_computed == reading.frames_useful
    assert_same(reading.values, expected)


def test_networks_that_take_lengths_are_given_them():
    class Masks(nn.Module):
        def forward(self, x, lengths=None):
            if lengths is None:
                return x.cumsum(1)
            assert lengths.tolist() == [60, 59, 57]
            return x.cumsum(1)

    tap = Tap("only", "only", "", "output", time_axis=1, frames=lambda n: n)
    model = ProbedModel("x", {}, Masks(), (tap,), simam().front_end, padding="lengths")
    given = inputs((57, 59, 60))
    expected = one_at_a_time(model, given)
    reading = Forward(model, "mean", CPU, batching="masked").read(given, names(given))
    assert reading.frames_computed == 180
    assert_same(reading.values, expected)


def test_samples_are_counted_as_frames_of_10_ms():
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(dim=1, keepdim=True)

    tap = Tap("only", "only", "", "output")
    model = ProbedModel("x", {}, Mean(), (tap,), simam().front_end, step=1)
    given = [torch.ones(50 * FRAME_SHIFT), torch.zeros(20 * FRAME_SHIFT + 1)]
    forward = Forward(model, "mean", CPU)
    forward.budget = 40
    reading = forward.read(given, names(given))
    assert (reading.frames_computed, reading.frames_useful) == (70, 70)
    assert reading.values["only"].tolist() == [[1.0], [0.0]]


def test_no_input_is_no_layer():
    assert Forward(simam(), "mean", CPU).read([], []).values == {}


@pytest.mark.parametrize("batching", ["equal", "masked"])
def test_bf16_is_measured_on_the_first_batch_and_stored_as_float32(seen, batching):
    given = inputs((57, 59, 60, 60))
    exact = one_at_a_time(simam(), given)
    seen.clear()
    forward = Forward(simam(), "mean", CPU, "bf16", batching)
    values = forward.read(given, names(given)).values
    assert {value.dtype for value in values.values()} == {torch.float32}
    assert list(forward.errors) == list(exact)
    first = [0, 1, 2, 3] if batching == "masked" else [0]
    for layer, error in forward.errors.items():
        relative = (values[layer] - exact[layer])[first].norm(dim=1) / exact[layer][first].norm(
            dim=1
        )
        assert error.largest == pytest.approx(relative.max().item(), rel=0.02)
        assert 1e-4 < error.largest < 0.3
        assert error.median <= error.largest
    n_first = len(seen)
    forward.read(given, names(given))
    assert len(seen) - n_first == (1 if batching == "masked" else 3)


def test_float32_is_not_measured():
    forward = Forward(simam(), "mean", CPU)
    forward.read(inputs(), names(LENGTHS))
    assert forward.errors is None


def test_tf32_is_refused_where_there_is_none():
    with pytest.raises(ModelError, match="exists on NVIDIA GPUs alone"):
        Forward(simam(), "mean", CPU, "tf32")


def test_convolutions_on_a_gpu_are_not_allowed_less_than_float32(monkeypatch):
    allowed = []
    read = TapReader.read

    def watched(self, batch, lengths=None):
        allowed.append(torch.backends.cudnn.allow_tf32)
        return read(self, batch, lengths)

    monkeypatch.setattr(TapReader, "read", watched)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    Forward(simam(), "mean", CPU).read(inputs((40,)), ["only"])
    assert allowed == [False]
    assert torch.backends.cudnn.allow_tf32


needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA GPU here: what is said of one is not tested"
)


@needs_gpu
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_gpu_gives_the_values_of_a_cpu(precision, caplog):
    caplog.set_level(logging.WARNING)
    given = inputs()
    forward = Forward(simam(), "mean", torch.device("cuda"), precision)
    values = {
        layer: value.cpu() for layer, value in forward.read(given, names(given)).values.items()
    }
    assert forward.masks
    assert caplog.text == ""
    tolerance = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 0.3}[precision]
    assert_same(values, one_at_a_time(simam(), given), rtol=tolerance)
