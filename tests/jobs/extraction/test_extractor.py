"""Extraction of a shard: right rows, one pass each, and what cannot be read is left out."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from jobs.activations.cache_layout import data_path
from jobs.activations.store import read_layer, read_manifest
from jobs.audio.features import Fbank
from jobs.audio.frames import n_frames
from jobs.audio.read import load_audio
from jobs.audio.settings import FeatureSettings
from jobs.extraction.extractor import Extractor
from jobs.extraction.settings import ExtractSettings
from jobs.extraction.shard import Shard
from jobs.models import load_model
from jobs.models.baselines.settings import BaselineSettings
from jobs.models.describe import weights_digest
from jobs.models.errors import ModelError
from jobs.models.pooling import POOLINGS
from jobs.models.precision import recorded_errors
from jobs.models.tap_reader import TapReader
from jobs.models.wespeaker.package import import_network_module
from jobs.models.wespeaker.settings import WespeakerSettings

SAMPLES = [6000, 8000, 6000, 6010, 9000, 6000]
"""Rows 0, 2, 3 and 5 have equally many frames."""
MODEL = WespeakerSettings(
    name="x", architecture="SimAM_ResNet34_ASP", model_args={"in_planes": 4, "embed_dim": 8}
)


BASELINES = {what: BaselineSettings(name=what, what=what) for what in ("duration", "fbank")}
DIGEST = weights_digest(load_model(MODEL))


@pytest.fixture
def audio(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for row, n_samples in enumerate(SAMPLES):
        path = tmp_path / f"u{row}.flac"
        soundfile.write(path, (rng.standard_normal(n_samples) * 3000).astype(np.int16), 16_000)
        paths.append(str(path))
    return paths


def shard_of(folder, paths, index=0, digest=DIGEST):
    names = tuple(f"u{row}" for row in range(len(paths)))
    return Shard(folder / "activations", index, names, tuple(paths), digest)


def read_all(shard, layers):
    return {layer: read_layer(shard.folder, 1, layer)[1] for layer in layers}


@pytest.fixture
def batches(monkeypatch):
    """The shapes of what every forward pass was given."""
    network = import_network_module("samresnet").SimAM_ResNet34_ASP
    forward, shapes = network.forward, []

    def counted(self, x):
        if not x.is_meta:  # as in the check of its arguments, when a network is built
            shapes.append(tuple(x.shape))
        return forward(self, x)

    monkeypatch.setattr(network, "forward", counted)
    return shapes


@pytest.mark.parametrize("pooling", POOLINGS)
def test_rows_equal_each_utterance_read_alone(tmp_path, audio, pooling):
    settings = ExtractSettings(model=MODEL, pooling=pooling)
    shard = shard_of(tmp_path, audio)
    report = Extractor(settings).extract(shard)
    manifest = read_manifest(shard.folder, 0)
    assert manifest.utterance_ids == shard.utterance_ids
    assert (report.n_utterances, report.skipped) == (6, ())
    assert report.bytes_written == manifest.n_bytes

    model = load_model(MODEL)
    front_end = model.front_end(FeatureSettings())
    reader = TapReader(model.module, model.taps, POOLINGS[pooling])
    stored = read_all(shard, manifest.layers)
    assert list(stored) == [tap.name for tap in model.taps]
    for row, path in enumerate(audio):
        for layer, alone in reader.read(front_end(load_audio(path))[None]).items():
            scale = alone.abs().max().item()
            # float32 rounding: convolutions over a batch sum in another order.
            np.testing.assert_allclose(stored[layer][[row]], alone, rtol=0, atol=1e-5 * scale)


def test_every_utterance_passes_once_and_nothing_is_padded(tmp_path, audio, batches):
    report = Extractor(ExtractSettings(model=MODEL)).extract(shard_of(tmp_path, audio))
    frames = [n_frames(n_samples) for n_samples in SAMPLES]
    assert sorted(batches) == sorted([(4, frames[0], 80), (1, frames[1], 80), (1, frames[4], 80)])
    assert report.frames_computed == report.frames_useful == sum(frames)


def test_a_batch_is_bounded_by_its_frames(tmp_path, audio, batches, monkeypatch):
    monkeypatch.setattr("jobs.extraction.forward.EQUAL_BATCH_FRAMES", 80)
    Extractor(ExtractSettings(model=MODEL)).extract(shard_of(tmp_path, audio))
    assert sorted(shape[:2] for shape in batches) == [(1, 48), (1, 54), (2, 36), (2, 36)]


@pytest.mark.parametrize("loaders", [1, 3])
def test_masked_batches_and_loading_threads_change_nothing(tmp_path, audio, batches, loaders):
    plain, masked = shard_of(tmp_path / "1", audio), shard_of(tmp_path / "2", audio)
    Extractor(ExtractSettings(model=MODEL)).extract(plain)
    batches.clear()
    extractor = Extractor(ExtractSettings(model=MODEL), batching="masked", loaders=loaders)
    report = extractor.extract(masked)
    assert {rows for rows, _, _ in batches} == {1, 4}  # 54 and 48 frames differ by too much
    assert report.n_utterances == 6
    manifest = read_manifest(masked.folder, 0)
    assert manifest.utterance_ids == masked.utterance_ids
    assert manifest.info["batches"] == "masked"
    expected, found = (read_all(shard, manifest.layers) for shard in (plain, masked))
    for layer, values in expected.items():
        scale = np.abs(values).max()
        np.testing.assert_allclose(found[layer], values, rtol=0, atol=1e-5 * scale)


def test_threads_may_extract_shards_at_the_same_time(tmp_path, audio):
    extractor = Extractor(ExtractSettings(model=MODEL))
    shards = [shard_of(tmp_path / name, audio) for name in "123"]
    with ThreadPoolExecutor(3) as threads:
        reports = list(threads.map(extractor.extract, shards))
    assert [report.n_utterances for report in reports] == [6, 6, 6]
    for layer in read_manifest(shards[0].folder, 0).layers:
        values = [read_layer(shard.folder, 1, layer)[1] for shard in shards]
        np.testing.assert_array_equal(values[0], values[1])
        np.testing.assert_array_equal(values[0], values[2])


def test_what_bf16_costs_is_kept_in_the_manifest(tmp_path, audio):
    model = MODEL.model_copy(update={"precision": "bf16"})
    shards = [shard_of(tmp_path, audio, index) for index in (0, 1)]
    extractor = Extractor(ExtractSettings(model=model))
    for shard in shards:
        extractor.extract(shard)
    infos = [read_manifest(shard.folder, shard.index).info for shard in shards]
    assert {info["precision"]["precision"] for info in infos} == {"bf16"}
    errors = recorded_errors(infos)
    assert list(errors) == [tap.name for tap in load_model(MODEL).taps]
    assert all(1e-4 < error.median <= error.largest < 0.3 for error in errors.values())


def test_float32_is_said_nothing_of(tmp_path, audio):
    shard = shard_of(tmp_path, audio)
    Extractor(ExtractSettings(model=MODEL)).extract(shard)
    info = read_manifest(shard.folder, 0).info
    assert "precision" not in info
    assert recorded_errors([info]) == {}


def test_windows_are_read_each_by_itself_and_averaged(tmp_path, audio, batches):
    features = FeatureSettings(max_frames=20, crop="windows")
    shard = shard_of(tmp_path, audio)
    report = Extractor(ExtractSettings(model=MODEL, features=features)).extract(shard)
    # 36 frames make 2 windows, 48 and 54 make 3.
    assert batches == [(14, 20, 80)]
    assert report.frames_useful == report.frames_computed == 14 * 20
    model = load_model(MODEL)
    reader = TapReader(model.module, model.taps, POOLINGS["mean"])
    wave = load_audio(audio[1])
    starts = (0, 20, 28)
    windows = [Fbank()(wave[160 * start : 160 * start + 400 + 19 * 160]) for start in starts]
    expected = reader.read(torch.stack(windows))
    for layer, values in expected.items():
        found = read_layer(shard.folder, 1, layer)[1][1]
        scale = values.abs().max().item()
        np.testing.assert_allclose(found, values.mean(dim=0), rtol=0, atol=1e-5 * scale)


def test_padding_of_the_features_is_deliberate_and_not_masked(tmp_path, audio, batches):
    features = FeatureSettings(max_frames=50, pad_to=50)
    shard = shard_of(tmp_path, audio)
    settings = ExtractSettings(model=MODEL, features=features)
    report = Extractor(settings, batching="masked").extract(shard)
    assert batches == [(6, 50, 80)]
    assert report.frames_useful == 6 * 50
    model = load_model(MODEL)
    reader = TapReader(model.module, model.taps, POOLINGS["mean"])
    short = torch.zeros(1, 50, 80)
    short[0, :36] = Fbank()(load_audio(audio[0]))
    expected = reader.read(short)["embedding"]
    found = read_layer(shard.folder, 1, "embedding")[1][[0]]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_a_baseline_is_of_the_whole_utterance_whatever_networks_see(tmp_path, audio):
    model = BASELINES["duration"]
    for crop in ("start", "centre", "windows"):
        shard = shard_of(tmp_path / crop, audio, digest=weights_digest(load_model(model)))
        features = FeatureSettings(max_frames=20, crop=crop, pad_to=30)
        Extractor(ExtractSettings(model=model, features=features)).extract(shard)
        values = read_layer(shard.folder, 1, "duration")[1]
        np.testing.assert_allclose(values[:, 0], np.array(SAMPLES) / 16_000, rtol=1e-6)


def test_max_frames_crops_and_lets_all_share_a_batch(tmp_path, audio, batches):
    settings = ExtractSettings(model=MODEL, features=FeatureSettings(max_frames=20))
    report = Extractor(settings).extract(shard_of(tmp_path, audio))
    assert batches == [(6, 20, 80)]
    assert report.frames_useful == 120


def test_an_extractor_gives_the_same_bits_again(tmp_path, audio):
    extractor = Extractor(ExtractSettings(model=MODEL))
    shards = [shard_of(tmp_path / name, audio) for name in "123"]
    extractor.extract(shards[0])
    Extractor(ExtractSettings(model=MODEL)).extract(shards[1])
    extractor.extract(shards[2])
    for layer in read_manifest(shards[0].folder, 0).layers:
        values = [read_layer(shard.folder, 1, layer)[1] for shard in shards]
        np.testing.assert_array_equal(values[0], values[1])
        np.testing.assert_array_equal(values[0], values[2])


def test_unusable_audio_is_left_out_with_its_reason_and_the_rest_goes_on(tmp_path, audio):
    (tmp_path / "empty.flac").touch()
    (tmp_path / "text.flac").write_text("no audio at all")
    soundfile.write(tmp_path / "short.flac", np.ones(100, dtype=np.int16), 16_000)
    bad = [str(tmp_path / name) for name in ("text.flac", "empty.flac", "short.flac")]
    shard = shard_of(tmp_path, [bad[0], audio[0], bad[1], audio[1], bad[2]])
    report = Extractor(ExtractSettings(model=MODEL)).extract(shard)
    assert report.n_utterances == 2
    assert [(one.utterance_id, one.path) for one in report.skipped] == [
        ("u0", bad[0]),
        ("u2", bad[1]),
        ("u4", bad[2]),
    ]
    assert all(
        word in one.reason
        for word, one in zip(("not readable", "empty", "too short"), report.skipped, strict=True)
    )
    names, values = read_layer(shard.folder, 1, "embedding")
    assert names == ["u1", "u3"]
    assert values.shape == (2, 8)
    assert read_manifest(shard.folder, 0).skipped == report.skipped


def test_a_shard_of_nothing_but_unusable_audio_is_finished(tmp_path, batches):
    (tmp_path / "empty.flac").touch()
    shard = shard_of(tmp_path, [str(tmp_path / "empty.flac")])
    report = Extractor(ExtractSettings(model=MODEL)).extract(shard)
    assert (report.n_utterances, report.frames_computed, batches) == (0, 0, [])
    assert read_manifest(shard.folder, 0).skipped == report.skipped
    assert read_layer(shard.folder, 1, "embedding")[0] == []


def test_any_other_failure_is_raised_and_leaves_no_shard(tmp_path, audio, monkeypatch):
    def fail(_):
        raise MemoryError("no room")

    monkeypatch.setattr("jobs.extraction.extractor.load_audio", fail)
    shard = shard_of(tmp_path, audio)
    with pytest.raises(MemoryError, match="no room"):
        Extractor(ExtractSettings(model=MODEL)).extract(shard)
    assert read_manifest(shard.folder, 0) is None


def test_half_precision_is_stored_rounded(tmp_path, audio):
    single, half = shard_of(tmp_path / "1", audio), shard_of(tmp_path / "2", audio)
    Extractor(ExtractSettings(model=MODEL)).extract(single)
    report = Extractor(ExtractSettings(model=MODEL, dtype="float16")).extract(half)
    assert report.bytes_written < 0.6 * read_manifest(single.folder, 0).n_bytes
    for layer in ("stem", "layer3.2.simam", "embedding"):
        expected = read_layer(single.folder, 1, layer)[1].astype(np.float16)
        np.testing.assert_array_equal(read_layer(half.folder, 1, layer)[1], expected)


def with_bias(monkeypatch, value):
    """Every network that is loaded gets ``value`` added to its embedding; returns its digest."""

    def loaded(settings):
        model = load_model(settings)
        with torch.no_grad():
            model.module.bottleneck.bias.fill_(value)
        return model

    monkeypatch.setattr("jobs.extraction.extractor.load_model", loaded)
    return weights_digest(loaded(MODEL))


def test_a_value_beyond_half_precision_names_its_layer_and_leaves_no_shard(
    tmp_path, audio, monkeypatch
):
    shard = shard_of(tmp_path, audio, digest=with_bias(monkeypatch, 1e5))
    with pytest.raises(OverflowError, match="'embedding'"):
        Extractor(ExtractSettings(model=MODEL, dtype="float16")).extract(shard)
    assert read_manifest(shard.folder, 0) is None


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_activations_that_are_not_finite_are_stored_as_they_are(
    tmp_path, audio, monkeypatch, dtype
):
    shard = shard_of(tmp_path, audio, digest=with_bias(monkeypatch, float("nan")))
    Extractor(ExtractSettings(model=MODEL, dtype=dtype)).extract(shard)
    assert np.isnan(read_layer(shard.folder, 1, "embedding")[1]).all()
    assert np.isfinite(read_layer(shard.folder, 1, "pooling")[1]).all()


def test_baselines_are_extracted_as_models_are(tmp_path, audio):
    for what, layer in (("duration", "duration"), ("fbank", "statistics")):
        model = BASELINES[what]
        shard = shard_of(tmp_path / what, audio, digest=weights_digest(load_model(model)))
        report = Extractor(ExtractSettings(model=model)).extract(shard)
        assert report.frames_computed == report.frames_useful > 0
        values = read_layer(shard.folder, 1, layer)[1]
        assert values.shape == (6, 1 if what == "duration" else 160)
        if what == "duration":
            np.testing.assert_allclose(values[:, 0], np.array(SAMPLES) / 16_000, rtol=1e-6)


def forbid_reading(path):
    """Refused even to root, whom permissions do not stop."""
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize("hide", [Path.unlink, forbid_reading])
def test_audio_that_cannot_be_reached_fails_the_shard_and_leaves_none(tmp_path, audio, hide):
    """The corpus reader saw it: a disk that was away must not become a finding about the audio."""
    hide(Path(audio[1]))
    shard = shard_of(tmp_path, audio)
    extractor = Extractor(ExtractSettings(model=MODEL))
    with pytest.raises(OSError, match=r"u1\.flac"):
        extractor.extract(shard)
    assert read_manifest(shard.folder, 0) is None


def damage(path):
    """Break the frames in the middle; the header, with its MD5, and the size stay."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 500] = bytes(500)
    path.write_bytes(content)


def test_a_shard_is_made_again_when_a_file_that_it_left_out_was_repaired(tmp_path, audio):
    path = Path(audio[1])
    whole, shard = path.read_bytes(), shard_of(tmp_path, audio)
    damage(path)
    assert len(path.read_bytes()) == len(whole)
    extractor = Extractor(ExtractSettings(model=MODEL))
    assert [one.utterance_id for one in extractor.extract(shard).skipped] == ["u1"]
    assert extractor.extract(shard).frames_computed == 0
    path.write_bytes(whole)
    assert extractor.extract(shard).skipped == ()
    assert read_manifest(shard.folder, 0).utterance_ids == shard.utterance_ids


def test_a_finished_shard_is_kept_and_costs_no_pass(tmp_path, audio, batches):
    shard = shard_of(tmp_path, audio)
    extractor = Extractor(ExtractSettings(model=MODEL))
    first = extractor.extract(shard)
    written = data_path(shard.folder, 0).stat().st_mtime_ns
    batches.clear()
    second = extractor.extract(shard)
    assert batches == []
    assert data_path(shard.folder, 0).stat().st_mtime_ns == written
    assert (second.n_utterances, second.frames_computed, second.bytes_written) == (6, 0, 0)
    assert first.bytes_written > 0


def test_weights_that_changed_since_the_plan_are_refused(tmp_path, audio):
    planned = "0123456789abcdef"
    shard = shard_of(tmp_path, audio, digest=planned)
    with pytest.raises(ModelError, match=f"x: the weights changed .*{planned}, found {DIGEST}"):
        Extractor(ExtractSettings(model=MODEL)).extract(shard)
    assert read_manifest(shard.folder, 0) is None
