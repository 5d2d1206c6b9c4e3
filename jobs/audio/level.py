"""Level of float samples: whether full scale is 1, as it should be, or that of an integer type.

Float files have no largest value, and some programs write integers into them as they are. Networks
would then receive samples that are tens of thousands of times too large.
"""

import numpy as np
import numpy.typing as npt

LOUDEST = 16.0
"""Largest magnitude taken for audio with a full scale of 1: 24 dB above it, more than clipping or a
gain leave behind."""
_FULL_SCALES = (2.0**15, 2.0**23, 2.0**31)
"""Full scales of 16-, 24- and 32-bit integers. Those of 8 bits are not told from faint 16-bit
ones."""
_LOWEST, _HIGHEST = 2.0**-6, 2.0
"""The peak of speech, relative to full scale: 36 dB below it to 6 dB above. Within this, no peak
belongs to two full scales."""
_LEAST_SHARE = 0.01
"""Least share of samples beyond ``LOUDEST``: in a damaged file, it is a few."""


class LevelMeter:
    """Peak of a file's samples, and how many are beyond ``LOUDEST``, over blocks."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._beyond = self._samples = 0

    def add(self, block: npt.NDArray[np.float32]) -> None:
        """Add samples; the peak is NaN from the first NaN on."""
        if not block.size:
            return
        magnitude = np.abs(block)
        self.peak = float(np.maximum(self.peak, magnitude.max()))
        self._beyond += int(np.count_nonzero(magnitude > LOUDEST))
        self._samples += block.size

    def full_scale(self) -> float:
        """Return the value of a full-scale sample: 1, or a power of two for integers.

        Raises:
            ValueError: it is not plain, and the level is therefore unknown.
        """
        if self.peak <= LOUDEST:
            return 1.0
        if self._beyond >= _LEAST_SHARE * self._samples:
            for full_scale in _FULL_SCALES:
                if _LOWEST <= self.peak / full_scale <= _HIGHEST:
                    return full_scale
        raise ValueError(
            "unknown level: expected float samples of about ±1, or integers of 16, 24 or 32 bits, "
            f"found a peak of {self.peak:.3g}; divide them by their full scale and save them again"
        )
