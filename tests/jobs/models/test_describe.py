"""What is told of a model before it is used: shapes with their time axis, widths, cost."""

import pytest
import torch
from torch import nn

from jobs.audio.features import Fbank
from jobs.models.describe import flops_per_second, tap_shapes
from jobs.models.errors import ModelError
from jobs.models.model import ProbedModel
from jobs.models.taps import Tap
from jobs.models.waveform import Waveform


class Convolution(nn.Module):
    """(B, T, 80) to (B, 6, T') and, in ``last``, to (B, T', 6)."""

    def __init__(self, kernel, stride, padding):
        super().__init__()
        self.conv = nn.Conv1d(80, 6, kernel, stride, padding)
        self.last = nn.Identity()

    def forward(self, x):
        return self.last(self.conv(x.transpose(1, 2)).transpose(1, 2))


class Attention(nn.Module):
    """(B, N) to (B, N/400, 400), by torch's own attention."""

    def forward(self, x):
        frames = x.unfold(1, 400, 400)[:, None]
        return nn.functional.scaled_dot_product_attention(frames, frames, frames)[:, 0]


class Failing(Convolution):
    """Looks at its input's values, which a tensor without data has not."""

    def forward(self, x):
        assert float(x.abs().sum()) > 0
        return super().forward(x)


def model_of(network, *taps, front_end=Fbank, step=160):
    return ProbedModel("x", {}, network.eval(), taps, front_end, step)


CONV = Tap("conv", "conv", "conv", "output")
LAST = Tap("last", "last", "last", "output", time_axis=1)


@pytest.mark.parametrize("network", [Convolution, Failing])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "time"),
    [(1, 1, 0, "T"), (3, 1, 1, "T"), (5, 1, 0, "T - 4"), (3, 2, 1, "T/2"), (9, 8, 0, "T/8")],
)
def test_the_time_axis_is_told_by_its_stride_or_what_it_loses(
    network, kernel, stride, padding, time
):
    conv, last = tap_shapes(model_of(network(kernel, stride, padding), CONV, LAST), "mean+std")
    assert (conv.shape, last.shape) == ((6, time), (time, 6))
    assert (conv.index, last.index) == (0, 1)
    assert conv.width == last.width == 12


def test_a_wrong_time_axis_shows_in_a_width_that_follows_the_length():
    wrong = Tap("last", "last", "last", "output", time_axis=2)
    with pytest.raises(ModelError, match="layer last: expected one width, found 64 values for 64"):
        tap_shapes(model_of(Convolution(1, 1, 0), wrong), "mean")


def test_what_a_convolution_costs_a_second_does_not_depend_on_its_data():
    # 998 frames in 9.98 s; two operations a multiply-add.
    expected = 2 * 80 * 6 * 3 * 100
    for network in (Convolution, Failing):
        flops = flops_per_second(model_of(network(3, 1, 1), CONV))
        assert flops == pytest.approx(expected)


def test_attention_is_counted_at_ten_seconds():
    model = model_of(Attention(), Tap("x", "x", "", "output", 1), front_end=Waveform, step=1)
    # 159,920 samples have 399 whole frames of 400; scores, and their product with the values.
    assert flops_per_second(model) == pytest.approx(2 * 2 * 399 * 399 * 400 / 9.98)


def test_describing_leaves_the_network_as_it_is():
    model = model_of(Convolution(3, 1, 1), CONV)
    before = model.module.conv.weight.clone()
    tap_shapes(model, "mean")
    flops_per_second(model)
    assert torch.equal(model.module.conv.weight, before)
    assert not model.module.conv._forward_hooks
