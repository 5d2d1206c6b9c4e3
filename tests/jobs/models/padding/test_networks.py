"""Padded batches of whole networks: exact with all masks, visibly wrong without any one of them."""

import pytest
import torch
from torch import nn

from jobs.extraction.padding_check import LIMIT, check_mask
from jobs.models import load_model
from jobs.models.model import ProbedModel
from jobs.models.padding import (
    CannotMask,
    attention,
    convolution,
    masked_batch,
    pad,
    rules,
    statistics,
)
from jobs.models.pooling import POOLINGS
from jobs.models.taps import Tap
from jobs.models.wespeaker.package import import_network_module
from jobs.models.wespeaker.settings import WespeakerSettings
from tests.jobs.models.wespeaker.test_architectures import CASES

FRAMES = (41, 66, 97)
SLOW_OR_ALIKE = {
    "resnet-basic", "resnet-two", "eres2net-aug", "repvgg", "repvgg-se", "redimnet-fwse",
}  # fmt: skip


def network(case):
    """One whose normalisations shift: zeros do not stay zeros."""
    architecture, args = CASES[case]
    settings = WespeakerSettings(name=case, architecture=architecture, model_args=args)
    model = load_model(settings)
    generator = torch.Generator().manual_seed(1)
    for module in model.module.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            if module.affine:
                module.bias.normal_(0, 0.2, generator=generator)
    return model


def worst(model, pooling="mean"):
    return max(check_mask(model, pooling, frames=FRAMES), key=lambda check: check.ratio)


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=[pytest.mark.slow] * (c in SLOW_OR_ALIKE)) for c in CASES]
)
def test_a_masked_batch_is_as_exact_as_the_network_alone(case):
    check = worst(network(case))
    assert check.ratio <= LIMIT, check
    assert 0 < check.rounding < 1e-4


@pytest.mark.parametrize("pooling", POOLINGS)
def test_layers_are_pooled_over_their_own_frames(pooling):
    check = worst(network("simam"), pooling)
    assert check.ratio <= LIMIT, check


def zeros_left_out(value, axis):
    return value


def plain_shape(func, args, kwargs):
    return func(*args, **kwargs)


MASKS = {
    "convolution": (convolution, "zero_invalid", zeros_left_out),
    "statistics": (statistics, "zero_invalid", zeros_left_out),
    "number of values": (rules.RULES, "shape", plain_shape),
    "softmax": (attention, "fill_invalid", lambda value, axis, with_what: value),
}


@pytest.mark.parametrize("mask", MASKS)
def test_without_any_one_mask_the_error_is_seen(mask, monkeypatch):
    """SimAM's n is its number of values less 1, the smallest of the four."""
    place, name, without = MASKS[mask]
    model = network("simam")
    exact = worst(network("simam"))
    if isinstance(place, dict):
        monkeypatch.setitem(place, name, without)
    else:
        monkeypatch.setattr(place, name, without)
    check = worst(model)
    assert check.ratio > 1000 * exact.ratio
    assert check.ratio > 1000 * LIMIT


@pytest.mark.parametrize(
    ("mask", "case"),
    [
        ("convolution", "ecapa-glob"),
        ("convolution", "redimnet-resnet"),
        ("convolution", "campplus"),
        ("statistics", "campplus"),
        ("statistics", "xi-xvector"),  # without padding its convolutions need no mask
    ],
)
def test_other_networks_need_them_as_well(mask, case, monkeypatch):
    place, name, without = MASKS[mask]
    monkeypatch.setattr(place, name, without)
    assert worst(network(case)).ratio > 1000 * LIMIT


def test_wespeakers_own_simam_is_masked_as_ours_is():
    plain = import_network_module("samresnet").SimAM_ResNet34_ASP(in_planes=4, embed_dim=8).eval()
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(n, 80, generator=generator) for n in (30, 45)]
    with torch.inference_mode():
        alone = torch.cat([plain(one[None]) for one in inputs])
        batch, lengths = pad(inputs)
        with masked_batch(batch, lengths):
            together = plain(batch)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


def test_a_network_with_a_part_that_has_no_rule_is_refused():
    recurrent = nn.GRU(80, 4, batch_first=True).eval()
    tap = Tap("rnn", "rnn", "", "output", time_axis=1)
    model = network("xvector")
    model = ProbedModel("rnn", {}, recurrent, (tap,), model.front_end, padding="rules")
    with pytest.raises(CannotMask, match="no rule for gru"):
        check_mask(model, "mean", frames=FRAMES)
