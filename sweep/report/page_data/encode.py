"""Compact forms of many numbers: rounded for reading, or packed into text for drawing."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
"""Digits of packed numbers, those of URL-safe base64: none has a meaning in HTML or JSON."""
STEPS = len(ALPHABET) ** 2
"""Number of values that a packed number can have: finer than a pixel of any screen."""
UNKNOWN = "~~"
"""Packed form of a value that is not known."""


def rounded(values: Iterable[float], digits: int = 4) -> list[float | None]:
    """Round to significant ``digits``; what is not finite becomes None."""
    return [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in values]


def packed(values: npt.NDArray[np.floating], low: float, high: float) -> str:
    """Write each value with two characters, as its place between ``low`` and ``high``.

    What lies beyond an end is written as that end, what is not finite as `UNKNOWN`.
    """
    span = (high - low) or 1.0
    known = np.isfinite(values)
    places = np.where(known, (values - low) / span, 0.0).clip(0, 1)
    codes = np.rint(places * (STEPS - 1)).astype(int)
    base = len(ALPHABET)
    return "".join(
        ALPHABET[code // base] + ALPHABET[code % base] if is_known else UNKNOWN
        for code, is_known in zip(codes.tolist(), known.tolist(), strict=True)
    )
