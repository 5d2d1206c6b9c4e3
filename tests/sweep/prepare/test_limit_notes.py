"""Warnings of measured values that stand at a limit of the range in which they were searched."""

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from jobs.targets.registry import add_targets
from sweep.prepare.notes import limit_note, limit_notes


def note(values: list[float], ranges: list[tuple[float, float]]) -> list[str]:
    ids = [f"u{row}" for row in range(len(values))]
    return list(limit_note(ids, pd.Series(values, dtype=float), ranges, "f0_mean (Hz)"))


def test_values_near_a_limit_of_the_own_range_are_counted_and_the_first_is_named() -> None:
    values = [61, 65.9, 66.1, 120, 540, 546, 599, np.nan]
    (found,) = note(values, [(60, 600)] * 8)
    assert found.startswith(
        "4 of 8 utterances have f0_mean (Hz) within 10% of a limit of the range"
    )
    assert "u0, 61 between 60 and 600" in found
    # 120 Hz is the end of the range of a speaker of 160 Hz, and the middle of that of another.
    (found,) = note([120, 120, 290], [(60, 300), (115, 400), (60, 300)])
    assert found.startswith("2 of 3") and "u1, 120 between 115 and 400" in found


def test_without_such_values_there_is_no_note() -> None:
    assert note([90, 220, np.nan], [(60, 600), (100, 500), (60, 600)]) == []


def test_an_utterance_at_the_end_of_its_speakers_range_is_found_in_audio(tmp_path: Path) -> None:
    pitches = {"a": (200, 200, 200, 155), "b": (155, 155, 155, 155)}
    rows = []
    for speaker, hz in pitches.items():
        for n, one in enumerate(hz):
            time = np.arange(8_000) / 16_000
            path = tmp_path / f"{speaker}{n}.flac"
            soundfile.write(path, 0.3 * np.sin(2 * np.pi * one * time), 16_000)
            rows.append(
                {"utterance_id": path.stem, "audio_path": str(path), "audio_digest": path.stem,
                 "seconds": 0.5, "speaker_id": speaker}
            )  # fmt: skip
    measured = add_targets(pd.DataFrame(rows), ["f0_mean", "duration"], tmp_path)
    (found,) = limit_notes(["duration", "f0_mean"], (), measured, tmp_path)
    # 0.75 times 200 Hz, rounded to a sixth of an octave.
    assert found.startswith("1 of 8") and "a3, 155 between 144 and 512" in found
    # A column of the corpus has no search; nor is anything measured for a note.
    assert list(limit_notes(["f0_mean"], ["f0_mean"], measured, tmp_path)) == []
    unknown = measured.assign(f0_mean=np.nan)
    assert list(limit_notes(["f0_mean"], (), unknown, tmp_path / "empty")) == []
    assert not (tmp_path / "empty").exists()
