"""Float samples with the values of integers are brought to scale where that is beyond doubt."""

import numpy as np
import pytest
import soundfile

from jobs.audio.read import AudioError, load_audio
from jobs.audio.segments import Span
from jobs.corpus.audio_checks import describe_audio
from tests.jobs.audio.encode import voice


def write(path, wave, subtype="FLOAT", rate=16_000):
    soundfile.write(path, wave, rate, subtype=subtype)
    return path


def describe(path):
    return describe_audio(path, path.stat().st_size)


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("level", [3.0, 1.0, 0.1])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("whole", [True, False])
def test_samples_in_the_range_of_integers_are_divided_by_it(tmp_path, bits, level, subtype, whole):
    wave = level * voice()  # a peak of about a third of the level
    scaled = wave * 2.0 ** (bits - 1)
    path = write(tmp_path / "a.wav", np.round(scaled) if whole else scaled, subtype)
    assert describe(path).full_scale == 2 ** (bits - 1)
    # Rounding to an integer, or to float32.
    tolerance = 0.5 * 2.0 ** (16 - bits) + 1e-7 * 32_768
    np.testing.assert_allclose(load_audio(path), wave * 32_768, rtol=1e-6, atol=tolerance)


@pytest.mark.parametrize("peak", [0.001, 0.9, 1.0, 1.7, 4.0, 12.0])
def test_a_loud_or_clipped_file_keeps_its_level(tmp_path, peak):
    wave = voice()
    wave *= peak / np.abs(wave).max()
    path = write(tmp_path / "a.wav", wave)
    assert describe(path).full_scale == 1.0
    np.testing.assert_array_equal(load_audio(path), wave.astype(np.float32) * 32_768)


@pytest.mark.parametrize("peak", [32.0, 127.0, 300.0, 90_000.0, 2.0**35, 1e30])
def test_what_may_be_one_or_the_other_is_refused(tmp_path, peak):
    wave = voice()
    path = write(tmp_path / "a.wav", wave * (peak / np.abs(wave).max()))
    for reader in (describe, load_audio):
        with pytest.raises(AudioError, match=r"unknown level: .* divide them by their full scale"):
            reader(path)


@pytest.mark.parametrize("value", [1000.0, 30_000.0, 2e6, 2e9])
def test_single_damaged_samples_are_no_other_scale(tmp_path, value):
    wave = voice()
    wave[5000:5050] = value
    path = write(tmp_path / "a.wav", wave)
    with pytest.raises(AudioError, match="unknown level"):
        load_audio(path)


def test_pieces_have_the_scale_of_their_file(tmp_path):
    wave = voice(3.0) * 32_768
    wave[16_000:32_000] *= 1e-4  # on its own, within ±1
    path = write(tmp_path / "a.wav", wave)
    for start in (0, 1, 2):
        piece = load_audio(Span(start, start + 1).of(path))
        expected = wave[start * 16_000 : (start + 1) * 16_000].astype(np.float32)
        np.testing.assert_array_equal(piece, expected)


def test_only_the_digest_of_a_scaled_file_differs(tmp_path):
    scaled = describe(write(tmp_path / "a.wav", voice() * 32_768))
    assert scaled.digest.endswith("-fs32768")
    assert scaled.piece(Span(0.5, 1.0)).digest.endswith("-fs32768@8000+8000")
    plain = describe(write(tmp_path / "b.wav", voice()))
    assert plain.digest.count("-") == 2


def test_samples_of_integer_formats_are_never_scaled(tmp_path):
    for subtype in ("PCM_16", "PCM_24", "PCM_32", "ULAW"):
        assert describe(write(tmp_path / "a.wav", voice(), subtype)).full_scale == 1.0
