"""Arguments of WeSpeaker's networks: names, types, bounds, defaults, and what does not fit."""

import inspect

import pytest

from jobs.identity import canonical_json
from jobs.models import load_model
from jobs.models.errors import ModelError
from jobs.models.wespeaker.architectures import ARCHITECTURES
from jobs.models.wespeaker.arguments import ARGUMENTS, n_bins, network_args, network_builder
from jobs.models.wespeaker.settings import WespeakerSettings

BLOCKS = {"num_blocks": [1, 1, 1, 1], "m_channels": 4}
REQUIRED = {
    "ERes2Net": BLOCKS,
    "Res2Net": BLOCKS,
    "Gemini_DF_ResNet": {"depths": [1, 1, 1, 1], "dims": [4, 4, 4, 4, 4]},
}
"""What has no default, neither WeSpeaker's nor one here."""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_defaults_are_wespeakers_and_have_a_canonical_form(architecture):
    given = REQUIRED.get(architecture, {})
    args = network_args(architecture, given)
    parameters = inspect.signature(network_builder(architecture)).parameters
    assert args.items() >= given.items()
    for name, parameter in parameters.items():
        if name in ARGUMENTS and name not in given:
            default = {"feat_dim": 80, "embed_dim": 256}.get(name)
            has_own = parameter.default is not inspect.Parameter.empty
            assert args[name] == (parameter.default if has_own else default), name
    assert set(args) <= set(parameters)
    assert network_args(architecture, args) == args
    canonical_json(args)
    assert 8 <= n_bins(args) <= 256


def test_what_cannot_be_said_in_a_config_keeps_wespeakers_default():
    left_out = {
        name
        for architecture in ARCHITECTURES
        for name in inspect.signature(network_builder(architecture)).parameters
        if name not in ARGUMENTS
    }
    assert left_out == {"block", "block_fuse", "stages_setup"}


@pytest.mark.parametrize(
    ("architecture", "args", "message"),
    [
        ("ResNet34", {"embed_dims": 8}, r"model_args\.embed_dims: unknown.*nearest: embed_dim;"),
        ("ResNet34", {"m_channels": 8}, "arguments of ResNet34 are feat_dim, embed_dim, pooling"),
        ("ResNet34", {"embed_dim": 10**9}, r"model_args\.embed_dim: .*less than.*found 1000000000"),
        ("ResNet34", {"embed_dim": "256"}, r"model_args\.embed_dim: .*valid integer.*found '256'"),
        ("ResNet34", {"two_emb_layer": 1}, r"model_args\.two_emb_layer: .*valid boolean"),
        ("ResNet34", {"pooling_func": "TSTD"}, r"model_args\.pooling_func: .*'TSTP'.*found 'TSTD'"),
        ("XVEC", {"hid_dim": 0}, r"model_args\.hid_dim: .*greater than or equal to 1"),
        ("ERes2Net", {"num_blocks": [3, 4, 6, 3]}, r"model_args\.m_channels: .*found nothing"),
        ("Res2Net", BLOCKS | {"num_blocks": [3, 4]}, r"model_args\.num_blocks: .*at least 4 items"),
        ("Res2Net", BLOCKS | {"num_blocks": [1, 1, 1, 10**6]}, r"model_args\.num_blocks\.3: "),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused_with_its_place(architecture, args, message):
    with pytest.raises(ModelError, match=message):
        network_args(architecture, args)
    # Arguments of another architecture are refused when the network is built, and torch imported.
    with pytest.raises(ValueError, match=message):
        load_model(WespeakerSettings(name="x", architecture=architecture, model_args=args))


@pytest.mark.parametrize(
    ("architecture", "args", "reason"),
    [
        ("ReDimNetB1", {"feat_dim": 80}, "assert cur_f % stride == 0"),
        ("ReDimNetB2", {"feat_dim": 80}, "must be divisible by num_heads"),
        ("ResNet18", {"pooling_func": "XI"}, r"assert len\(inputs.shape\) == 3"),
        ("ResNet34", {"feat_dim": 60}, "RuntimeError"),
        ("ECAPA_TDNN", {"channels": 12}, "12 % 8 != 0"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused_with_wespeakers_reason(
    architecture, args, reason
):
    settings = WespeakerSettings(name="x", architecture=architecture, model_args=args)
    with pytest.raises(ModelError, match=f"{architecture} cannot be built with .*{reason}"):
        load_model(settings)
