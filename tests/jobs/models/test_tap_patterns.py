"""Paths with stars to taps."""

import pytest
from torch import nn

from jobs.models.tap_patterns import TapPattern, TapPoint, at, taps_at
from jobs.models.taps import Tap


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()), nn.ReLU())
        self.layer1_extra = nn.Sequential(nn.Linear(1, 1))
        self.layer2 = nn.Sequential(nn.ReLU())
        self.head = nn.Linear(1, 1)
        self.left_out = nn.Identity()


def test_a_star_is_one_part_of_a_path_and_can_be_named():
    pattern = TapPattern("layer*.*", (TapPoint("{0}/{1}", point="input"), TapPoint("{0}/{1}/out")))
    taps = taps_at(Network(), [pattern, at("head", "last")])
    assert [(tap.name, tap.module, tap.point) for tap in taps] == [
        ("1/0", "layer1.0", "input"),
        ("1/0/out", "layer1.0", "output"),
        ("1/1", "layer1.1", "input"),
        ("1/1/out", "layer1.1", "output"),
        ("1_extra/0", "layer1_extra.0", "input"),
        ("1_extra/0/out", "layer1_extra.0", "output"),
        ("2/0", "layer2.0", "input"),
        ("2/0/out", "layer2.0", "output"),
        ("embedding", "head", "output"),
    ]


def test_points_lie_below_and_study_names_are_counted():
    places = [
        TapPattern(
            "layer1.0", (TapPoint("conv", "0", study="layer # conv"), TapPoint("relu", "1"))
        ),
        TapPattern("layer1.0", (TapPoint("again", "0", "input", study="layer #"),)),
        TapPattern("layer2.*", (TapPoint("one", study="layer #"),)),
        at("head", "head"),
    ]
    assert taps_at(Network(), places) == (
        Tap("conv", "layer # conv", "layer1.0.0", "output", level="inside a block"),
        Tap("relu", "relu", "layer1.0.1", "output", level="block output"),
        Tap("again", "layer 1", "layer1.0.0", "input", level="block output"),
        Tap("one", "layer 2", "layer2.0", "output", level="block output"),
        Tap("embedding", "embedding", "head", "output", level="embedding"),
    )


def test_classes_choose_and_identities_are_left_out():
    places = [
        TapPattern("layer1.*", (TapPoint("{0}"),), ("ReLU",)),
        at("head", "head"),
        at("left_out", "x"),
    ]
    taps = taps_at(Network(), places)
    assert [(tap.name, tap.module) for tap in taps] == [("1", "layer1.1"), ("embedding", "head")]


def test_a_place_that_is_not_there_is_a_mistake_in_the_table():
    with pytest.raises(AssertionError, match=r"Network has no module layer9\.\*"):
        taps_at(Network(), [at("layer9.*", "x")])


def test_the_last_point_of_a_block_is_its_output_and_single_taps_lie_around_the_blocks():
    places = [
        at("layer1", "stem", "input"),
        TapPattern("layer1.*", (TapPoint("{0}.in", point="input"), TapPoint("{0}"))),
        at("layer1", "between"),
        TapPattern("layer2.*", (TapPoint("side", level="inside a block"),)),
        at("layer2", "whole", level="block output"),
        at("head", "head"),
    ]
    assert [tap.level for tap in taps_at(Network(), places)] == [
        "input",
        *["inside a block", "block output"] * 2,
        "between blocks",
        "inside a block",
        "block output",
        "embedding",
    ]
