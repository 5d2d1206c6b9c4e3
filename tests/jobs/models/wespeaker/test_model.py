"""WeSpeaker networks: every tap against a second implementation, and folders that do not load."""

import inspect
import math
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import conv2d

from jobs.audio.features import Fbank
from jobs.audio.settings import FeatureSettings
from jobs.models import describe_model, load_model
from jobs.models.describe import weights_digest
from jobs.models.errors import ModelError
from jobs.models.pooling import POOLINGS
from jobs.models.tap_reader import TapReader
from jobs.models.wespeaker.arguments import network_args
from jobs.models.wespeaker.model import build_network
from jobs.models.wespeaker.package import import_network_module
from jobs.models.wespeaker.settings import WespeakerSettings

N_BLOCKS = {"SimAM_ResNet34_ASP": (3, 4, 6, 3), "SimAM_ResNet100_ASP": (6, 16, 24, 3)}
RESNET34, RESNET100 = N_BLOCKS
SMALL = {"in_planes": 4, "embed_dim": 16}


def untrained(architecture=RESNET34, seed=0, **model_args):
    return WespeakerSettings(
        name="x", architecture=architecture, model_args=SMALL | model_args, seed=seed
    )


def trained_state(architecture, seed=1):
    """The state of a network whose normalisations all do something, as after training."""
    network = build_network(architecture, SMALL, seed)
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.2, 1.5, generator=generator)
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, 0, 0.2, generator=generator)
    return network.state_dict()


def write_folder(folder, state, architecture=RESNET34, **config):
    folder.mkdir(exist_ok=True)
    content = {"model": architecture, "model_args": SMALL} | config
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    torch.save(state, folder / "avg_model.pt")
    return WespeakerSettings(name="x", checkpoint=folder)


def plain_network(architecture, state):
    network = getattr(import_network_module("samresnet"), architecture)(**SMALL)
    network.load_state_dict(state)
    return network.eval()


def plain_forward(state: dict[str, Tensor], blocks: tuple[int, ...], batch: Tensor):
    """Every tap, unpooled, in float64, from the published equations; nothing is done in place."""
    state = {name: tensor.double() for name, tensor in state.items()}
    values = {}

    def normalised(x, name):
        shape = (1, -1) + (1,) * (x.ndim - 2)
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scale = state[f"{name}.weight"] / (var + 1e-5).sqrt()
        return (x - mean.view(shape)) * scale.view(shape) + state[f"{name}.bias"].view(shape)

    def conv(x, name, stride=1, padding=1):
        return conv2d(x, state[f"{name}.weight"], stride=stride, padding=padding)

    x = batch.double().transpose(1, 2)[:, None]
    x = values["stem"] = normalised(conv(x, "front.conv1"), "front.bn1").clamp(min=0).clone()
    for layer, n_blocks in enumerate(blocks, start=1):
        for block in range(n_blocks):
            name = f"front.layer{layer}.{block}"
            key = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 else 1
            inner = normalised(conv(x, f"{name}.conv1", stride), f"{name}.bn1").clamp(min=0)
            values[f"{key}.relu1"] = inner.clone()
            inner = normalised(conv(inner, f"{name}.conv2"), f"{name}.bn2")
            deviation = (inner - inner.mean((2, 3), keepdim=True)) ** 2
            variance = inner.var((2, 3), correction=1, keepdim=True)
            inner = inner / (1 + torch.exp(-(deviation / (4 * (variance + 1e-4)) + 0.5)))
            values[f"{key}.simam"] = inner.clone()
            if f"{name}.downsample.0.weight" in state:
                x = normalised(
                    conv(x, f"{name}.downsample.0", stride, padding=0), f"{name}.downsample.1"
                )
            x = values[f"{key}.relu2"] = (inner + x).clamp(min=0).clone()
    x = x.flatten(1, 2)

    def pointwise(x, name):
        weight = state[f"pooling.attention.{name}.weight"][..., 0]
        return weight @ x + state[f"pooling.attention.{name}.bias"][:, None]

    hidden = normalised(pointwise(x, "0").clamp(min=0), "pooling.attention.2")
    weights = pointwise(hidden, "3").softmax(dim=-1)
    mean = (weights * x).sum(-1)
    std = ((weights * x**2).sum(-1) - mean**2).clamp(min=1e-5).sqrt()
    values["pooling"] = torch.cat([mean, std], dim=1)
    values["embedding"] = (
        values["pooling"] @ state["bottleneck.weight"].T + state["bottleneck.bias"]
    )
    return values


def relative_error(found, expected):
    return ((found - expected).abs().max() / expected.abs().max()).item()


@pytest.fixture(params=N_BLOCKS)
def architecture(request):
    return request.param


def test_every_tap_equals_a_second_implementation_of_the_network(architecture, tmp_path):
    state = trained_state(architecture)
    model = load_model(write_folder(tmp_path / "net", state, architecture))
    batch = torch.randn(2, 53, 80, generator=torch.Generator().manual_seed(2)) * 3
    expected = plain_forward(state, N_BLOCKS[architecture], batch)
    found = TapReader(model.module, model.taps, POOLINGS["mean"]).read(batch)
    assert list(found) == list(expected) == [tap.name for tap in model.taps]
    for name, value in found.items():
        reference = expected[name]
        pooled = reference if reference.ndim == 2 else reference.mean(-1).flatten(1)
        assert value.dtype == torch.float32
        # float32 against float64, relative to the layer's largest value.
        assert relative_error(value, pooled) < 5e-6, name


def test_a_simam_tap_is_not_its_blocks_output(architecture):
    model = load_model(untrained(architecture))
    batch = torch.randn(1, 40, 80, generator=torch.Generator().manual_seed(0))
    values = TapReader(model.module, model.taps, POOLINGS["mean"]).read(batch)
    for name in values:
        if name.endswith(".simam"):
            output = values[name.replace("simam", "relu2")]
            assert relative_error(values[name], output) > 0.1, name


def test_the_embedding_is_bit_for_bit_that_of_wespeakers_network_called_directly(
    architecture, tmp_path
):
    state = trained_state(architecture)
    model = load_model(write_folder(tmp_path / "net", state, architecture))
    batch = torch.randn(3, 61, 80, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = plain_network(architecture, state)(batch)
    found = TapReader(model.module, model.taps, POOLINGS["mean"]).read(batch)["embedding"]
    assert torch.equal(found, expected)


def test_a_batch_of_equal_lengths_equals_one_at_a_time(architecture):
    model = load_model(untrained(architecture))
    reader = TapReader(model.module, model.taps, POOLINGS["mean"])
    batch = torch.randn(3, 50, 80, generator=torch.Generator().manual_seed(0))
    together = reader.read(batch)
    for row in range(3):
        alone = reader.read(batch[row : row + 1])
        for name, value in alone.items():
            # Another order of summation in the convolutions: float32 rounding, nothing more.
            assert relative_error(together[name][row : row + 1], value) < 1e-5, name


@pytest.mark.parametrize("pooling", POOLINGS)
def test_one_frame_is_enough(pooling):
    model = load_model(untrained())
    values = TapReader(model.module, model.taps, POOLINGS[pooling]).read(torch.randn(1, 1, 80))
    assert all(value.isfinite().all() for value in values.values())


@pytest.mark.parametrize(("architecture", "n_taps"), [(RESNET34, 51), (RESNET100, 150)])
def test_taps_have_the_studys_number_names_and_depth_order(architecture, n_taps):
    taps = describe_model(untrained(architecture), "mean").taps
    assert len(taps) == n_taps
    assert [tap.index for tap in taps] == list(range(n_taps))
    assert [(tap.name, tap.study_name) for tap in taps[:7]] == [
        ("stem", "first relu"),
        ("layer1.0.relu1", "layer1 relu 1"),
        ("layer1.0.simam", "layer1 SimAM 1"),
        ("layer1.0.relu2", "layer1 relu 2"),
        ("layer1.1.relu1", "layer1 relu 3"),
        ("layer1.1.simam", "layer1 SimAM 2"),
        ("layer1.1.relu2", "layer1 relu 4"),
    ]
    assert [(tap.name, tap.study_name) for tap in taps[-3:]] == [
        ("layer4.2.relu2", "layer4 relu 6"),
        ("pooling", "pooling"),
        ("embedding", "embedding"),
    ]
    assert len({tap.name for tap in taps}) == len({tap.study_name for tap in taps}) == n_taps


@pytest.mark.parametrize(("pooling", "factor"), [("mean", 1), ("mean+std", 2), ("channels", None)])
def test_description_has_shapes_and_pooled_widths(pooling, factor):
    taps = {tap.name: tap for tap in describe_model(untrained(), pooling).taps}
    for name, shape in {
        "stem": (4, 80, "T"),
        "layer1.2.simam": (4, 80, "T"),
        "layer2.0.relu1": (8, 40, "T/2"),
        "layer3.5.relu2": (16, 20, "T/4"),
        "layer4.2.simam": (32, 10, "T/8"),
    }.items():
        assert taps[name].shape == shape
        assert taps[name].width == (shape[0] if factor is None else factor * shape[0] * shape[1])
    assert (taps["pooling"].shape, taps["pooling"].width) == ((2 * 320,), 2 * 320)
    assert (taps["embedding"].shape, taps["embedding"].width) == ((16,), 16)


@pytest.mark.parametrize(("architecture", "millions"), [(RESNET34, 25.2), (RESNET100, 50.2)])
def test_full_size_networks_have_the_published_number_of_parameters(architecture, millions):
    with torch.device("meta"):
        network = getattr(import_network_module("samresnet"), architecture)(
            **network_args(architecture, {})
        )
    count = sum(parameter.numel() for parameter in network.parameters())
    assert round(count / 1e6, 1) == millions


def test_defaults_are_wespeakers(architecture):
    signature = inspect.signature(getattr(import_network_module("samresnet"), architecture))
    assert network_args(architecture, {}) == {
        name: parameter.default for name, parameter in signature.parameters.items()
    }


def test_front_end_is_the_mean_normalised_fbank():
    wave = (1000 * np.sin(np.arange(8000) * 0.3)).astype(np.float32)
    settings = FeatureSettings(max_frames=20)
    features = load_model(untrained()).front_end(settings)(wave)
    assert features.shape == (20, 80)
    assert torch.equal(features, Fbank(settings)(wave))


# Untrained networks.


def test_an_untrained_network_depends_on_its_seed_and_leaves_the_global_state_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    digests = [weights_digest(load_model(untrained(seed=seed))) for seed in (3, 3, 4)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert weights_digest(load_model(untrained(seed=3))) == digests[0] == digests[1] != digests[2]


def test_the_untrained_twin_of_a_checkpoint_has_its_architecture_and_fresh_weights(tmp_path):
    folder = write_folder(tmp_path / "net", trained_state(RESNET34)).checkpoint

    def twin(seed):
        settings = WespeakerSettings(name="x", checkpoint=folder, untrained=True, seed=seed)
        return load_model(settings)

    expected = load_model(untrained(RESNET34, seed=5))
    assert twin(5).args == expected.args
    assert weights_digest(twin(5)) == weights_digest(expected)
    assert weights_digest(twin(None)) == weights_digest(load_model(untrained(RESNET34, seed=0)))
    assert weights_digest(twin(5)) != weights_digest(twin(None))


def test_loading_a_folder_leaves_the_global_random_state_alone(tmp_path):
    settings = write_folder(tmp_path / "net", trained_state(RESNET34))
    before = torch.get_rng_state()
    load_model(settings)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_built_for_training_is_wespeakers_own_and_has_gradients():
    network = build_network(RESNET34, SMALL, seed=0)
    network(torch.randn(2, 24, 80)).sum().backward()
    assert network.training
    assert network.front.conv1.weight.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "either checkpoint or architecture, found neither"),
        ({"checkpoint": "net", "architecture": RESNET34}, "found both"),
        ({"checkpoint": "net", "seed": 1}, "remove it, or set untrained: true"),
        ({"checkpoint": "net", "model_args": {"in_planes": 8}}, "in its config.yaml: remove them"),
        ({"architecture": "SimAM_ResNet35_ASP"}, "nearest: SimAM_ResNet34_ASP"),
        ({"architecture": RESNET34, "model_args": {"planes": 8}}, "model_args.planes"),
        ({"architecture": RESNET34, "model_args": {"in_planes": 0}}, "model_args.in_planes"),
        ({"architecture": RESNET34, "model_args": {"in_planes": 8.5}}, "model_args.in_planes"),
        ({"architecture": RESNET34, "model_args": {"acoustic_dim": 7}}, "model_args.acoustic_dim"),
        ({"architecture": RESNET34, "seed": -1}, "seed"),
    ],
)
def test_settings_that_name_no_network_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        WespeakerSettings(name="x", **fields)


# Checkpoint folders.


def test_a_folder_loads_as_wespeaker_makes_them(tmp_path):
    """Averaged counters are floats, the classifier is still there, other settings are ignored."""
    state = trained_state(RESNET34)
    plain = weights_digest(load_model(write_folder(tmp_path / "plain", state)))
    messy = {
        name: tensor / 1 if name.endswith("num_batches_tracked") else tensor
        for name, tensor in state.items()
    }
    messy["projection.weight"] = torch.zeros(99, 16)
    dataset_args = {
        "resample_rate": 16000,
        "fbank_args": {"num_mel_bins": 80, "frame_length": 25, "frame_shift": 10, "dither": 1.0},
        "speed_perturb": True,
    }
    settings = write_folder(
        tmp_path / "messy", {"state_dict": messy}, dataset_args=dataset_args, optimizer="SGD"
    )
    model = load_model(settings)
    assert weights_digest(model) == plain
    assert not model.module.training
    assert not any(parameter.requires_grad for parameter in model.module.parameters())


def test_half_precision_weights_load_as_float32(tmp_path):
    state = trained_state(RESNET34)
    half = {name: tensor.half() for name, tensor in state.items()}
    model = load_model(write_folder(tmp_path / "net", half))
    for name, tensor in model.module.state_dict().items():
        assert tensor.dtype == state[name].dtype
        assert torch.equal(tensor, half[name].to(tensor.dtype))


def test_the_digest_knows_weights_and_arguments_but_not_where_they_came_from(tmp_path):
    state = build_network(RESNET34, SMALL, seed=7).state_dict()
    digest = describe_model(write_folder(tmp_path / "net", state), "mean").digest
    assert digest == describe_model(untrained(seed=7), "channels").digest
    spelt_out = write_folder(tmp_path / "net", state, model_args={**SMALL, "acoustic_dim": 80})
    assert describe_model(spelt_out, "mean").digest == digest
    state["bottleneck.bias"][3] = torch.nextafter(state["bottleneck.bias"][3], torch.tensor(9.0))
    assert describe_model(write_folder(tmp_path / "net", state), "mean").digest != digest


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (
            lambda s: s.pop("front.bn1.weight"),
            [r"in 1 of", r"front\.bn1\.weight: expected \(4,\), found nothing"],
        ),
        (
            lambda s: s.update({"front.extra": torch.zeros(2)}),
            [r"front\.extra: expected nothing, found \(2,\)"],
        ),
        (
            lambda s: s.update({"bottleneck.weight": torch.zeros(3, 5)}),
            [r"bottleneck\.weight: expected \(16, 640\), found \(3, 5\)"],
        ),
    ],
)
def test_weights_that_do_not_fit_are_named_with_their_shapes(tmp_path, change, messages):
    state = dict(trained_state(RESNET34))
    change(state)
    settings = write_folder(tmp_path / "net", state)
    for message in messages:
        with pytest.raises(ModelError, match=message):
            load_model(settings)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model": "SimAM_Res34"}, "unknown architecture 'SimAM_Res34'.*: SimAM_ResNet34_ASP"),
        ({"model": None}, "expected 'model'"),
        ({"model_args": None}, "expected 'model'"),
        ({"model_args": {"feat_dim": 80}}, r"model_args\.feat_dim"),
        ({"model_args": {"in_planes": "4"}}, r"model_args\.in_planes.*'4'"),
        (
            {"dataset_args": {"fbank_args": {"num_mel_bins": 40}}},
            r"fbank_args\.num_mel_bins: expected 80 .*, found 40",
        ),
        ({"dataset_args": {"resample_rate": 8000}}, "resample_rate: expected 16000, found 8000"),
        ({"dataset_args": {"cmvn": False}}, "cmvn: expected True, found False"),
        ({"dataset_args": {"cmvn_args": {"norm_var": True}}}, r"cmvn_args\.norm_var"),
        ({"dataset_args": {"frontend": "s3prl"}}, "frontend: expected fbank, found s3prl"),
    ],
)
def test_a_config_that_asks_for_something_else_is_refused(tmp_path, config, message):
    settings = write_folder(tmp_path / "net", trained_state(RESNET34), **config)
    with pytest.raises(ModelError, match=message):
        load_model(settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"model: [", "not plain YAML"),
        (b"\xff\xfe\xfa", "not plain YAML"),
        (b"- a list", "expected a mapping, found list"),
        (b"model: !!python/object/apply:os.getcwd []", "not plain YAML"),
    ],
)
def test_a_config_that_is_no_plain_mapping_is_refused(tmp_path, text, message):
    settings = write_folder(tmp_path / "net", trained_state(RESNET34))
    (tmp_path / "net" / "config.yaml").write_bytes(text)
    with pytest.raises(ModelError, match=message):
        load_model(settings)


@pytest.mark.parametrize("missing", ["config.yaml", "avg_model.pt"])
def test_a_missing_file_is_named(tmp_path, missing):
    settings = write_folder(tmp_path / "net", trained_state(RESNET34))
    (tmp_path / "net" / missing).unlink()
    with pytest.raises(ModelError, match=f"no .*{missing}: found a folder without it"):
        load_model(settings)


def test_a_missing_folder_is_named(tmp_path):
    settings = WespeakerSettings(name="x", checkpoint=tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"nowhere.*no such folder"):
        load_model(settings)


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", b"PK\x03\x04 broken", pickle.dumps({"a": 1}, protocol=2)]
)
def test_weights_that_are_not_a_torch_file_are_refused(tmp_path, content):
    settings = write_folder(tmp_path / "net", trained_state(RESNET34))
    (tmp_path / "net" / "avg_model.pt").write_bytes(content)
    with pytest.raises(ModelError, match=r"avg_model\.pt"):
        load_model(settings)


def test_truncated_weights_are_refused(tmp_path):
    settings = write_folder(tmp_path / "net", trained_state(RESNET34))
    path = tmp_path / "net" / "avg_model.pt"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError, match=r"avg_model\.pt is damaged"):
        load_model(settings)


def test_a_file_of_something_else_than_tensors_is_refused(tmp_path):
    settings = write_folder(tmp_path / "net", {"epoch": 3, "weights": [1.0]})
    with pytest.raises(ModelError, match="expected a state dict"):
        load_model(settings)


class Bomb:
    """Pickled, it makes a file when it is unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def test_a_file_that_would_run_code_is_refused_and_runs_nothing(tmp_path):
    exploded = tmp_path / "exploded"
    settings = write_folder(tmp_path / "net", {**trained_state(RESNET34), "bomb": Bomb(exploded)})
    with pytest.raises(ModelError, match="was not loaded: unpickling it could execute code"):
        load_model(settings)
    assert not exploded.exists()
    # It is a live one: the unsafe way of loading sets it off.
    torch.load(tmp_path / "net" / "avg_model.pt", weights_only=False)
    assert exploded.exists()


# The package.

FAKE_PACKAGE = {
    "__init__.py": "raised = True\nfrom wespeaker.models import samresnet\n",
    "models/__init__.py": "",
    "models/samresnet.py": "import wespeaker.models.other as other\n",
    "models/other.py": "",
}
IMPORTS = """
import sys
from jobs.models.wespeaker.package import import_network_module
module = import_network_module("samresnet")
assert module.other.__name__ == "wespeaker.models.other"
assert import_network_module("samresnet") is module
assert not [name for name in sys.modules if name.split(".")[0] == "wespeaker"]
import wespeaker
assert wespeaker.raised and wespeaker.models.samresnet
print(wespeaker.__file__)
"""


def test_a_later_import_of_the_whole_package_runs_the_real_one(tmp_path):
    for name, text in FAKE_PACKAGE.items():
        path = tmp_path / "wespeaker" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    root = Path(__file__).parents[4]
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(root)!r}]\n{IMPORTS}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "wespeaker" / "__init__.py")


def test_loading_a_network_imports_neither_the_package_nor_torchaudio():
    code = (
        "import sys; from jobs.models.wespeaker.package import import_network_module as load\n"
        "load('samresnet'); print({'wespeaker', 'torchaudio', 'umap', 's3prl'} & set(sys.modules))"
    )
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "set()"


def test_an_unknown_module_is_an_import_error_and_leaves_no_stand_in():
    with pytest.raises(ImportError, match="no_such_module"):
        import_network_module("no_such_module")
    assert "wespeaker" not in sys.modules


def test_simam_of_a_constant_channel_is_finite():
    model = load_model(untrained())
    block = model.module.get_submodule("front.layer1.0")
    found = block.SimAM(torch.full((1, 2, 3, 4), 5.0))
    # No deviation: x · sigmoid(½).
    torch.testing.assert_close(found, torch.full((1, 2, 3, 4), 5 / (1 + math.exp(-0.5))))


@pytest.mark.parametrize("typo", [{"in_planes": 64_000}, {"embed_dim": 25_600_000}])
def test_a_network_that_no_memory_holds_is_an_error_of_form(typo):
    with pytest.raises(ValueError, match="less than or equal to"):
        WespeakerSettings(name="x", architecture="SimAM_ResNet34_ASP", model_args=typo)
