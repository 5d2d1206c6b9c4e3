"""Encoders of transformers: transformers' own values at every layer, alone and in batches."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
import transformers
from pydantic import TypeAdapter, ValidationError
from typer.testing import CliRunner

from jobs.activations.store import read_layer, read_manifest
from jobs.audio.read import AudioError, load_audio
from jobs.audio.settings import FeatureSettings
from jobs.extraction.extractor import Extractor
from jobs.extraction.padding_check import LIMIT, check_mask
from jobs.extraction.settings import ExtractSettings
from jobs.extraction.shard import Shard
from jobs.models import AnyModelSettings, describe_model, forward_flops, load_model
from jobs.models.describe import weights_digest
from jobs.models.errors import ModelError
from jobs.models.pooling import POOLINGS
from jobs.models.tap_reader import TapReader
from jobs.models.transformers.encoders import LogMelEncoder, TimeNorm, WaveformEncoder
from jobs.models.transformers.model import MODEL_TYPES
from jobs.models.transformers.settings import TransformersSettings
from sweep.commands.app import app
from tests.support.tiny_transformers import CHUNK_SECONDS, NETWORKS, save, save_network

WAVE = (3000 * np.random.default_rng(0).standard_normal(9_999)).astype(np.float32)
LENGTHS = [9_999, 4_000, 165, 6_543]
MASKED = [name for name in NETWORKS if name != "data2vec"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: save(tmp_path_factory.mktemp("m") / name, name) for name in NETWORKS}


@pytest.fixture
def hubert(tmp_path):
    """A checkpoint of its own, to be damaged."""
    return save(tmp_path / "hubert", "hubert base")


def change(folder, file, **values):
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def load(folder, **settings):
    return load_model(TransformersSettings(name="x", checkpoint=folder, **settings))


def raw(model, inputs):
    """What every tap yields before pooling, its own frames, time last."""
    return TapReader(model.module, model.taps, lambda value: value).read(inputs)


def own_run(folder, wave):
    """The network's outputs by transformers alone: its extractor, its class, its hidden states."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    network = transformers.AutoModel.from_pretrained(folder).eval()
    given = extractor(wave / 32_768, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        if isinstance(network, transformers.WhisperModel):
            return network, given, network.encoder(**given, output_hidden_states=True)
        return network, given, network(given["input_values"].float(), output_hidden_states=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_equal_the_hidden_states_of_transformers(folders, name, capfd):
    model = load(folders[name])
    found = raw(model, model.front_end(FeatureSettings())(WAVE)[None])
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    _, _, expected = own_run(folders[name], WAVE)
    layers = [name for name in found if name.startswith("layer.")]
    assert layers == [f"layer.{i}" for i in range(len(expected.hidden_states))]
    if name == "whisper":
        # Its last hidden state is the normalised one.
        layers = [*layers[:-1], "final_norm"]
    for layer, states_BTD in zip(layers, expected.hidden_states, strict=True):
        own = found[layer].shape[-1]
        # The same operations: equal but for float32 rounding.
        torch.testing.assert_close(found[layer].mT, states_BTD[:, :own], rtol=1e-5, atol=1e-5)
    ending = found.get("final_norm", found[layers[-1]])
    own = ending.shape[-1]
    torch.testing.assert_close(ending.mT, expected.last_hidden_state[:, :own], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "whisper"])
def test_the_front_end_is_read_at_every_convolution_and_its_projection(folders, name):
    model = load(folders[name])
    found = raw(model, model.front_end(FeatureSettings())(WAVE)[None])
    network, given, _ = own_run(folders[name], WAVE)
    with torch.inference_mode():
        front = network.feature_extractor(given["input_values"].float())
        projected = network.feature_projection(front.transpose(1, 2))
    projected = projected[0] if isinstance(projected, tuple) else projected
    assert list(found)[:4] == ["front.0", "front.1", "front.2", "projection"]
    torch.testing.assert_close(found["front.2"], front, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found["projection"].mT, projected, rtol=1e-5, atol=1e-5)
    # (9999 − 10) // 5 + 1 = 1998, (1998 − 8) // 8 + 1 = 249, (249 − 4) // 4 + 1 = 62.
    assert [found[f"front.{i}"].shape[-1] for i in range(3)] == [1998, 249, 62]


def test_the_log_mel_is_that_of_whispers_own_extractor(folders):
    model = load(folders["whisper"])
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folders["whisper"])
    waves = [WAVE, WAVE[:401] / 100]
    given = extractor([w / 32_768 for w in waves], sampling_rate=16_000, return_tensors="pt")
    batch = torch.zeros(2, 10_500)
    for row, wave in enumerate(waves):
        batch[row, : len(wave)] = torch.from_numpy(wave / 32_768)
    # Transformers' own two ways to compute it differ by up to 1e-5 (its documentation).
    torch.testing.assert_close(
        model.module.log_mel(batch), given["input_features"], rtol=0, atol=1e-5
    )


def test_whisper_is_read_over_the_utterances_own_frames(folders):
    model = load(folders["whisper"])
    one = model.front_end(FeatureSettings())(WAVE)[None]
    found = raw(model, one)
    # 9999 samples begin 63 frames of 160 samples and 32 of 320; silence up to 2 s follows.
    assert {name: value.shape[-1] for name, value in found.items()} == {
        "front.0": 63, "layer.0": 32, "layer.1": 32, "layer.2": 32, "final_norm": 32
    }  # fmt: skip
    _, _, expected = own_run(folders["whisper"], WAVE)
    pooled = TapReader(model.module, model.taps, POOLINGS["mean"]).read(one)
    torch.testing.assert_close(
        pooled["layer.1"], expected.hidden_states[1][:, :32].mean(dim=1), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("name", MASKED)
def test_padded_batches_give_what_each_utterance_gives_alone(folders, name, pooling):
    model = load(folders[name])
    assert model.padding == "lengths"
    reader = TapReader(model.module, model.taps, POOLINGS[pooling])
    rows, batch = padded(model)
    together = reader.read(batch, LENGTHS)
    for row, one in enumerate(rows):
        for layer, alone in reader.read(one[None]).items():
            # float32 rounding: sums over a batch go in another order.
            assert error(together[layer][[row]], alone) < 2e-5, (layer, row)


def padded(model):
    front_end = model.front_end(FeatureSettings())
    rows = [front_end(WAVE[:length]) for length in LENGTHS]
    batch = torch.zeros(len(rows), max(LENGTHS))
    for row, one in enumerate(rows):
        batch[row, : len(one)] = one
    return rows, batch


def error(found, alone):
    return ((found - alone).abs().max() / alone.abs().max()).item()


@pytest.mark.parametrize(
    ("name", "without"), [("hubert base", "norm"), ("wav2vec2 large", "attention")]
)
def test_leaving_a_mask_out_is_seen(folders, name, without, monkeypatch):
    model = load(folders[name])
    if without == "norm":
        monkeypatch.setattr(TimeNorm, "forward", torch.nn.GroupNorm.forward)
    else:
        forward = model.module.network.forward
        model.module.network.forward = lambda wave, mask=None: forward(wave)
    reader = TapReader(model.module, model.taps, POOLINGS["mean"])
    rows, batch = padded(model)
    together = reader.read(batch, LENGTHS)["layer.3"]
    alone = reader.read(rows[1][None])["layer.3"]
    assert error(together[[1]], alone) > 1e-2


@pytest.mark.parametrize(
    ("name", "other"), [("data2vec", {}), ("hubert base", {"conv_pos_batch_norm": True})]
)
def test_what_their_own_mask_does_not_reach_is_masked_by_rules(tmp_path, name, other):
    model = load(save(tmp_path / "m", name, **other))
    assert model.padding == "rules"
    assert all(check.ratio <= LIMIT for check in check_mask(model, "mean"))


@pytest.mark.parametrize("name", ["hubert base", "hubert large"])
def test_the_waveform_is_normalised_if_the_preprocessor_says_so(folders, name):
    samples = load(folders[name]).front_end(FeatureSettings())(WAVE + 500)
    assert samples.dtype == torch.float32
    if name == "hubert base":
        np.testing.assert_array_equal(samples, (WAVE + 500) / 32_768)
    else:
        assert samples.mean().item() == pytest.approx(0, abs=1e-5)
        assert samples.std(correction=0).item() == pytest.approx(1, abs=1e-4)


def test_too_much_for_whisper_and_too_little_for_a_convolution_is_refused(folders):
    seconds = CHUNK_SECONDS * 16_000
    whisper = load(folders["whisper"])
    long = np.ones(seconds + 1, dtype=np.float32)
    with pytest.raises(AudioError, match=r"at most 2 s, found 2.0 s; .*max_frames: 197"):
        whisper.front_end(FeatureSettings())(long)
    assert len(whisper.front_end(FeatureSettings())(long[:-1])) == seconds
    assert len(whisper.front_end(FeatureSettings(max_frames=197))(long)) == 400 + 196 * 160
    hubert = load(folders["hubert base"])
    assert len(hubert.front_end(FeatureSettings())(long[:165])) == 165
    with pytest.raises(AudioError, match="at least 165 samples"):
        hubert.front_end(FeatureSettings())(long[:164])


# Through the extractor, and the command line.


@pytest.mark.parametrize("name", ["wavlm base", "whisper"])
def test_a_shard_holds_what_each_utterance_gives_alone(tmp_path, folders, name):
    settings = TransformersSettings(name="x", checkpoint=folders[name])
    paths = []
    for row, n_samples in enumerate([8_000, 8_000, 6_000, 40_000]):
        paths.append(str(tmp_path / f"{row}.flac"))
        noise = np.random.default_rng(row).standard_normal(n_samples) * 3000
        soundfile.write(paths[-1], noise.astype(np.int16), 16_000)
    model = load_model(settings)
    ids = ("a", "b", "c", "d")
    shard = Shard(tmp_path / "s", 0, ids, tuple(paths), weights_digest(model))
    report = Extractor(ExtractSettings(model=settings, pooling="mean+std")).extract(shard)
    stored = ids[: report.n_utterances]
    assert stored == (ids[:3] if name == "whisper" else ids)
    assert all("too long" in one.reason for one in report.skipped)
    reader = TapReader(model.module, model.taps, POOLINGS["mean+std"])
    manifest = read_manifest(shard.folder, 0)
    assert list(manifest.layers) == [tap.name for tap in model.taps]
    for row, path in enumerate(paths[: len(stored)]):
        one = model.front_end(FeatureSettings())(load_audio(path))
        for layer, alone in reader.read(one[None]).items():
            values = torch.from_numpy(read_layer(shard.folder, 1, layer)[1][[row]])
            assert error(values, alone) < 1e-5, layer


def test_sweep_layers_shows_a_folders_layers(folders):
    result = CliRunner().invoke(app, ["layers", str(folders["wavlm large"])])
    assert result.exit_code == 0, result.output
    assert "wavlm, 0.01 M parameters" in result.stdout
    shown = [line.split() for line in result.stdout.splitlines() if "N/160" in line]
    assert [line[3] for line in shown if "layer." in line[3]] == [f"layer.{i}" for i in range(4)]
    assert "final_norm" in result.stdout


def test_shapes_and_widths_are_those_of_one_utterance(folders):
    info = describe_model(
        TransformersSettings(name="x", checkpoint=folders["wav2vec2 large"]), "mean+std"
    )
    shapes = {tap.name: (tap.shape, tap.width) for tap in info.taps}
    assert shapes["front.0"] == ((8, "N/5"), 16)
    assert shapes["projection"] == shapes["final_norm"] == (("N/160", 16), 32)


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_and_cost_are_known_without_computing(folders, name, monkeypatch):
    devices = set()
    for encoder in (WaveformEncoder, LogMelEncoder):

        def forward(self, wave, lengths=None, plain=encoder.forward):
            devices.add(wave.device.type)
            return plain(self, wave, lengths)

        monkeypatch.setattr(encoder, "forward", forward)
    settings = TransformersSettings(name="x", checkpoint=folders[name])
    assert describe_model(settings, "mean").taps
    assert forward_flops(settings) > 0
    assert devices == {"meta"}


def test_the_log_mel_is_exact_whatever_the_precision(folders, monkeypatch):
    model = load(folders["whisper"])
    given = []
    forward = model.module.network.forward
    model.module.network.forward = lambda mel: given.append(mel) or forward(mel)
    one = model.front_end(FeatureSettings())(WAVE)[None]
    with torch.inference_mode():
        model.module(one)
        with torch.autocast("cpu", torch.bfloat16):
            model.module(one)
    assert given[1].dtype == torch.float32
    assert torch.equal(given[0], given[1])


# Which weights.


def test_an_untrained_network_has_the_architecture_and_weights_of_its_seed(folders):
    folder = folders["wavlm base"]
    before = torch.get_rng_state()
    trained, first, again, other = (
        load(folder, **settings)
        for settings in (
            {},
            {"untrained": True},
            {"untrained": True, "seed": 0},
            {"untrained": True, "seed": 1},
        )
    )
    assert torch.equal(before, torch.get_rng_state())
    digests = [weights_digest(model) for model in (trained, first, again, other)]
    assert digests[1] == digests[2]
    assert len(set(digests)) == 3
    assert [tap.name for tap in trained.taps] == [tap.name for tap in first.taps]


def test_an_untrained_network_needs_no_weights(hubert):
    (hubert / "model.safetensors").unlink()
    assert load(hubert, untrained=True).architecture == "hubert"


def test_a_seed_is_for_an_untrained_network():
    with pytest.raises(ValidationError, match="untrained: true"):
        TypeAdapter(AnyModelSettings).validate_python(
            {"kind": "transformers", "name": "x", "checkpoint": "y", "seed": 1}
        )


def test_a_head_on_top_changes_nothing_and_is_not_mentioned(folders, tmp_path, capfd):
    base = transformers.Wav2Vec2Model.from_pretrained(folders["wav2vec2 base"])
    with_head = transformers.Wav2Vec2ForCTC(base.config)
    with_head.wav2vec2.load_state_dict(base.state_dict())
    save_network(tmp_path, with_head)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path)
    capfd.readouterr()
    digest = weights_digest(load(tmp_path))
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert digest == weights_digest(load(folders["wav2vec2 base"]))


def test_what_only_training_needs_may_be_missing_and_is_not_part_of_the_identity(tmp_path):
    folder = save(tmp_path / "m", "hubert base", mask_time_prob=0.0)
    change(folder, "config.json", mask_time_prob=0.05)
    assert weights_digest(load(folder)) == weights_digest(load(folder))


def test_the_preprocessor_is_part_of_the_identity(hubert):
    before = weights_digest(load(hubert))
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(hubert)
    assert weights_digest(load(hubert)) != before


def test_weights_of_half_precision_are_read_as_float32(hubert):
    network = transformers.AutoModel.from_pretrained(hubert).half()
    save_network(hubert, network)
    model = load(hubert)
    assert {tensor.dtype for tensor in model.module.state_dict().values()} == {torch.float32}


# What is refused, and what is not loaded.


def test_another_model_type_is_refused_with_those_there_are(hubert):
    change(hubert, "config.json", model_type="bert")
    with pytest.raises(ModelError, match=r"expected a model_type of wav2vec2, .*found bert"):
        load(hubert)


def test_a_preprocessor_that_does_not_fit_whisper_is_refused(tmp_path):
    folder = save(tmp_path / "w", "whisper")
    change(folder, "preprocessor_config.json", chunk_length=30, nb_max_frames=3_000)
    with pytest.raises(ModelError, match="expected nb_max_frames 200, found 3000"):
        load(folder)


def test_transformers_is_imported_only_for_its_models():
    code = "import sys, sweep.commands.app, jobs.models; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_family_is_tested():
    classes = {class_name for class_name, _ in NETWORKS.values()}
    assert classes == {model_type.network for model_type in MODEL_TYPES.values()}
