"""Baselines are models: one layer each, read as any other."""

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from jobs.audio.features import Fbank
from jobs.audio.settings import FeatureSettings
from jobs.models import AnyModelSettings, describe_model, load_model
from jobs.models.baselines.networks import BASELINES
from jobs.models.baselines.settings import BaselineSettings
from jobs.models.pooling import POOLINGS
from jobs.models.tap_reader import TapReader

WAVE = (3000 * np.random.default_rng(0).standard_normal(12_345)).astype(np.float32)


def read(what, wave=WAVE, pooling="mean", **features):
    model = load_model(BaselineSettings(name="b", what=what))
    one = model.front_end(FeatureSettings(**features))(wave)
    return TapReader(model.module, model.taps, POOLINGS[pooling]).read(one[None])


def test_duration_is_the_seconds_of_the_whole_utterance():
    assert read("duration")["duration"].tolist() == [[pytest.approx(12_345 / 16_000)]]
    assert read("duration", max_frames=3)["duration"].tolist() == [[pytest.approx(12_345 / 16_000)]]


@pytest.mark.parametrize("max_frames", [None, 20])
def test_fbank_statistics_are_the_spread_of_what_networks_get_and_of_its_changes(max_frames):
    found = read("fbank", max_frames=max_frames)["statistics"]
    frames_TF = Fbank(FeatureSettings(max_frames=max_frames))(WAVE).double().numpy()
    changes_TF = np.diff(frames_TF, axis=0, prepend=frames_TF[:1])
    assert found.shape == (1, 160)
    # float32 rounding.
    np.testing.assert_allclose(found[0, :80], frames_TF.std(axis=0, ddof=0), rtol=1e-4)
    np.testing.assert_allclose(found[0, 80:], changes_TF.std(axis=0, ddof=0), rtol=1e-4)


def test_fbank_statistics_do_not_know_the_level_or_the_padding():
    louder, padded = read("fbank", wave=4 * WAVE), read("fbank", pad_to=400)
    plain = read("fbank")["statistics"]
    torch.testing.assert_close(louder["statistics"], plain, rtol=1e-3, atol=1e-4)
    assert torch.equal(padded["statistics"], plain)


def test_fbank_statistics_of_one_frame_are_zero():
    assert torch.equal(read("fbank", wave=WAVE[:400])["statistics"], torch.zeros(1, 160))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_does_not_matter(pooling):
    assert torch.equal(read("fbank", pooling=pooling)["statistics"], read("fbank")["statistics"])


@pytest.mark.parametrize(
    ("what", "name", "width"), [("duration", "duration", 1), ("fbank", "statistics", 160)]
)
def test_description_has_one_layer_and_no_parameters(what, name, width):
    info = describe_model(BaselineSettings(name="b", what=what), "mean+std")
    (tap,) = info.taps
    assert (tap.index, tap.name, tap.shape, tap.width) == (0, name, (width,), width)
    assert info.n_parameters == 0
    assert info.architecture == f"baseline:{what}"


def test_baselines_have_different_digests():
    digests = {describe_model(BaselineSettings(name="b", what=w), "mean").digest for w in BASELINES}
    assert len(digests) == len(BASELINES)


def test_two_loaded_baselines_share_nothing():
    first, second = (load_model(BaselineSettings(name="b", what="fbank")) for _ in range(2))
    assert first.module is not second.module


def test_kind_tells_settings_apart():
    adapter = TypeAdapter(AnyModelSettings)
    one = adapter.validate_python({"kind": "baseline", "name": "d", "what": "duration"})
    assert isinstance(one, BaselineSettings)
    with pytest.raises(ValidationError, match="duration"):
        adapter.validate_python({"kind": "baseline", "name": "d", "what": "loudness"})
