"""Audio files whose headers do not give their length, made from files that do."""

import io
import struct

import numpy as np
import soundfile

RATE = 16_000


def voice(seconds=1.5, seed=0):
    """(N,) a tone with noise, within ±0.35."""
    times = np.arange(int(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(times))
    return 0.3 * np.sin(2 * np.pi * 200 * times) + 0.01 * noise


def encoded(wave, container, coding=None, rate=RATE, **options):
    content = io.BytesIO()
    soundfile.write(content, wave, rate, format=container, subtype=coding, **options)
    return content.getvalue()


def mp3(wave, mode="CONSTANT", rate=RATE):
    return encoded(wave, "MP3", rate=rate, bitrate_mode=mode, compression_level=0.5)


def id3v2(length=300):
    """An ID3v2.3 tag with a picture of ``length`` bytes."""
    body = b"APIC" + length.to_bytes(4) + bytes(2) + bytes(length)
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + body


def mp3_frames(data):
    """Sizes of the frames of an MPEG-2 layer III stream at 16 kHz, from its start."""
    kbps = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    offset, sizes = 0, []
    while offset + 4 <= len(data) and data[offset] == 0xFF:
        sizes.append(72_000 * kbps[data[offset + 2] >> 4] // RATE + (data[offset + 2] >> 1 & 1))
        offset += sizes[-1]
    return sizes


def without_xing(data):
    first = mp3_frames(data)[0]
    assert b"Xing" in data[:first] or b"Info" in data[:first]
    return data[first:]


def with_bytes(data, *changes):
    """``data`` with (offset, bytes) written over it."""
    changed = bytearray(data)
    for offset, replacement in changes:
        changed[offset : offset + len(replacement)] = replacement
    return bytes(changed)


def flac_of_unknown_length(data, md5=False):
    cleared = bytes([data[21] & 0xF0, 0, 0, 0, 0])
    return with_bytes(data, (21, cleared), *(() if md5 else ((26, bytes(16)),)))


def wav_of_size(data, size, riff=None):
    """A WAV of 44 bytes of header with another size of its data chunk."""
    assert data[36:40] == b"data"
    riff = (size + 36) & 0xFFFFFFFF if riff is None else riff
    return with_bytes(data, (4, struct.pack("<I", riff)), (40, struct.pack("<I", size)))
