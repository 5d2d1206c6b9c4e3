"""Remarks on implausible utterances, on tables and on real files."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from jobs.corpus.csv import read_csv
from jobs.corpus.csv_settings import CsvSettings
from sweep.prepare.plausibility import plausibility_notes


def plausible(n: int = 12) -> pd.DataFrame:
    """Utterances of three speakers, one in each split, of 1 to 2 s at 12 letters per second."""
    seconds = 1 + np.arange(n) / n
    return pd.DataFrame(
        {
            "utterance_id": [f"u{i}" for i in range(n)],
            "audio_path": [f"/a/u{i}.wav" for i in range(n)],
            "text": ["word " * round(3 * length) for length in seconds],
            "speaker_id": [f"s{i % 3}" for i in range(n)],
            "split": [("train", "validation", "test")[i % 3] for i in range(n)],
            "seconds": seconds,
            "n_samples": (seconds * 16_000).astype(int),
            "audio_digest": [
                f"{hashlib.sha256(str(i).encode()).hexdigest()}-{16_000 + i}-{32_000 + i}"
                for i in range(n)
            ],
        }
    )


def changed(row: int, **values: object) -> pd.DataFrame:
    table = plausible()
    for name, value in values.items():
        table.loc[row, name] = value
    return table


def only_note(table: pd.DataFrame) -> str:
    (note,) = plausibility_notes(table)
    return note


def test_a_plausible_corpus_and_an_empty_one_have_no_notes() -> None:
    assert list(plausibility_notes(plausible())) == []
    assert list(plausibility_notes(plausible(0))) == []


def test_the_same_audio_in_two_splits_is_named_by_both_ids() -> None:
    digest = plausible()["audio_digest"][0]
    assert only_note(changed(2, audio_digest=digest)).startswith(
        "1 recording is in more than one split under different ids: u0 (train) and u2 (test) have "
        "the same audio"
    )
    longer_file = digest + "99"
    assert "u0 (train) and u2 (test)" in only_note(changed(2, audio_digest=longer_file))


def test_repeated_audio_in_a_split_is_counted() -> None:
    table = plausible()
    table.loc[[3, 6], "audio_digest"] = table["audio_digest"][0]
    assert only_note(table) == (
        "2 of 12 utterances repeat the audio of another one in their split: u0 (train) and u3 "
        "(train) have the same audio"
    )


@pytest.mark.parametrize("part", ["@0+8000", "-8000x1", "-fs32768"])
def test_another_piece_rate_or_scale_is_other_audio(part: str) -> None:
    table = plausible()
    table.loc[2, "audio_digest"] = table["audio_digest"][0] + part
    assert list(plausibility_notes(table)) == []


def test_rates_that_nobody_speaks_are_counted_with_the_worst() -> None:
    table = changed(4, text="x" * 90)
    table.loc[5, "text"] = "y" * 60
    note = only_note(table)
    assert note.startswith("2 of 12 utterances have more than 35 letters per second")
    assert "such as u4 with 90 in 1.33 s" in note
    slow = only_note(changed(4, seconds=20.0, text="no", n_samples=320_000))
    assert slow.startswith("1 of 12 utterances have fewer than 0.5 letters per second")
    assert "such as u4 with 2 in 20.00 s" in slow
    assert list(plausibility_notes(changed(4, text=""))) == []


def test_equal_durations_and_lone_utterances_are_reported() -> None:
    table = plausible().assign(seconds=3.0, n_samples=48_000)
    assert only_note(table).startswith("all utterances last 3.000 s")
    alone = plausible().assign(speaker_id=[f"s{i}" for i in range(12)])
    assert only_note(alone).startswith("each of the 12 speakers has a single utterance")
    assert list(plausibility_notes(table.head(4))) == []


def test_copies_of_a_file_are_the_same_audio_whatever_their_tags(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for number in range(4):
        wave = rng.integers(-3000, 3000, 16_000 + 100 * number).astype(np.int16)
        soundfile.write(tmp_path / f"{number}.flac", wave, 16_000)
        rows.append({"audio_path": f"{number}.flac", "speaker_id": "s", "split": "train"})
    tagged = b"ID3\x03\x00\x00\x00\x00\x01\x00" + bytes(128) + (tmp_path / "0.flac").read_bytes()
    (tmp_path / "copy.flac").write_bytes(tagged)
    rows.append({"audio_path": "copy.flac", "speaker_id": "t", "split": "test"})
    pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
    corpus = read_csv(CsvSettings(path=tmp_path / "table.csv"))
    assert corpus.skipped == ()
    note = only_note(corpus.utterances)
    assert {"copy (test)", "0 (train)"} == {
        word for word in ("copy (test)", "0 (train)") if word in note
    }
