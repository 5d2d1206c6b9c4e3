"""Audio whose header does not give its length: all of it is read, and reading the header agrees."""

import struct

import numpy as np
import pytest

from jobs.audio.read import AudioError, examine, load_audio
from jobs.audio.segments import Span
from jobs.corpus.audio_checks import describe_audio
from tests.jobs.audio.encode import (
    RATE,
    encoded,
    flac_of_unknown_length,
    id3v2,
    mp3,
    mp3_frames,
    voice,
    wav_of_size,
    with_bytes,
    without_xing,
)

FRAME = 576
"""Samples of a frame of MP3 at 16 kHz (MPEG-2)."""


def read(tmp_path, name, data):
    """Write a file and return its samples; reading the header agrees with their number."""
    path = tmp_path / name
    path.write_bytes(data)
    described = describe_audio(path, len(data))
    wave = load_audio(path)
    assert described.n_samples == len(wave)
    assert described.seconds == pytest.approx(len(wave) / RATE, abs=1 / RATE)
    return wave


WAVE = voice()
PCM = np.round(np.clip(WAVE * 32768, -32768, 32767)).astype(np.int16)
WAV, FLAC = encoded(PCM, "WAV", "PCM_16"), encoded(PCM, "FLAC", "PCM_16")


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("order", ["quiet first", "loud first", "even"])
@pytest.mark.parametrize("before", [b"", id3v2(), id3v2(60_000), id3v2(300) + id3v2(500)])
def test_every_frame_of_an_mp3_without_its_length_is_read(tmp_path, mode, order, before):
    quiet = {"quiet first": slice(0, 12_000), "loud first": slice(12_000, None), "even": slice(0)}
    wave = WAVE.copy()
    wave[quiet[order]] *= 1e-4
    data = without_xing(mp3(wave, mode))
    found = read(tmp_path, "a.mp3", before + data)
    assert len(found) == FRAME * len(mp3_frames(data))
    # An encoder delays and pads by less than four frames.
    loud = np.flatnonzero(np.abs(found) > 3000)
    expected = np.flatnonzero(np.abs(wave * 32768) > 3000)
    assert loud[0] == pytest.approx(expected[0], abs=4 * FRAME)
    assert loud[-1] == pytest.approx(expected[-1], abs=4 * FRAME)


def test_an_mp3_that_says_its_length_is_read_to_it(tmp_path):
    assert len(read(tmp_path, "a.mp3", mp3(WAVE, "VARIABLE"))) == len(WAVE)
    assert len(read(tmp_path, "b.mp3", id3v2(60_000) + mp3(WAVE) + b"TAG" + bytes(125))) == len(
        WAVE
    )


def test_joined_mp3s_are_read_to_the_end(tmp_path):
    one, two = mp3(WAVE), mp3(WAVE, "VARIABLE")
    for number, data in enumerate((one + two, one + id3v2() + two)):
        found = read(tmp_path, f"{number}.mp3", data)
        frames = len(mp3_frames(one)) - 1 + len(mp3_frames(two))
        assert len(found) == FRAME * frames


def test_an_mp3_of_which_the_last_frame_is_cut_is_read(tmp_path):
    data = without_xing(mp3(WAVE))
    found = read(tmp_path, "a.mp3", data[:-10])
    assert len(found) == FRAME * len(mp3_frames(data))


def test_a_cut_mp3_that_says_its_length_is_refused(tmp_path):
    (tmp_path / "a.mp3").write_bytes(mp3(WAVE)[:-2000])
    with pytest.raises(AudioError, match=f"truncated: the header says {len(WAVE)} samples"):
        load_audio(tmp_path / "a.mp3")


@pytest.mark.parametrize("n_before", [0, 1, 3])
@pytest.mark.parametrize("after", [b"", b"TAG" + bytes(125)])
@pytest.mark.parametrize("md5", [True, False])
def test_a_flac_of_unknown_length_between_tags_is_read(tmp_path, n_before, after, md5):
    before = id3v2() * n_before
    wave = read(tmp_path, "a.flac", before + flac_of_unknown_length(FLAC, md5) + after)
    np.testing.assert_array_equal(wave, PCM)
    np.testing.assert_array_equal(read(tmp_path, "b.flac", before + FLAC + after), PCM)


def test_a_cut_flac_of_unknown_length_is_refused(tmp_path):
    path = tmp_path / "a.flac"
    path.write_bytes(flac_of_unknown_length(FLAC)[: len(FLAC) // 2])
    for reader in (load_audio, examine):
        with pytest.raises(AudioError, match="not readable as audio"):
            reader(path)


def test_a_wav_that_is_called_flac_is_read(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, "a.flac", WAV), PCM)


@pytest.mark.parametrize(
    "size", [0x7FFFF000, 0x7FFFF024, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFE, 0xFFFFFFFF, 0]
)
@pytest.mark.parametrize("riff", [None, 0, 0xFFFFFFFF])
def test_a_wav_with_a_placeholder_for_its_size_is_read_to_the_end(tmp_path, size, riff):
    np.testing.assert_array_equal(read(tmp_path, "a.wav", wav_of_size(WAV, size, riff)), PCM)


def test_an_odd_data_chunk_with_or_without_its_last_byte_is_complete(tmp_path):
    odd = len(WAV) - 44 + 1
    for number, tail in enumerate((b"", b"\1", b"\1\0", b"\1\0LIST\4\0\0\0INFO")):
        data = wav_of_size(WAV, odd) + tail
        np.testing.assert_array_equal(read(tmp_path, f"{number}.wav", data), PCM)


def test_an_empty_wav_with_a_list_of_tags_has_no_audio(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav_of_size(WAV[:44], 0, 48) + b"LIST\4\0\0\0INFO")
    for reader in (load_audio, examine):
        with pytest.raises(AudioError, match=r"zero duration.*save it again with its length, for"):
            reader(tmp_path / "a.wav")


RF64, W64 = encoded(PCM, "RF64", "PCM_16"), encoded(PCM, "W64", "PCM_16")
AIFF, AU = encoded(PCM, "AIFF", "PCM_16"), encoded(PCM, "AU", "PCM_16")
CAF = encoded(PCM, "CAF", "PCM_16")


def rf64_of(riff, data, samples):
    at = RF64.index(b"ds64") + 8
    return with_bytes(RF64, (at, struct.pack("<QQQ", riff, data, samples)))


def aiff_of(form, samples, sound):
    frames, chunk = AIFF.index(b"COMM") + 10, AIFF.index(b"SSND") + 4
    changes = ((4, form), (frames, samples), (chunk, sound))
    return with_bytes(AIFF, *((at, struct.pack(">I", value)) for at, value in changes))


@pytest.mark.parametrize(
    "data",
    [
        rf64_of(0, 0, 0),
        rf64_of(2**64 - 1, 2**64 - 1, 2**64 - 1),
        rf64_of(len(RF64) - 8, 2 * len(PCM), 0),
        rf64_of(len(RF64) - 8, 0, len(PCM)),
        with_bytes(W64, (W64.index(b"data") + 16, bytes(8))),
        with_bytes(W64, (16, b"\xff" * 8), (W64.index(b"data") + 16, b"\xff" * 8)),
        aiff_of(0, 0, 0),
        aiff_of(46, 0, 8),
        aiff_of(len(AIFF) - 8, 0, 2 * len(PCM) + 8),
        aiff_of(0x7F000000, 0x7F000000, 0x7F000008),
        aiff_of(2**32 - 1, 2**32 - 1, 2**32 - 1),
        with_bytes(AU, (8, b"\xff\xff\xff\xff")),
        with_bytes(AU, (8, b"\x7f\xff\xff\xff")),
        with_bytes(AU, (8, bytes(4))),
        with_bytes(CAF, (CAF.index(b"data", 44) + 4, b"\xff" * 8)),
    ],
)
def test_other_containers_with_placeholders_are_read_to_the_end(tmp_path, data):
    np.testing.assert_array_equal(read(tmp_path, "a.audio", data), PCM)


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "SVX", "NIST"])
@pytest.mark.parametrize("share", [0.5, 0.999])
def test_a_cut_file_is_refused_from_its_header(tmp_path, container, share):
    data = encoded(PCM, container, "PCM_16")
    path = tmp_path / "a.audio"
    np.testing.assert_array_equal(read(tmp_path, "whole.audio", data), PCM)
    path.write_bytes(data[: int(len(data) * share)])
    for reader in (load_audio, examine):
        with pytest.raises(AudioError, match=r"truncated: the header says \d+ (bytes|samples)"):
            reader(path)


@pytest.mark.parametrize("coding", ["VORBIS", "OPUS"])
def test_joined_ogg_files_are_refused_and_single_ones_read(tmp_path, coding):
    data = encoded(WAVE, "OGG", coding)
    assert len(read(tmp_path, "one.ogg", data)) == len(WAVE)
    (tmp_path / "two.ogg").write_bytes(data + encoded(WAVE[:8000], "OGG", coding))
    for reader in (load_audio, examine):
        with pytest.raises(AudioError, match="several streams one after another"):
            reader(tmp_path / "two.ogg")


def test_aac_is_refused_with_the_way_to_convert_it(tmp_path):
    frame = bytes([0xFF, 0xF1, 0x60, 0x40, 25, 0x1F, 0xFC]) + bytes(range(193))
    for name in ("a.aac", "a.mp3", "a.m4a"):
        path = tmp_path / name
        path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(500) if "m4a" in name else frame * 50)
        with pytest.raises(AudioError, match=r"not readable as audio: .*ffmpeg -i FILE FILE\.flac"):
            describe_audio(path, path.stat().st_size)


def test_pieces_of_a_file_of_unknown_length_are_its_samples(tmp_path):
    for name, data in (
        ("a.flac", flac_of_unknown_length(FLAC)),
        ("a.mp3", without_xing(mp3(WAVE, "VARIABLE"))),
    ):
        whole = read(tmp_path, name, data)
        seconds = len(whole) / RATE
        for span in (Span(0.25, 1.0), Span(1.0, seconds + 0.01)):
            first, length = span.samples(RATE, len(whole))
            piece = load_audio(span.of(tmp_path / name))
            np.testing.assert_array_equal(piece, whole[first : first + length])
        with pytest.raises(AudioError, match="beyond the end"):
            load_audio(Span(1.0, seconds + 5).of(tmp_path / name))


def test_a_file_is_decoded_again_only_when_it_has_changed(tmp_path):
    path = tmp_path / "a.flac"
    path.write_bytes(flac_of_unknown_length(FLAC))
    assert examine(path) is examine(path)
    path.write_bytes(flac_of_unknown_length(encoded(PCM[:8000], "FLAC", "PCM_16")))
    assert examine(path).length == 8000


def test_a_file_in_a_format_without_seeking_is_read(tmp_path):
    found = read(tmp_path, "a.wav", encoded(WAVE, "WAV", "GSM610"))
    assert len(found) == pytest.approx(len(WAVE), abs=320)  # a block
