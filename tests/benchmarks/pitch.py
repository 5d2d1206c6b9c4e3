"""Agreement of ``f0_mean`` with two other pitch trackers on real speech.

``python -m tests.benchmarks.pitch compare DATA TRACKS`` prints the table of ``PITCH.md``. DATA is a
folder with ``librispeech-mini``, ``librispeech-251`` and ``fsdd``; TRACKS an ``.npz`` that
``python -m tests.benchmarks.pitch track DATA TRACKS`` makes in about two hours of one core, with
librosa (pyin) and torchcrepe (CREPE), which nothing else here needs.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfiltfilt

from jobs.audio.frames import SAMPLE_RATE
from jobs.audio.read import INT16_SCALE, load_audio
from jobs.targets.pitch import PitchQuartiles, measure_quartiles, search_range, voiced_frames

Array = npt.NDArray[np.float64]
STEP = 0.02
"""Seconds from frame to frame of the trackers."""
SEARCHED = (50.0, 600.0)
"""Hz."""
CREPE_VOICED = 0.2
"""Periodicity above which a frame of CREPE's is voiced."""
QUIET_DB = 25.0
"""dB below the 95th percentile of the levels under which no frame of the trackers counts."""
SEMITONE = 1 / 12
FEWEST = 5
"""Frames on which the trackers agree that a clip has at least to be compared."""
ENOUGH = 0.5
"""Share of the frames that either tracker calls voiced on which they agree, in a clip on whose
mean they are said to agree."""
NEAR = 0.05
"""Relative difference of two means that agree."""


JUDGED_BAND = (70, 2000)
"""Hz; much wider than that in which ``f0_mean`` is measured."""
JUDGED_LAGS = np.arange(27, 267)
"""Samples: 600 to 60 Hz."""
FIRST_PEAK = 0.9
"""Share of the highest correlation that the shortest period has at least."""


@dataclass(frozen=True)
class Clip:
    """A recording of a corpus."""

    corpus: str
    speaker: str
    path: Path

    @property
    def key(self) -> str:
        """Name in the file of tracks."""
        return f"{self.corpus}:{self.path.stem}"


def clips(data: Path) -> Iterator[Clip]:
    """Yield the recordings of the three corpora."""
    mini = data / "librispeech-mini" / "LibriSpeech" / "test-other"
    for path in sorted(mini.glob("*/*/*.flac")):
        yield Clip("test-other", path.parts[-3], path)
    for name in ("librispeech-251", "fsdd"):
        with (data / name / "table.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield Clip(name, row["speaker_id"], data / name / row["audio_path"])


def track(data: Path, tracks: Path) -> None:
    """Track all clips with pyin and CREPE."""
    found: dict[str, Array] = {}
    for clip in clips(data):
        wave = load_audio(clip.path).astype(np.float64) / INT16_SCALE
        found[clip.key] = _with_levels(wave, _pyin(wave), _crepe(wave))
    np.savez_compressed(tracks, **found)  # type: ignore[arg-type]


def _pyin(wave: Array) -> Array:
    """Return (T,) the pitch by pyin, after a high-pass at 70 Hz; NaN where unvoiced."""
    import librosa

    passed = sosfiltfilt(butter(4, 70, "high", fs=SAMPLE_RATE, output="sos"), wave)
    hz, voiced, _ = librosa.pyin(
        passed, fmin=SEARCHED[0] + 5, fmax=SEARCHED[1], sr=SAMPLE_RATE, frame_length=1024,
        hop_length=round(STEP * SAMPLE_RATE), resolution=0.2,
    )  # fmt: skip
    return np.where(voiced, hz, np.nan)


def _crepe(wave: Array) -> Array:
    """Return (T,) the pitch by CREPE's tiny network; NaN where unvoiced."""
    import torch
    import torchcrepe

    hz, periodicity = torchcrepe.predict(
        torch.from_numpy(wave.astype(np.float32))[None], SAMPLE_RATE,
        hop_length=round(STEP * SAMPLE_RATE), fmin=SEARCHED[0], fmax=SEARCHED[1], model="tiny",
        decoder=torchcrepe.decode.viterbi, return_periodicity=True, batch_size=64,
    )  # fmt: skip
    return np.where(periodicity[0] > CREPE_VOICED, hz[0], np.nan)


def _with_levels(wave: Array, *tracks: Array) -> Array:
    """Return (2, T) the tracks, without the quiet frames."""
    count = min(map(len, tracks))
    centres = np.rint(np.arange(count) * STEP * SAMPLE_RATE).astype(int)
    energy = np.concatenate([[0.0], np.cumsum(np.square(wave))])
    half = SAMPLE_RATE // 50
    starts, ends = np.maximum(centres - half, 0), np.minimum(centres + half, len(wave))
    power = (energy[ends] - energy[starts]) / np.maximum(ends - starts, 1)
    levels = 10 * np.log10(np.maximum(power, 1e-15))
    loud = levels > np.percentile(levels, 95) - QUIET_DB
    return np.array([np.where(loud, one[:count], np.nan) for one in tracks])


def compare(data: Path, tracks: Path) -> None:
    """Print the table, and the clips on which ``f0_mean`` is far from trackers that agree."""
    known: Any = np.load(tracks)
    chosen = list(clips(data))
    waves = {clip.key: load_audio(clip.path) for clip in chosen}
    quartiles = {clip.key: measure_quartiles(waves[clip.key]) for clip in chosen}
    speakers: dict[tuple[str, str], list[PitchQuartiles]] = {}
    for clip in chosen:
        speakers.setdefault((clip.corpus, clip.speaker), []).append(quartiles[clip.key])
    rows: dict[str, list[Compared]] = {}
    for clip in chosen:
        search = search_range(speakers[clip.corpus, clip.speaker])
        frames = voiced_frames(waves[clip.key], search)
        one = compared(clip.key, known[clip.key], frames.seconds, frames.hz)
        rows.setdefault(clip.corpus, []).append(one)
    rows["all"] = [one for of_corpus in rows.values() for one in of_corpus]
    for corpus, found in rows.items():
        print(table_row(corpus, found))
    for one in rows["all"]:
        if one.agree and not abs(one.error) < NEAR:
            print(f"{one.name}: {one.reference:.0f} Hz by the others, {one.error:+.1%}")
            clip = next(clip for clip in chosen if clip.key == one.name)
            search = search_range(speakers[clip.corpus, clip.speaker])
            frames = voiced_frames(waves[one.name], search)
            judge(waves[one.name], known[one.name], frames.seconds, frames.hz)


def judge(wave: npt.NDArray[np.float32], tracks: Array, seconds: Array, hz: Array) -> None:
    """Print how many of our frames cross-correlation confirms, by the number of trackers that call
    them voiced.

    Neighbouring stretches of 1.5 periods, at least 7.5 ms, of the audio between ``JUDGED_BAND`` are
    correlated for each lag (D. Talkin, A robust algorithm for pitch tracking, 1995, without the
    dynamic programming); the pitch is the shortest lag with a peak of ``FIRST_PEAK`` of the highest
    correlation. A frame is confirmed where that is within 10 % of ours.

    Args:
        wave: (N,) samples.
        tracks: (2, T) Hz by the trackers, NaN where unvoiced.
        seconds: (S,) time of our voiced frames.
        hz: (S,) their pitch.
    """
    sos = butter(4, JUDGED_BAND, "band", fs=SAMPLE_RATE, output="sos")
    band = sosfiltfilt(sos, wave.astype(np.float64))
    found = np.array([_correlated(band, *one) for one in zip(seconds, hz, strict=True)])
    nearest = np.clip(np.rint(seconds / STEP).astype(int), 0, tracks.shape[1] - 1)
    n_voiced = np.isfinite(tracks[:, nearest]).sum(axis=0)
    confirmed = np.abs(found[:, 0] / hz - 1) < 0.1
    for number, label in enumerate(("neither", "one", "both")):
        chosen = n_voiced == number
        if chosen.any():
            print(
                f"    {label} voiced: {chosen.sum()} frames, {np.median(hz[chosen]):.0f} Hz, "
                f"{confirmed[chosen].mean():.0%} confirmed, median correlation "
                f"{np.nanmedian(found[chosen, 1]):.2f}"
            )


def _correlated(band: Array, seconds: float, hz: float) -> tuple[float, float]:
    """Return the pitch and the correlation at one moment; NaN if the correlation has no peak."""
    length = max(round(1.5 * SAMPLE_RATE / hz), SAMPLE_RATE * 3 // 400)
    centre, values = round(seconds * SAMPLE_RATE), np.full(len(JUDGED_LAGS), -np.inf)
    for position, lag in enumerate(JUDGED_LAGS):
        start = centre - (length + lag) // 2
        if start >= 0 and start + lag + length <= len(band):
            one, next_ = band[start : start + length], band[start + lag : start + lag + length]
            values[position] = one @ next_ / np.sqrt((one @ one) * (next_ @ next_) + 1e-9)
    inner = values[1:-1]
    peaks = (inner >= values[:-2]) & (inner >= values[2:]) & (inner >= FIRST_PEAK * values.max())
    if not peaks.any() or not np.isfinite(values.max()):
        return np.nan, np.nan
    first = int(np.flatnonzero(peaks)[0]) + 1
    return SAMPLE_RATE / float(JUDGED_LAGS[first]), float(values[first])


@dataclass(frozen=True)
class Compared:
    """The pitch of a clip beside that of the trackers."""

    name: str
    n_common: int
    """Frames that both trackers call voiced, with less than a semitone between them."""
    agree: bool
    """Whether the trackers agree on the clip's mean."""
    reference: float
    """Mean of the two trackers' means, each over its own voiced frames, in Hz."""
    error: float
    """Relative difference of our mean to it."""
    common_error: float
    """The same over the common frames that are voiced here, too."""


def compared(name: str, tracks: Array, seconds: Array, hz: Array) -> Compared:
    """Compare one clip.

    Args:
        name: of the clip.
        tracks: (2, T) Hz by the trackers, NaN where unvoiced.
        seconds: (S,) time of our voiced frames.
        hz: (S,) their pitch.
    """
    with np.errstate(invalid="ignore"):
        common = np.abs(np.log2(tracks[0] / tracks[1])) < SEMITONE
    either = np.isfinite(tracks).any(axis=0)
    means = [float(one[np.isfinite(one)].mean()) if np.isfinite(one).any() else np.nan
             for one in tracks]  # fmt: skip
    enough = common.sum() > ENOUGH * either.sum()
    ours = np.full(tracks.shape[1], np.nan)
    nearest = np.rint(seconds / STEP).astype(int)
    on_grid = (nearest < len(ours)) & (np.abs(seconds - nearest * STEP) < 0.375 * STEP)
    ours[nearest[on_grid]] = hz[on_grid]
    both = common & np.isfinite(ours)
    reference = float(np.mean(means))
    return Compared(
        name=name,
        n_common=int(common.sum()),
        agree=bool(common.sum() >= FEWEST and enough and abs(means[0] / means[1] - 1) < NEAR),
        reference=reference,
        error=float(hz.mean()) / reference - 1 if len(hz) else np.nan,
        common_error=float(ours[both].mean() / tracks[:, both].mean() - 1)
        if both.any()
        else np.nan,
    )


def table_row(corpus: str, found: list[Compared]) -> str:
    """Return a row of the table in Markdown."""
    enough = [one for one in found if one.n_common >= FEWEST]
    agree = [one for one in enough if one.agree]

    def near(values: list[float], within: float = NEAR) -> str:
        count = sum(abs(value) < within for value in values)
        return f"{count} of {len(values)} ({100 * count / len(values):.1f} %)"

    common = near([one.common_error for one in enough])
    own = [one.error for one in agree]
    return f"| {corpus} | {len(found)} | {common} | {near(own)} | {near(own, 0.2)} |"


def main() -> None:
    """Track or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("track", "compare"))
    parser.add_argument("data", type=Path)
    parser.add_argument("tracks", type=Path)
    chosen = parser.parse_args()
    {"track": track, "compare": compare}[chosen.what](chosen.data, chosen.tracks)


if __name__ == "__main__":
    main()
