"""Utterances that a spec excludes: by id, by pattern, from a file, and by length."""

import numpy as np
import pydantic
import pytest
import soundfile

from jobs.corpus import excluded_file, prepare
from jobs.corpus.csv_settings import CsvSettings
from jobs.corpus.espeak.settings import EspeakSettings
from jobs.corpus.librispeech_settings import LibriSpeechSettings
from jobs.corpus.skipped import Skipped, commonest_reason
from jobs.corpus.table import CorpusError

SECONDS = {"a-1": 0.5, "a-2": 1.0, "b-1": 1.5, "b-[x]": 2.0}


@pytest.fixture
def folder(tmp_path):
    """Four files, one at 8 kHz, and a table of them."""
    lines = ["audio_path,speaker_id"]
    for number, (name, seconds) in enumerate(SECONDS.items()):
        rate = 8_000 if name == "a-1" else 16_000
        noise = np.random.default_rng(number).integers(-3000, 3000, round(seconds * rate))
        soundfile.write(tmp_path / f"{name}.wav", noise.astype(np.int16), rate)
        lines.append(f"{name}.wav,{name[0]}")
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def read(folder, **settings):
    return prepare(CsvSettings(path=folder / "table.csv", **settings), folder / "cache")


def kept(corpus):
    assert list(corpus.utterances.index) == list(range(len(corpus.utterances)))
    names = set(corpus.utterances["utterance_id"])
    assert names | {one.utterance_id for one in corpus.skipped} == set(SECONDS)
    return names


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, {"a-1", "a-2", "b-1", "b-[x]"}),
        ({"exclude": ["a-1", "b-1"]}, {"a-2", "b-[x]"}),
        ({"exclude": ["a-*"]}, {"b-1", "b-[x]"}),
        ({"exclude": ["?-1"]}, {"a-2", "b-[x]"}),
        ({"exclude": ["b-[x]"]}, {"a-1", "a-2", "b-1"}),
        ({"exclude": ["*-2", "a-2"]}, {"a-1", "b-1", "b-[x]"}),
        ({"min_seconds": 1}, {"a-2", "b-1", "b-[x]"}),
        ({"max_seconds": 1.5}, {"a-1", "a-2", "b-1"}),
        ({"min_seconds": 0.9, "max_seconds": 1.9, "exclude": ["b-1"]}, {"a-2"}),
    ],
)
def test_what_is_excluded_is_listed_and_the_rest_is_used(folder, settings, names):
    corpus = read(folder, **settings)
    assert kept(corpus) == names
    assert all(one.is_excluded for one in corpus.skipped)


def test_reasons_name_the_key_and_the_value(folder):
    corpus = read(folder, exclude=["a-*", "b-1"], max_seconds=1.75)
    assert {one.utterance_id: one.reason for one in corpus.skipped} == {
        "a-1": "excluded by name: matches 'a-*' in corpus.exclude",
        "a-2": "excluded by name: matches 'a-*' in corpus.exclude",
        "b-1": "excluded by name: listed in corpus.exclude",
        "b-[x]": "excluded by length: 2 s, longer than corpus.max_seconds, 1.75 s",
    }
    assert {one.path for one in corpus.skipped} == {str(folder / f"{n}.wav") for n in SECONDS}


@pytest.mark.parametrize(
    "data", [b"a-1\nb-*\n", b"\xef\xbb\xbfa-1\r\n\r\n b-* ", "a-1\nb-*".encode("utf-16")]
)
def test_a_file_has_an_entry_on_each_line(folder, data):
    (folder / "bad.txt").write_bytes(data)
    assert kept(read(folder, exclude=str(folder / "bad.txt"))) == {"a-2"}
    settings = CsvSettings(path="table.csv", exclude=str(folder / "bad.txt"))
    assert excluded_file(settings) == [folder / "bad.txt"]


def test_a_file_that_is_not_there_says_what_is_expected(folder):
    with pytest.raises(CorpusError, match=r"no list at .*a-1.*list of ids and patterns"):
        read(folder, exclude="a-1")


def test_entries_without_an_utterance_are_noted(folder):
    corpus = read(folder, exclude=["a-1", "A-2", "c*"])
    assert "2 of 3 entries of corpus.exclude match no utterance: A-2, c*" in corpus.notes


def test_notes_on_the_audio_are_about_the_utterances_that_are_used(folder):
    assert read(folder).notes == ("1 of 4 utterances are resampled to 16 kHz: 1 from 8000 Hz",)
    assert read(folder, exclude=["a-1"]).notes == ()


def test_an_unusable_utterance_that_is_excluded_is_said_to_be_excluded(folder):
    (folder / "b-1.wav").write_bytes(b"")
    assert [one.reason for one in read(folder, exclude=["b-1"]).skipped] == [
        "excluded by name: listed in corpus.exclude"
    ]


def test_other_corpora_have_the_same_keys(tmp_path):
    folder = tmp_path / "test/84/1"
    folder.mkdir(parents=True)
    for number in range(3):
        noise = np.random.default_rng(number).integers(-3000, 3000, 8_000 + 8_000 * number)
        soundfile.write(folder / f"84-1-{number}.flac", noise.astype(np.int16), 16_000)
    (folder / "84-1.trans.txt").write_text("".join(f"84-1-{n} A\n" for n in range(3)))
    settings = LibriSpeechSettings(
        root=tmp_path, splits={"test": "test"}, exclude=["84-1-0"], max_seconds=1
    )
    corpus = prepare(settings, tmp_path)
    assert list(corpus.utterances["utterance_id"]) == ["84-1-1"]
    assert len(corpus.skipped) == 2


def test_a_selection_is_no_part_of_the_identity_of_a_synthetic_corpus():
    values = {"speakers": {"test": 3}, "utterances_per_speaker": 2}
    plain, selected = (
        EspeakSettings(**values, **more) for more in ({}, {"exclude": ["x"], "min_seconds": 1})
    )
    assert plain.identity() == selected.identity()
    assert "exclude" not in plain.identity()


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_seconds": -1},
        {"max_seconds": 0},
        {"min_seconds": float("nan")},
        {"max_seconds": float("inf")},
        {"min_seconds": 3, "max_seconds": 2},
        {"exclude": [3]},
    ],
)
def test_selections_that_make_no_sense_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError):
        CsvSettings(path="table.csv", **wrong)


def test_the_commonest_reason_is_counted_and_its_first_path_named():
    skipped = [
        Skipped("a", "/a", "empty file"),
        Skipped("b", "/b", "missing audio: no such file"),
        Skipped("c", "/c", "missing audio: no recording is called 'c'"),
    ]
    assert commonest_reason(skipped) == (
        "3 utterances skipped, 2 for this reason: missing audio: no such file (first: /b)"
    )
    assert commonest_reason(skipped[:1]) == "1 utterance skipped, empty file (first: /a)"
