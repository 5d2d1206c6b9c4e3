"""Every family of WeSpeaker's networks: read as WeSpeaker runs it, in time and in order."""

import inspect
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MethodType

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from jobs.audio.features import Fbank
from jobs.audio.frames import FRAME_LENGTH, FRAME_SHIFT
from jobs.audio.read import AudioError
from jobs.audio.settings import FeatureSettings
from jobs.models import describe_model, load_model
from jobs.models.errors import ModelError
from jobs.models.model import ProbedModel
from jobs.models.pooling import POOLINGS
from jobs.models.tap_patterns import taps_at
from jobs.models.tap_reader import TapReader
from jobs.models.wespeaker.architectures import ARCHITECTURES, GROUPS, OTHER_FRONT_ENDS, find_group
from jobs.models.wespeaker.package import import_network_module
from jobs.models.wespeaker.settings import WespeakerSettings
from sweep.commands.print_layers import print_layers

SMALL_BLOCKS = {"m_channels": 8, "num_blocks": [2, 1, 2, 1], "feat_dim": 80, "embed_dim": 24}
CASES = {
    "simam": ("SimAM_ResNet34_ASP", {"in_planes": 4, "embed_dim": 24}),
    "resnet-basic": ("ResNet18", {"feat_dim": 80, "embed_dim": 24}),
    "resnet-two": ("ResNet18", {"feat_dim": 80, "embed_dim": 24, "two_emb_layer": True}),
    "resnet-mqmha": ("ResNet18", {"feat_dim": 80, "embed_dim": 24, "pooling_func": "MQMHASTP"}),
    "resnet-bottleneck": ("ResNet50", {"feat_dim": 40, "embed_dim": 24, "pooling_func": "TAP"}),
    "ecapa": ("ECAPA_TDNN", {"channels": 16, "embed_dim": 24}),
    "ecapa-glob": ("ECAPA_TDNN_GLOB_c512", {"feat_dim": 80, "embed_dim": 24, "emb_bn": True}),
    "campplus": ("CAMPPlus", {"growth_rate": 4, "init_channels": 8, "embed_dim": 24}),
    "campplus-astp": ("CAMPPlus", {"growth_rate": 4, "pooling_func": "ASTP"}),
    "eres2net": ("ERes2Net", SMALL_BLOCKS),
    "eres2net-aug": ("ERes2Net", SMALL_BLOCKS | {"expansion": 4, "baseWidth": 24, "scale": 3}),
    "res2net": ("Res2Net", SMALL_BLOCKS | {"two_emb_layer": True}),
    "repvgg": ("REPVGG_TINY_A0", {"feat_dim": 80, "embed_dim": 24}),
    "repvgg-se": ("REPVGG_TINY_RSBB_A0", {"feat_dim": 80, "embed_dim": 24, "use_se": True}),
    "gemini": (
        "Gemini_DF_ResNet",
        {"depths": [1, 2, 1, 1], "dims": [4, 4, 8, 8, 16], "feat_dim": 80, "two_emb_layer": True},
    ),
    "xvector": ("XVEC", {"feat_dim": 80, "hid_dim": 16, "stats_dim": 24, "embed_dim": 24}),
    "xi-xvector": ("XI_VEC_XVEC", {"feat_dim": 80, "embed_dim": 24}),
    "xi-ecapa": ("XI_VEC_ECAPA_TDNN_c512", {"feat_dim": 80, "embed_dim": 24}),
    "redimnet-resnet": ("ReDimNetB0", {"embed_dim": 24}),
    "redimnet-convnext": ("ReDimNetB1", {"two_emb_layer": True}),
    "redimnet-fwse": ("ReDimNetB3", {"feat_dim": 80}),
}
"""Name → architecture, and arguments that make it small where it can be made so."""


N_FRAMES = 48


def plain_network(case):
    """WeSpeaker's own, its normalisations doing something, as after training."""
    architecture, args = CASES[case]
    torch.manual_seed(1)
    module = import_network_module(ARCHITECTURES[architecture].source)
    network = getattr(module, architecture)(**args)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.2)
    for name, parameter in network.named_parameters():
        if "inputs_weights" in name:  # of ReDimNet: all zero before training
            nn.init.normal_(parameter)
    return network.eval()


def full_size(architecture, embed_dim):
    """WeSpeaker's own, without storage for its weights."""
    module = import_network_module(ARCHITECTURES[architecture].source)
    bins = 72 if architecture.startswith("ReDimNet") else 80
    with torch.device("meta"):
        return getattr(module, architecture)(feat_dim=bins, embed_dim=embed_dim)


def write_folder(folder, network, case, **config):
    """A checkpoint in WeSpeaker's format, classifier included."""
    architecture, args = CASES[case]
    folder.mkdir()
    content = {"model": architecture, "model_args": args} | config
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    state = {"projection.weight": torch.zeros(9, 24), **network.state_dict()}
    torch.save(state, folder / "avg_model.pt")
    return WespeakerSettings(name="x", checkpoint=folder)


def plain_embedding(network, batch):
    """As WeSpeaker's ``Speaker.extract_embedding`` takes it."""
    with torch.no_grad():
        outputs = network(batch)
    return outputs[-1] if isinstance(outputs, tuple) else outputs


def mel_bins(model):
    return model.front_end(FeatureSettings())(np.arange(16000, dtype=np.float32)).shape[1]


def features(model, n_utterances=2, n_frames=61):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(n_utterances, n_frames, mel_bins(model), generator=generator)


def cloned_values(model, batch) -> dict[str, Tensor]:
    """Copies of all taps' values, by hooks of its own, in the order in which the pass got there."""
    values: dict[str, Tensor] = {}

    def keep(name, value):
        assert name not in values
        values[name] = value.clone()

    for tap in model.taps:
        module = model.module.get_submodule(tap.module)
        if tap.point == "input":
            module.register_forward_pre_hook(lambda _, args, n=tap.name: keep(n, args[0]))
        elif tap.point == "output":
            module.register_forward_hook(lambda _, __, output, n=tap.name: keep(n, output))
        else:
            method = getattr(module, tap.point)

            def call(_, x, n=tap.name, method=method):
                value = method(x)
                keep(n, value)
                return value

            module.__dict__[tap.point] = MethodType(call, module)
    with torch.inference_mode():
        model.module(batch)
    return values


@dataclass
class Loaded:
    """One case: WeSpeaker's network, and the same from a folder, read in two ways."""

    architecture: str
    network: nn.Module
    settings: WespeakerSettings
    model: ProbedModel
    batch: Tensor
    pooled: dict[str, Tensor]
    raw: dict[str, Tensor]


@pytest.fixture(scope="module", params=CASES)
def loaded(request, tmp_path_factory):
    network = plain_network(request.param)
    folder = tmp_path_factory.mktemp("models") / request.param
    settings = write_folder(folder, network, request.param)
    model = load_model(settings)
    batch = features(model, n_frames=N_FRAMES)
    return Loaded(
        architecture=CASES[request.param][0],
        network=network,
        settings=settings,
        model=model,
        batch=batch,
        raw=cloned_values(load_model(settings), batch),
        pooled=TapReader(model.module, model.taps, POOLINGS["mean+std"]).read(batch),
    )


def test_the_embedding_is_bit_for_bit_wespeakers(loaded):
    assert list(loaded.pooled)[-1] == "embedding"
    expected = plain_embedding(loaded.network, loaded.batch)
    assert torch.equal(loaded.pooled["embedding"], expected)
    assert torch.equal(loaded.raw["embedding"], expected)


def test_taps_come_in_depth_order_and_each_is_pooled_before_it_changes(loaded):
    assert list(loaded.raw) == list(loaded.pooled) == [tap.name for tap in loaded.model.taps]
    for name, value in loaded.raw.items():
        assert torch.equal(loaded.pooled[name], POOLINGS["mean+std"](value)), name
        if re.search(r"\.relu\d?$", name):
            assert value.min() >= 0, name


def test_every_value_is_finite_alive_and_of_the_described_shape(loaded):
    described = describe_model(loaded.settings, "mean").taps
    assert [tap.name for tap in described] == list(loaded.raw)
    for tap in described:
        value = loaded.raw[tap.name]
        assert value.isfinite().all(), tap.name
        assert value.std() > 0, tap.name
        assert tap.width == POOLINGS["mean"](value).shape[1], tap.name
        *sizes, time = tap.shape if len(tap.shape) > 1 else (*tap.shape, None)
        assert tuple(value.shape[1:][: len(sizes)]) == tuple(sizes), tap.name
        if time is not None:
            stride, lost = re.fullmatch(r"T(?:/(\d+))?(?: - (\d+))?", time).groups()
            assert value.shape[-1] == N_FRAMES // int(stride or 1) - int(lost or 0), tap.name


def test_the_fewest_frames_are_told_and_are_enough(loaded):
    fewest = find_group(loaded.architecture).min_frames
    front_end = loaded.model.front_end(FeatureSettings())
    rng = np.random.default_rng(0)
    wave = (1000 * rng.standard_normal(FRAME_LENGTH + (fewest - 1) * FRAME_SHIFT)).astype("float32")
    with torch.inference_mode():
        assert plain_embedding(loaded.model.module, front_end(wave)[None]).isfinite().all()
    if fewest > 1:
        with pytest.raises(AudioError, match=f"at least {fewest} frames, found {fewest - 1}"):
            front_end(wave[:-FRAME_SHIFT])


@pytest.mark.parametrize(
    "short", ["resnet-basic", "campplus", "eres2net", "res2net", "repvgg", "gemini", "xvector"]
)
def test_one_frame_fewer_would_make_no_embedding(short):
    network = plain_network(short)
    fewest = ARCHITECTURES[CASES[short][0]].min_frames
    with pytest.warns(UserWarning, match="degrees of freedom is <= 0"):
        embedding = plain_embedding(network, torch.randn(1, fewest - 1, 80))
    assert embedding.isnan().all()


@pytest.mark.parametrize(
    ("architecture", "n_taps"),
    # Stem, pooling, embedding, and of the others what the comments say.
    [
        ("ResNet34", 3 + 2 * 16),  # two ReLUs a block
        ("ResNet293", 3 + 3 * (10 + 20 + 64 + 3)),  # three
        ("ECAPA_TDNN_c512", 2 + 1 + 3 * 5 + 1),  # layer 1, five a block, all joined
        # Two ReLUs a block of the head, the head, tdnn, dense layers, blocks and transits, out.
        ("CAMPPlus", 3 + 2 * 4 + 2 + (12 + 24 + 16) + 2 * 3 + 1),
        ("ERes2Net34_Base", 3 + 2 * 16 + 3),  # two a block, three fusions
        ("REPVGG_TINY_A0", 3 + 3 + 4 + 23 + 3),  # blocks
        ("Gemini_DF_ResNet114", 3 + 4 + 3 * (3 + 3 + 27 + 3)),  # downsampling, three ReLUs a block
        ("XVEC", 5 + 3),  # frame layers, pooling, two segment layers
        # Blocks of each of six stages, and its time context; the stages' sum.
        ("ReDimNetB2", 3 + (2 + 2 + 3 + 4 + 4 + 4) + 6 + 1),
    ],
)
def test_the_number_of_taps_follows_from_the_published_blocks(architecture, n_taps):
    taps = taps_at(full_size(architecture, 192), ARCHITECTURES[architecture].patterns)
    assert len(taps) == n_taps
    assert len({tap.name for tap in taps}) == len({tap.study_name for tap in taps}) == n_taps


@torch.inference_mode()
def test_a_block_makes_of_one_tap_the_next():
    """The taps are where their names say: WeSpeaker's own layers lead from one to the other."""
    case = "resnet-basic"
    network = plain_network(case)
    raw = cloned_values(plain_as_model(network, case), torch.randn(1, 50, 80))
    for name, layer, inputs in [
        ("layer1.0.relu2", network.layer1[0], "stem"),
        ("layer3.1.relu2", network.layer3[1], "layer3.0.relu2"),
        ("pooling", network.pool, "layer4.1.relu2"),
        ("embedding", network.seg_1, "pooling"),
    ]:
        assert torch.equal(layer(raw[inputs]), raw[name]), name
    block = network.layer2[0]
    assert torch.equal(block.bn1(block.conv1(raw["layer1.1.relu2"])).relu(), raw["layer2.0.relu1"])


# Parameters in millions, as published: README.md of WeSpeaker's examples/voxceleb/v2, and of
# 3D-Speaker's egs/3dspeaker/sv-eres2net (ERes2Net; WeSpeaker's README has 7.88 for its Base, which
# none of its recipes gives).
@pytest.mark.parametrize(
    ("architecture", "embed_dim", "millions"),
    [
        ("XVEC", 512, 4.61),
        ("ECAPA_TDNN_GLOB_c512", 192, 6.19),
        ("ECAPA_TDNN_GLOB_c1024", 192, 14.65),
        ("ResNet34", 256, 6.63),
        ("ResNet221", 256, 23.79),
        ("ResNet293", 256, 28.62),
        ("CAMPPlus", 512, 7.18),
        ("Res2Net34_Base", 256, 4.68),
        ("Gemini_DF_ResNet114", 256, 6.53),
        ("ERes2Net34_Base", 192, 6.61),
        ("ERes2Net34_Large", 192, 22.46),
    ],
)
def test_full_size_networks_have_the_published_number_of_parameters(
    architecture, embed_dim, millions
):
    network = full_size(architecture, embed_dim)
    count = sum(parameter.numel() for parameter in network.parameters())
    # Some are rounded, some cut off.
    assert abs(count / 1e6 - millions) < 0.01


@pytest.mark.parametrize(
    ("architecture", "line"),
    [
        ("ResNet18", "18 │ embedding"),
        ("ECAPA_TDNN_c512", "18 │ embedding"),
        ("XVEC", "7 │ embedding"),
        ("ReDimNetB0", "23 │ embedding"),
    ],
)
def test_sweep_layers_lists_an_architecture_by_its_name(architecture, line, capsys):
    print_layers(architecture)
    printed = capsys.readouterr().out
    assert f"{architecture}, " in printed
    assert line in printed


# The table against the package.


def choices():
    """(prefix of a name, module) as WeSpeaker chooses the module, read from its source."""
    folder = find_spec("wespeaker").submodule_search_locations[0]
    text = (Path(folder) / "models" / "speaker_model.py").read_text()
    modules = dict(re.findall(r"import wespeaker\.models\.(\w+) as (\w+)", text))
    modules = {alias: name for name, alias in modules.items()}
    found = re.findall(r'startswith\("(\w+)"\):\s+return getattr\((\w+), model_name\)', text)
    assert len(found) == 14
    return [(prefix, modules[alias]) for prefix, alias in found]


def test_each_architecture_is_taken_from_the_module_that_wespeaker_takes_it_from():
    for group in GROUPS:
        for name in group.names:
            source = next(module for prefix, module in choices() if name.startswith(prefix))
            assert group.source == source, name


def test_nothing_that_the_package_builds_from_torch_alone_is_left_out():
    parts = {"ResNet", "SimAM_ResNet34", "SimAM_ResNet100", "ReDimNetBone"}  # of those listed
    for prefix, module in choices():
        if prefix in OTHER_FRONT_ENDS:
            continue
        names = {
            name
            for name, value in vars(import_network_module(module)).items()
            if name.startswith(prefix) and (inspect.isclass(value) or inspect.isfunction(value))
        }
        assert names - parts == {name for name in ARCHITECTURES if name in names}, module


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ReDimNet2B0", "runs on WeSpeaker's front end 'tfmel'"),
        ("whisper_PMFA_large_v2", "front end 'whisper_encoder'"),
        ("W2VBert_Adapter_MFA", "front end 'w2vbert'"),
        ("ECAPA_TDNN_c51", "nearest: ECAPA_TDNN_c512, ECAPA_TDNN_c1024, ECAPA_TDNN"),
        ("resnet34", "nearest: ResNet34"),
    ],
)
def test_what_is_not_in_the_table_is_refused_with_the_reason(name, message):
    with pytest.raises(ModelError, match=message):
        find_group(name)


# Variants of a checkpoint.


def plain_as_model(network, case):
    """Any network of the case, tapped as a loaded one is."""
    architecture, args = CASES[case]
    model = load_model(WespeakerSettings(name="x", architecture=architecture, model_args=args))
    model.module.load_state_dict(network.state_dict())
    return model


def test_a_fused_repvgg_reads_as_the_one_it_was_fused_from(tmp_path):
    network = plain_network("repvgg")
    model = plain_as_model(network, "repvgg")
    convert = import_network_module("repvgg").repvgg_model_convert
    args = CASES["repvgg"][1]
    settings = write_folder(
        tmp_path / "fused", convert(network), "repvgg", model_args=args | {"deploy": True}
    )
    fused = load_model(settings)
    assert fused.args["deploy"] is True
    batch = features(model)
    expected = TapReader(model.module, model.taps, POOLINGS["mean"]).read(batch)
    found = TapReader(fused.module, fused.taps, POOLINGS["mean"]).read(batch)
    assert list(found) == list(expected)
    for name, value in found.items():
        # Three convolutions became one: another order of summation.
        assert (value - expected[name]).abs().max() < 1e-4 * expected[name].abs().max(), name


def test_the_front_end_makes_as_many_mel_bins_as_the_network_takes(tmp_path):
    case = "redimnet-resnet"
    config = {"dataset_args": {"fbank_args": {"num_mel_bins": 60}}}
    settings = write_folder(tmp_path / "net", plain_network(case), case, **config)
    wave = (1000 * np.sin(np.arange(8000) * 0.3)).astype(np.float32)
    found = load_model(settings).front_end(FeatureSettings())(wave)
    assert found.shape == (48, 60)
    assert torch.equal(found, Fbank(FeatureSettings(), n_bins=60)(wave))


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_missing_batch_counters_and_a_common_prefix_do_no_harm(tmp_path, prefix):
    network = plain_network("xvector")
    settings = write_folder(tmp_path / "net", network, "xvector")
    state = network.state_dict()
    kept = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    path = tmp_path / "net" / "avg_model.pt"
    torch.save({f"{prefix}{key}": value for key, value in kept.items()}, path)
    model = load_model(settings)
    batch = features(model)
    values = TapReader(model.module, model.taps, POOLINGS["mean"]).read(batch)
    assert torch.equal(values["embedding"], plain_embedding(network, batch))


OUTPUTS = {
    "simam": r"layer\d\.\d\.relu2",
    "resnet-basic": r"layer\d\.\d\.relu2",
    "resnet-bottleneck": r"layer\d\.\d\.relu3",
    "ecapa": r"layer[234]",
    "campplus": r"head\.layer\d\.\d\.relu2|block\d",
    "eres2net": r"layer\d\.\d\.relu",
    "res2net": r"layer\d\.\d\.relu",
    "repvgg": r"stage[1-4]\.\d+",
    "gemini": r"stage\d\.\d\.relu3",
    "xvector": r"frame\d",
    "redimnet-resnet": r"stage\d\.\d+",
}
"""Case → the names of the outputs of its blocks."""
BETWEEN = {
    "campplus": ["head", "tdnn", "transit1", "transit2"],
    "eres2net": ["fuse12", "fuse123"],
    "gemini": ["downsample2", "downsample3", "downsample4"],
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_every_tap_says_where_in_the_network_it_lies(case):
    architecture, args = CASES[case]
    module = import_network_module(ARCHITECTURES[architecture].source)
    with torch.device("meta"):
        network = getattr(module, architecture)(**args)
    taps = taps_at(network, find_group(architecture).patterns)
    levels = {tap.name: tap.level for tap in taps}
    outputs = [name for name, level in levels.items() if level == "block output"]
    assert outputs == [name for name in levels if re.fullmatch(OUTPUTS[case], name)]
    between = [name for name, level in levels.items() if level == "between blocks"]
    assert between == BETWEEN.get(case, [])
    first, *_, last = levels.values()
    assert (first, last) == ("block output" if case == "xvector" else "input", "embedding")
    assert {level for name, level in levels.items() if "pool" in name} == {"embedding"}
