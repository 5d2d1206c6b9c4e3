"""Any network that a function makes: its layers, their time axes, its identity, refusals."""

import textwrap
from collections import Counter
from itertools import count

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from typer.testing import CliRunner

from jobs.audio.features import Fbank
from jobs.audio.settings import FeatureSettings
from jobs.models import (
    AnyModelSettings,
    describe_model,
    forward_flops,
    load_model,
    source_of,
    with_absolute_paths,
)
from jobs.models.describe import weights_digest
from jobs.models.errors import ModelError
from jobs.models.pooling import POOLINGS
from jobs.models.python.find_taps import levels, path_matches
from jobs.models.python.settings import PythonSettings
from jobs.models.tap_reader import TapReader
from sweep import open_run
from sweep.commands.app import app
from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.state.events import EventLog
from tests.support.no_figures import draw_nothing

WAVE = (3000 * np.random.default_rng(0).standard_normal(9_999)).astype(np.float32)
NETWORK = '''
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.conv = nn.Conv1d(width, width, 3, stride=2, padding=1)
            self.norm = nn.BatchNorm1d(width)

        def forward(self, x):
            return self.norm(self.conv(x)).relu()

    class Network(nn.Module):
        """Convolutions (B, C, T), an LSTM (B, T, D), attention (T, B, D), a vector (B, D)."""

        def __init__(self, width):
            super().__init__()
            self.embedding = nn.Linear(width, 5)
            self.stem = nn.Conv1d(80, width, 1)
            self.blocks = nn.ModuleList([Block(width), Block(width)])
            self.lstm = nn.LSTM(width, width, batch_first=True)
            self.attention = nn.Linear(width, width)
            self.unused = nn.Identity()
            self.shared = nn.ReLU()

        def forward(self, x):
            x = self.stem(x.transpose(1, 2))
            for block in self.blocks:
                x = self.shared(block(x))
            x, _ = self.lstm(x.transpose(1, 2))
            x = self.attention(x.transpose(0, 1))
            return self.embedding(x.mean(dim=0))

    def build(width=4):
        return Network(width)
'''
TAPS = ("embedding", "blocks.*", "stem", "lstm", "attention", "output")
_names = (f"factory_{number}" for number in count())


@pytest.fixture
def make(tmp_path):
    """Writes a module of its own name, with ``build``, and returns settings that name it."""

    def write(source=NETWORK, **values):
        name = next(_names)
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        given = {"factory": f"{name}:build", "folder": tmp_path, "input": "fbank", "taps": TAPS}
        return PythonSettings(name="x", **{**given, **values})

    return write


def small(body, input_="fbank"):
    """Source of a factory of one module with this ``forward``."""
    return f"""
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Identity()
            self.other = nn.Identity()

        def forward(self, x):
            {body}

    def build():
        return Network()
    """


def test_layers_come_in_the_order_of_the_run_with_their_shapes(make):
    info = describe_model(make(), "mean")
    assert [(tap.name, tap.shape, tap.width) for tap in info.taps] == [
        ("stem", (4, "T"), 4),
        ("blocks.0", (4, "T/2"), 4),
        ("blocks.1", (4, "T/4"), 4),
        ("lstm", ("T/4", 4), 4),
        ("attention", ("T/4", 4), 4),
        ("embedding", (5,), 5),
        ("output", (5,), 5),
    ]
    assert info.architecture.startswith("factory_")


def test_time_axes_are_found_by_running_two_lengths(make):
    axes = {tap.name: tap.time_axis for tap in load_model(make()).taps}
    assert axes["stem"] == axes["blocks.1"] == 2
    assert axes["lstm"] == 1
    assert axes["attention"] == 0


@pytest.mark.parametrize("pooling", POOLINGS)
def test_values_are_pooled_over_time_wherever_that_axis_is(make, pooling):
    model = load_model(make())
    features_TF = model.front_end(FeatureSettings())(WAVE)
    assert torch.equal(features_TF, Fbank()(WAVE))
    found = TapReader(model.module, model.taps, POOLINGS[pooling]).read(
        torch.stack([features_TF, features_TF + 1])
    )
    network = load_model(make()).module
    kept = {}
    for name in ("blocks.1", "lstm", "attention"):
        network.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: kept.update({name: output})
        )
    with torch.inference_mode():
        network(torch.stack([features_TF, features_TF + 1]))
    expected = {
        "blocks.1": kept["blocks.1"],
        "lstm": kept["lstm"][0].permute(0, 2, 1),
        "attention": kept["attention"].permute(1, 2, 0),
    }
    for name, value_BDT in expected.items():
        mean = value_BDT.mean(dim=2)
        if pooling == "mean+std":
            mean = torch.cat([mean, value_BDT.std(dim=2, correction=0)], dim=1)
        # float32 rounding.
        torch.testing.assert_close(found[name], mean, rtol=1e-5, atol=1e-6)


def test_a_waveform_network_is_given_samples_between_minus_one_and_one(make):
    source = small("return self.inner(x.unfold(1, 320, 320))")
    settings = make(source, input="waveform", taps=["inner"])
    model = load_model(settings)
    np.testing.assert_array_equal(model.front_end(FeatureSettings())(WAVE), WAVE / 32_768)
    assert model.step == 1
    assert describe_model(settings, "mean").taps[0].shape == ("N/320", 320)


def test_the_time_axis_can_be_declared(make):
    # (B, T, T): similarity of frames, of which two axes follow the length.
    source = small("return self.inner(x[:, :50] @ x.mT)")
    model = load_model(make(source, taps=["inner"], time_axis=2))
    assert model.taps[0].time_axis == 2
    assert describe_model(make(source, taps=["inner"], time_axis=-1), "mean").taps[0].shape == (
        50,
        "T",
    )


# What has no layer curve.


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        ("return self.inner(x @ x.mT)", r"\(2, 100, 100\) .*expected one axis .*found 2"),
        ("return self.inner(x[:, :7, :3])", r"\(2, 7, 3\) .*expected one axis .*found 0"),
        ("return self.inner(x[..., 0])", r"\(2, 100\) .*expected one vector per utterance"),
        ("return self.inner(x.flatten())", r"\(16000,\) .*expected one vector per utterance"),
        ("return self.inner(x.permute(2, 1, 0))", r"expected the batch of 2 first"),
        ("return self.inner({'x': x})", "'inner': expected a tensor, .*found dict"),
        ("return self.inner(self.inner(x))", "'inner' runs more than once"),
        ("return x", "did not reach 1 of 1 modules: inner"),
        ("return self.inner(x) @ x", r"network failed on an input of shape \(2, 100, 80\): Runtim"),
    ],
)
def test_a_layer_that_cannot_be_pooled_is_refused(make, forward, message):
    with pytest.raises(ModelError, match=f"(?s){message}"):
        load_model(make(small(forward), taps=["inner"]))


def test_a_time_axis_that_does_not_exist_is_refused(make):
    with pytest.raises(ModelError, match="time_axis 3 is not one of their axes"):
        load_model(make(small("return self.inner(x)"), taps=["inner"], time_axis=3))


def test_a_glob_that_matches_nothing_is_refused_with_the_nearest_names(make):
    with pytest.raises(ModelError, match=r"'block.\*' matches none of .*nearest: blocks"):
        load_model(make(taps=["stem", "block.*"]))


@pytest.mark.parametrize(
    ("path", "glob", "fits"),
    [
        ("blocks.0", "blocks.*", True),
        ("blocks.0.conv", "blocks.*", False),
        ("blocks.0.conv", "blocks.*.conv", True),
        ("blocks.0.conv", "**.conv", True),
        ("conv", "**.conv", True),
        ("blocks.0.conv1", "**.conv?", True),
        ("blocks.0.conv", "blocks.**", True),
        ("blocks", "blocks.**", True),
        ("blocks", "block", False),
    ],
)
def test_a_star_stands_for_one_name_and_two_for_any_number(path, glob, fits):
    assert path_matches(path, glob) is fits


# The factory.


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"factory": "no_such_module_here:build"}, "cannot be imported: ModuleNotFoundError"),
        ({"args": {"width": 0}}, r"build\(width=0\) failed: .*: "),
        ({"args": {"depth": 3}}, r"build\(depth=3\) failed: TypeError: .*depth"),
    ],
)
def test_what_the_factory_raises_is_told_in_its_own_words(make, values, message):
    source = NETWORK.replace("return Network(width)", "return Network(1 // width and width)")
    with pytest.raises(ModelError, match=message):
        load_model(make(source, **values))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_dependency", "No module named 'no_such_dependency'"),
        ("def built(): pass", "no function 'build'; nearest: built"),
        ("def build(): return 3", r"expected it to return a torch\.nn\.Module, found int"),
    ],
)
def test_a_module_that_is_no_factory_is_refused(make, source, message):
    with pytest.raises(ModelError, match=message):
        load_model(make(source))


@pytest.mark.parametrize("factory", ["module", "module.function", "a b:c", ":f", "m:"])
def test_a_factory_is_written_as_module_colon_function(factory):
    values = {"kind": "python", "name": "x", "factory": factory, "input": "fbank", "taps": ["a"]}
    with pytest.raises(ValidationError, match="factory"):
        TypeAdapter(AnyModelSettings).validate_python(values)


def test_the_import_path_is_left_as_it_was(make):
    import sys

    before = list(sys.path)
    settings = make()
    load_model(settings)
    assert sys.path == before


def test_any_process_finds_the_folder(make, tmp_path, monkeypatch):
    settings = make(folder=".")
    monkeypatch.chdir(tmp_path)
    found = with_absolute_paths(settings)
    assert found.folder == tmp_path
    assert source_of(found) == settings.factory


# Identity.


def test_weights_come_from_the_seed_and_nothing_else_is_touched(make):
    settings = make()
    before = torch.get_rng_state()
    digests = [
        weights_digest(load_model(settings.model_copy(update={"seed": seed}))) for seed in (0, 0, 1)
    ]
    assert digests[0] == digests[1] != digests[2]
    assert torch.equal(before, torch.get_rng_state())


def test_identity_covers_arguments_layers_and_the_text_of_the_factorys_file(make, tmp_path):
    settings = make()
    changed = [
        settings,
        settings.model_copy(update={"args": {"width": 4}}),
        settings.model_copy(update={"taps": ("stem",)}),
    ]
    digests = [weights_digest(load_model(one)) for one in changed]
    name = settings.factory.partition(":")[0]
    with (tmp_path / f"{name}.py").open("a") as file:
        file.write("# another forward pass\n")
    digests.append(weights_digest(load_model(settings)))
    assert max(Counter(digests).values()) == 1


TRAINED = NETWORK.replace(
    "return Network(width)",
    """network = Network(width)
        for parameter in network.parameters():
            parameter.data.fill_(0.5)
        network.blocks[0].norm.running_mean.fill_(3.0)
        return network""",
)


def test_an_untrained_twin_has_all_weights_drawn_anew(make):
    settings = make(TRAINED, untrained=True)
    states = [
        load_model(settings.model_copy(update={"seed": seed})).module.state_dict()
        for seed in (0, 0, 1)
    ]
    for name, tensor in states[0].items():
        assert not (tensor == 0.5).any(), name
        assert torch.equal(tensor, states[1][name])
    assert (states[0]["blocks.0.norm.running_mean"] == 0).all()
    assert not torch.equal(states[0]["stem.weight"], states[2]["stem.weight"])
    trained = load_model(settings.model_copy(update={"untrained": False}))
    assert (trained.module.state_dict()["stem.weight"] == 0.5).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("network.scale = nn.Parameter(torch.ones(1))", r"module '' \(Network\) cannot draw"),
        ("nn.utils.parametrizations.weight_norm(network.stem)", r"'stem\.parametrizations"),
    ],
)
def test_weights_that_nothing_can_draw_anew_are_refused(make, change, message):
    source = NETWORK.replace(
        "return Network(width)",
        f"network = Network(width)\n        {change}\n        return network",
    )
    assert load_model(make(source)).taps
    with pytest.raises(ModelError, match=message):
        load_model(make(source, untrained=True))


def test_operations_that_depend_on_the_data_are_counted_by_computing(make):
    plain = "return self.inner(x @ torch.ones(80, 4))"
    moody = "return self.inner(x @ torch.ones(80, 4, device=x.device) * float(x.sum() > 0))"
    # 10 s have 998 frames; two operations a multiply-add.
    for source in (plain, moody):
        flops = forward_flops(make(small(source), taps=["inner"]))
        assert flops == pytest.approx(2 * 998 * 80 * 4 / 9.98)


# A whole sweep.


def test_a_sweep_reads_it_as_any_other_model(
    make, spec_values, write_spec, cache, tmp_path, monkeypatch
):
    draw_nothing(monkeypatch)
    settings = make()
    model = settings.model_dump(mode="json") | {"name": "mine"}
    values = spec_values | {
        "models": [model, model | {"name": "twin", "untrained": True, "seed": 1}],
        "layers": ["stem", "blocks.*", "output"],
        "probes": [{"kind": "ridge"}],
        "controls": [],
        "baselines": ["mean"],
    }
    spec = write_spec(values)
    with EventLog() as events:
        result = run_sweep(
            spec, RunOptions(where="inline", cache=cache, out=tmp_path / "out"), events
        )
    assert (result.status, result.done, result.failed) == ("done", 2 * 4, 0)
    run = open_run(result.folder.root)
    ids, activations = run.activations("mine", "blocks.1")
    assert activations.shape == (len(ids), 4)
    shown = CliRunner().invoke(app, ["layers", f"{spec}:mine"])
    assert shown.exit_code == 0, shown.output
    assert "blocks.1" in shown.stdout
    assert "T/4" in shown.stdout


def test_an_untrained_twin_of_weights_that_stay_behind_is_refused(make):
    source = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(80, 4, 3)
        self.extra = torch.nn.Linear(4, 4)
        self.extra.gain = torch.nn.Parameter(torch.full((4,), 0.37))  # its method does not know it

    def forward(self, features):
        return self.conv(features.transpose(1, 2))

def build():
    return Net()
"""
    with pytest.raises(ModelError, match=r"1 parameters are not drawn again .*\(extra\.gain\)"):
        load_model(make(source, untrained=True, taps=("output",)))


def test_an_untrained_twin_forgets_running_statistics(make):
    source = """
import torch

def build():
    norm = torch.nn.BatchNorm1d(4, affine=False)
    norm.running_mean.fill_(5.0)
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = torch.nn.Conv1d(80, 4, 3), norm
        def forward(self, features):
            return self.norm(self.conv(features.transpose(1, 2)))
    return Net()
"""
    twin = load_model(make(source, untrained=True, taps=("output",)))
    assert twin.module.norm.running_mean.abs().max() == 0


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["stem", "blocks.0.conv", "blocks.0", "blocks.1.conv", "blocks.1", "norm", "output"],
            ["input", *["inside a block", "block output"] * 2, "embedding", "embedding"],
        ),
        (["layer1.0", "down", "layer2.0"], ["block output", "between blocks", "block output"]),
        (["blocks.0", "blocks.0.mlp.0", "blocks.0.mlp.1", "blocks.1"],
         ["block output", "inside a block", "inside a block", "block output"]),
        (["0", "1", "output"], ["block output", "block output", "embedding"]),
        (["conv", "lstm", "output"], ["unspecified"] * 3),
        (["features.0", "output"], ["unspecified"] * 2),
    ],
)  # fmt: skip
def test_numbered_modules_are_blocks(names, expected):
    assert levels(names) == expected
