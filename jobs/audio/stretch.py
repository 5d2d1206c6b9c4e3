"""The tempo counterfactual: the same speech at another rate, and whether predictions follow.

U utterances, F rates at which each is heard again, S speakers.
"""

import numpy as np
import numpy.typing as npt

from jobs.optional_packages import PYTHON_STRETCH

TEMPO_VERSION = 1
"""Raised when the same audio and factor give other samples: part of the ids of such activations."""
SLOWEST, FASTEST = 0.5, 2.0
"""Factors between which f0 stays: its median within 2 %, its SD within 15 % (tested)."""
_BLOCK, _INTERVAL = 1024, 256
"""Samples. On synthetic speech at 0.8 and 1.25 this block, 64 ms, left a mean difference of 0.95 dB
between the band spectra of frames that belong together, as good as Praat's overlap-add (0.84 and
0.93); the library's preset of 120 ms left 0.97 and 1.13."""


def stretch(wave: npt.NDArray[np.float32], factor: float) -> npt.NDArray[np.float32]:
    """The speech of ``wave`` at ``factor`` times its rate, its pitch kept.

    By Signalsmith Stretch (https://signalsmith-audio.co.uk/code/stretch, MIT licence), a phase
    vocoder with peak tracking: unlike Praat's overlap-add it gives the same samples every time,
    which a content-addressed cache needs. A factor of 1 gives nearly the same samples back, and is
    therefore no control for the traces that all others leave.

    Args:
        wave: (N,) at 16 kHz, of any scale.
        factor: new rate ÷ old rate, ``SLOWEST`` to ``FASTEST``.

    Returns:
        (N / factor,) rounded to the nearest sample, at the scale of ``wave``.

    Raises:
        ValueError: the factor is out of range.
        MissingPackageError: the package ``python-stretch`` is not installed.
    """
    if not SLOWEST <= factor <= FASTEST:
        raise ValueError(f"factor {factor}: expected {SLOWEST} to {FASTEST} times the rate")
    stretcher = PYTHON_STRETCH.load().Signalsmith.Stretch(0)  # seeded: phases of noise are random
    stretcher.configure(1, _BLOCK, _INTERVAL)
    stretcher.timeFactor = factor
    (changed,) = np.asarray(stretcher.process(wave[None].astype(np.float32)), dtype=np.float32)
    return np.asarray(changed)
