"""Sampling rate and frames: 25 ms long, one every 10 ms, at 16 kHz."""

SAMPLE_RATE = 16_000
"""Hz; all models take audio at this rate."""
FRAME_LENGTH = 400
"""Samples per frame, 25 ms: shorter audio has no features."""
FRAME_SHIFT = 160
"""Samples from one frame to the next: 10 ms."""
N_BINS = 80
"""Default number of mel bins."""


def resampled_length(n_samples: int, sample_rate: int) -> int:
    """Return the number of samples at 16 kHz of ``n_samples`` at ``sample_rate`` Hz."""
    return -(-n_samples * SAMPLE_RATE // sample_rate)


def n_frames(n_samples: int, max_frames: int | None = None) -> int:
    """Return the number of whole frames in ``n_samples`` samples, at most ``max_frames``."""
    frames = 1 + (n_samples - FRAME_LENGTH) // FRAME_SHIFT if n_samples >= FRAME_LENGTH else 0
    return frames if max_frames is None else min(frames, max_frames)
