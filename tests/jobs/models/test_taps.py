"""Reading any network at named places: values at their own point, one pass, and which layers."""

import numpy as np
import pytest
import torch
from torch import nn

from jobs.models.pooling import POOLINGS
from jobs.models.tap_reader import TapReader
from jobs.models.taps import Tap, select_taps


class Changing(nn.Module):
    """Each value is changed in place by what follows it."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Identity()
        self.passes = 0

    def doubled(self, x, factor=2.0):
        return x * factor

    def forward(self, x):
        self.passes += 1
        x = self.inner(x + 1)
        x = self.doubled(x.mul_(10), factor=3.0)
        x += 1000
        return x


TAPS = (
    Tap("before", "b", module="inner", point="output"),
    Tap("doubled", "d", module="", point="doubled"),
    Tap("after", "a", module="", point="output"),
)


def copied_mean(value):
    return value.mean(dim=-1)


def test_a_tap_holds_the_value_at_its_own_point():
    reader = TapReader(Changing(), TAPS, copied_mean)
    values = reader.read(torch.tensor([[1.0, 3.0]]))
    assert {name: value.item() for name, value in values.items()} == {
        "before": 3.0,
        "doubled": 90.0,
        "after": 1090.0,
    }


def test_values_come_in_the_order_of_the_taps():
    reader = TapReader(Changing(), TAPS[::-1], copied_mean)
    assert list(reader.read(torch.ones(1, 2))) == ["after", "doubled", "before"]


def test_an_input_tap_reads_what_a_module_is_given():
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 2))
    taps = (Tap("in", "in", "0", "input"), Tap("middle", "middle", "1", "input"))
    values = TapReader(network, taps, lambda value: value.clone()).read(torch.tensor([[-1.0, 2.0]]))
    assert values["in"].tolist() == [[-1.0, 2.0]]
    assert values["middle"].tolist() == [[0.0, 2.0]]


def test_every_read_is_one_pass_and_stands_alone():
    network = Changing()
    reader = TapReader(network, TAPS, copied_mean)
    first = reader.read(torch.zeros(1, 2))
    second = reader.read(torch.ones(3, 2))
    assert network.passes == 2
    assert first["before"].tolist() == [1.0]
    assert second["before"].tolist() == [2.0] * 3


def test_reading_one_network_leaves_others_of_its_class_alone():
    TapReader(Changing(), TAPS, copied_mean)
    other = Changing()
    assert other.doubled.__func__ is Changing.doubled
    assert not other.inner._forward_hooks


def test_no_gradient_is_kept():
    values = TapReader(nn.Linear(2, 3), TAPS[2:], lambda value: value).read(torch.ones(1, 2))
    assert not values["after"].requires_grad


def test_a_point_that_is_reached_twice_is_refused():
    relu = nn.ReLU()
    network = nn.Sequential(relu, relu)
    reader = TapReader(network, (Tap("relu", "r", "0", "output"),), copied_mean)
    with pytest.raises(RuntimeError, match="tap 'relu' twice"):
        reader.read(torch.ones(1, 2))


def test_a_point_that_is_not_reached_is_refused():
    network = Changing()
    network.unused = nn.Identity()
    taps = (*TAPS, Tap("unused", "u", "unused", "output"))
    with pytest.raises(RuntimeError, match="did not reach 1 of 4 taps: unused"):
        TapReader(network, taps, copied_mean).read(torch.ones(1, 2))


def test_a_read_after_a_failed_one_is_not_disturbed_by_it():
    reader = TapReader(nn.Sequential(nn.Identity(), nn.Linear(2, 2)), (TAPS[2],), copied_mean)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        reader.read(torch.ones(1, 5))
    assert list(reader.read(torch.ones(1, 2))) == ["after"]


@pytest.mark.parametrize("tap", [Tap("x", "x", "nowhere", "output"), Tap("x", "x", "inner", "no")])
def test_a_place_that_does_not_exist_is_refused_at_once(tap):
    with pytest.raises(AttributeError, match=r"nowhere|no"):
        TapReader(Changing(), (tap,), copied_mean)


# Pooling, against numpy in float64; tolerance: float32 rounding.

BCFT = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)) * 4 + 10


def close(found, expected):
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-6)


def test_mean_pooling_keeps_channels_and_bins():
    close(POOLINGS["mean"](BCFT), BCFT.double().numpy().mean(axis=3).reshape(2, 15))


def test_mean_and_std_pooling_puts_all_means_before_all_population_sds():
    values = BCFT.double().numpy()
    found = POOLINGS["mean+std"](BCFT)
    close(found[:, :15], values.mean(axis=3).reshape(2, 15))
    close(found[:, 15:], values.std(axis=3, ddof=0).reshape(2, 15))


def test_channel_pooling_averages_over_time_and_bins():
    close(POOLINGS["channels"](BCFT), BCFT.double().numpy().mean(axis=(2, 3)))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_vector_is_kept_as_it_is(pooling):
    vectors = torch.randn(2, 9)
    assert torch.equal(POOLINGS[pooling](vectors), vectors)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_leaves_the_value_as_it_was(pooling):
    value = BCFT.clone()
    POOLINGS[pooling](value)
    assert torch.equal(value, BCFT)


def test_the_sd_of_one_frame_is_zero():
    found = POOLINGS["mean+std"](BCFT[..., :1])
    assert torch.equal(found[:, 15:], torch.zeros(2, 15))


# Time axes, padding, tuples.


class Given(nn.Module):
    """Returns what it is told to; knows the lengths that it was given."""

    def __init__(self, value):
        super().__init__()
        self.value = value
        self.lengths = None

    def forward(self, batch, lengths=None):
        self.lengths = lengths
        return self.value


def read_output(value, pooling, lengths=None, n_input=7, **places):
    network = Given(value)
    reader = TapReader(network, [Tap("x", "x", "", "output", **places)], POOLINGS[pooling])
    return reader.read(torch.zeros(2, n_input), lengths)["x"], network


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_the_time_axis_may_be_any(pooling, axis):
    BCT = BCFT[:, :, 0]
    expected = POOLINGS[pooling](BCT)
    found, _ = read_output(BCT.movedim(-1, axis), pooling, time_axis=axis)
    # float32 rounding: another order of summation.
    torch.testing.assert_close(found, expected, rtol=2e-6, atol=2e-6)


def test_channel_pooling_without_bins_is_mean_pooling():
    BCT = BCFT[:, :, 0]
    assert torch.equal(POOLINGS["channels"](BCT), POOLINGS["mean"](BCT))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_value_without_time_is_flattened(pooling):
    found, _ = read_output(BCFT, pooling, time_axis=None)
    assert torch.equal(found, BCFT.flatten(1))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_of_a_padded_batch_each_row_is_pooled_over_its_own_frames(pooling):
    found, network = read_output(
        BCFT, pooling, lengths=[14, 6], frames=lambda n: n // 2, n_input=14
    )
    assert network.lengths.tolist() == [14, 6]
    assert torch.equal(found[:1], POOLINGS[pooling](BCFT[:1]))
    assert torch.equal(found[1:], POOLINGS[pooling](BCFT[1:, ..., :3]))


def test_what_a_network_pads_by_itself_is_left_out_of_every_batch():
    found, network = read_output(BCFT, "mean", frames=lambda n: n // 2, n_input=8)
    assert network.lengths is None
    assert torch.equal(found, POOLINGS["mean"](BCFT[..., :4]))


def test_a_padded_batch_is_refused_where_the_frames_are_not_known():
    with pytest.raises(RuntimeError, match="'x' cannot tell its own frames from padding"):
        read_output(BCFT, "mean", lengths=[7, 3])
    vectors = BCFT[:, :, 0, 0]
    assert torch.equal(read_output(vectors, "mean", lengths=[7, 3])[0], vectors)


@pytest.mark.parametrize("made", [tuple, list])
def test_of_a_tuple_the_first_item_is_read(made):
    found, _ = read_output(made([BCFT, None]), "mean")
    assert torch.equal(found, POOLINGS["mean"](BCFT))


@pytest.mark.parametrize("value", [{"x": BCFT}, (), (None, BCFT), None])
def test_what_is_no_tensor_is_refused(value):
    with pytest.raises(TypeError, match="layer 'x': expected a tensor"):
        read_output(value, "mean")


# Selection.

NAMES = ["stem", "layer1.0.relu1", "layer1.0.simam", "layer1.0.relu2", "layer2.0.relu1", "pooling"]
STUDY = ["first relu", "layer1 relu 1", "layer1 SimAM 1", "layer1 relu 2", "layer2 relu 1", "pool"]
SELECTABLE = [Tap(*names, "", "output") for names in zip(NAMES, STUDY, strict=True)]


@pytest.mark.parametrize(
    ("patterns", "positions"),
    [
        ("all", [0, 1, 2, 3, 4, 5]),
        ([], []),
        (["layer1.*"], [1, 2, 3]),
        (["pooling", "stem"], [0, 5]),
        ([0, -1], [0, 5]),
        ([-6, 5], [0, 5]),
        (["*.simam", 2, "layer1.0.simam"], [2]),
        (["layer?.0.relu1"], [1, 4]),
        (["layer1 SimAM 1"], [2]),
        (["layer* relu 1"], [1, 4]),
        (["all"], None),
        # A glob that fits stable names is not tried on the study's ("layer1 relu 1" ends in 1 too).
        (["*1"], [1, 4]),
    ],
)
def test_patterns_choose_in_depth_order_each_once(patterns, positions):
    if positions is None:
        with pytest.raises(ValueError, match="'all' matches none"):
            select_taps(patterns, SELECTABLE)
        return
    assert select_taps(patterns, SELECTABLE) == [NAMES[position] for position in positions]


def test_blocks_are_the_main_path_and_all_layers_where_no_block_is_known():
    levels = ["input", "inside a block", "block output", "between blocks", "embedding"]
    taps = [Tap(level, level, "", "output", level=level) for level in levels]
    assert select_taps("blocks", taps) == ["input", "block output", "embedding"]
    assert select_taps("blocks", SELECTABLE) == NAMES


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("layer1.0.simm", "'layer1.0.simm' matches none of 6 layers; nearest: layer1.0.simam"),
        ("LAYER1.*", "'LAYER1.*' matches none"),
        ("???????????????????", "the layers are stem to pooling"),
        (6, "layer 6 does not exist: expected a position from -6 to 5"),
        (-7, "layer -7 does not exist"),
    ],
)
def test_a_pattern_that_matches_nothing_is_refused(pattern, message):
    with pytest.raises(ValueError) as caught:
        select_taps(["stem", pattern], SELECTABLE)
    assert message in str(caught.value)
