"""Files of unknown length or level are decoded once: later readings find what was counted."""

import csv

import pytest
import soundfile

import jobs.corpus.examined
from jobs.corpus.csv import read_csv
from jobs.corpus.csv_settings import CsvSettings
from jobs.corpus.table import CorpusError
from tests.jobs.audio.encode import encoded, flac_of_unknown_length, mp3, voice, without_xing


@pytest.fixture
def settings(tmp_path):
    """A table of a FLAC and an MP3 of unknown length, float samples, and an ordinary WAV."""
    wave = voice()
    (tmp_path / "a.flac").write_bytes(flac_of_unknown_length(encoded(wave, "FLAC", "PCM_16")))
    (tmp_path / "b.mp3").write_bytes(without_xing(mp3(wave)))
    soundfile.write(tmp_path / "c.wav", wave * 32_768, 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "d.wav", wave, 16_000, subtype="PCM_16")
    with (tmp_path / "table.csv").open("w", newline="") as file:
        rows = [(name, "s1") for name in ("a.flac", "b.mp3", "c.wav", "d.wav")]
        csv.writer(file).writerows([("audio_path", "speaker_id"), *rows])
    return CsvSettings(path=tmp_path / "table.csv")


@pytest.fixture
def decoded(monkeypatch):
    """The files that are examined."""
    names = []
    real = jobs.corpus.examined.examine

    def examine(path):
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(jobs.corpus.examined, "examine", examine)
    return names


def test_a_second_reading_decodes_nothing_and_gives_the_same_table(settings, decoded, tmp_path):
    cache = tmp_path / "cache"
    first = read_csv(settings, cache=cache)
    assert sorted(decoded) == ["a.flac", "b.mp3", "c.wav", "d.wav"]
    decoded.clear()
    second = read_csv(settings, cache=cache)
    assert decoded == ["d.wav"]  # its header says enough: there is nothing to keep
    assert second.utterances.equals(first.utterances)
    assert second.notes == first.notes
    assert second.utterances.equals(read_csv(settings).utterances)


def test_a_changed_file_is_decoded_again(settings, decoded, tmp_path):
    cache = tmp_path / "cache"
    read_csv(settings, cache=cache)
    decoded.clear()
    data = encoded(voice()[:8_000], "FLAC", "PCM_16")
    (tmp_path / "a.flac").write_bytes(flac_of_unknown_length(data))
    table = read_csv(settings, cache=cache).utterances.set_index("utterance_id")
    assert decoded == ["a.flac", "d.wav"]
    assert table.loc["a", "n_samples"] == 8_000


def test_half_a_line_is_dropped_and_a_damaged_one_refused(settings, decoded, tmp_path):
    cache = tmp_path / "cache"
    read_csv(settings, cache=cache)
    (kept,) = (cache / "examined").iterdir()
    kept.write_bytes(kept.read_bytes()[:-20])
    decoded.clear()
    whole = read_csv(settings, cache=cache).utterances
    assert len(decoded) == 2
    assert whole.equals(read_csv(settings).utterances)
    assert len(kept.read_text().splitlines()) == 3
    kept.write_text("nonsense\n")
    with pytest.raises(CorpusError, match=r"jsonl:1 is damaged: .* delete the file"):
        read_csv(settings, cache=cache)


def test_an_edited_length_is_refused(settings, tmp_path):
    cache = tmp_path / "cache"
    read_csv(settings, cache=cache)
    (kept,) = (cache / "examined").iterdir()
    kept.write_text(kept.read_text().replace('"length": ', '"length": 1', 1))
    with pytest.raises(CorpusError, match=r"jsonl:1 is damaged: its checksum is wrong"):
        read_csv(settings, cache=cache)
