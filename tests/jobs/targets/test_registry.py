"""Targets: values by hand, what is measured for them, and what a wrong name is told."""

import unicodedata
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile

from jobs.optional_packages import PARSELMOUTH
from jobs.targets import measure as measuring
from jobs.targets.measurements import MEASUREMENTS
from jobs.targets.registry import TARGETS, add_targets, find_target


@pytest.fixture
def table():
    return pd.DataFrame({"text": ["HE'S 12 TODAY", "ÉTÉ", "A B C"], "seconds": [2.0, 0.5, 4.0]})


def texts(*rows):
    return pd.DataFrame({"text": list(rows), "seconds": 1.0})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        # H E S 1 2 T O D A Y: ten letters and digits; the apostrophe and the spaces do not count.
        ("cps", [10 / 2, 3 / 0.5, 3 / 4]),
        ("cps_with_spaces", [13 / 2, 3 / 0.5, 5 / 4]),
        ("words_per_second", [3 / 2, 1 / 0.5, 3 / 4]),
        ("duration", [2.0, 0.5, 4.0]),
    ],
)
def test_values_by_hand(table, name, values):
    column = add_targets(table, [name])[name]
    assert column.dtype == float
    assert list(column) == values


def test_the_table_that_was_given_stays_as_it_is(table):
    before = table.copy()
    names = [name for name, one in TARGETS.items() if not one.measurement and "text" in name]
    names += ["cps", "duration"]
    assert list(add_targets(table, names).columns) == [*before.columns, *names]
    pd.testing.assert_frame_equal(table, before)


def test_every_target_has_a_kind_a_description_and_a_unit_if_it_is_measured_in_one():
    for name, target in TARGETS.items():
        assert name == target.name
        assert target.description
        assert bool(target.unit) == (name not in {"pause_ratio", "speaker", "sex"})
        classes = {"speaker", "sex"}
        assert target.kind == ("classification" if name in classes else "regression")
        assert target.measurement is None or target.measurement in MEASUREMENTS


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("CPS", "cps"),
        ("words_per_sec", "words_per_second"),
        ("cps_with_space", "cps_with_spaces"),
        ("speaker_id", "speaker"),
        ("F0", "f0_sd"),
        ("gender", "energy"),
    ],
)
def test_an_unknown_name_is_told_a_valid_one(table, wrong, nearest):
    with pytest.raises(ValueError, match=f"did you mean '{nearest}'") as caught:
        add_targets(table, ["cps", wrong])
    assert all(name in str(caught.value) for name in TARGETS)


# --- transcripts


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("Съешь же ещё этих мягких французских булок", 36),
        ("我喜欢吃苹果。", 6),
        ("日本語のテキストです", 10),
        ("안녕하세요 여러분", 8),
        ("naïve café, Ångström", 17),
        ("Straße", 6),
        ("room 101, at 7:30", 12),
        ("٣٤٥ ৭", 4),
        ("x² ½ ⅷ", 4),
        ("don't well-known o’clock", 19),
        ("שָׁלוֹם", 4),
        ("हिन्दी", 3),
        ("🙂 — …", 0),
    ],
)
def test_letters_and_digits_of_any_script_count(text, letters):
    assert letters == sum(
        unicodedata.category(c)[0] in "LN" for c in unicodedata.normalize("NFC", text)
    )
    [found] = add_targets(texts(unicodedata.normalize("NFC", text)), ["cps"])["cps"]
    assert found == letters if letters else np.isnan(found)


@pytest.mark.parametrize("text", ["naïve café Ångström", "Việt Nam ơi", "ёлка й", "שָׁלוֹם", "हिन्दी"])
def test_accents_composed_and_decomposed_count_alike(text):
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    composed, decomposed = add_targets(texts(*forms), ["cps"])["cps"]
    assert composed == decomposed


def test_what_a_decomposed_text_counts_otherwise():
    forms = [unicodedata.normalize(form, "안녕 é") for form in ("NFC", "NFD")]
    table = add_targets(texts(*forms), ["cps", "cps_with_spaces", "words_per_second"])
    # Hangul letters are letters of their own: ㅇㅏㄴ ㄴㅕㅇ.
    assert list(table["cps"]) == [2 + 1, 6 + 1]
    assert list(table["cps_with_spaces"]) == [4, 6 + 1 + 2]
    assert list(table["words_per_second"]) == [2, 2]


def test_words_are_what_spaces_of_any_kind_separate():
    rows = texts("one two", "one\u00a0two  three", "一つ\u3000二つ", "我喜欢吃苹果")
    assert list(add_targets(rows, ["words_per_second"])["words_per_second"]) == [2, 3, 2, 1]


# --- measured targets


@pytest.fixture
def spoken(tmp_path):
    """Two tones and a silence, said to last a second."""
    rows = []
    for name, hz in (("low", 120), ("high", 240), ("none", 0)):
        wave = 8_000 * np.sin(2 * np.pi * hz * np.arange(16_000) / 16_000)
        path = tmp_path / f"{name}.flac"
        soundfile.write(path, np.rint(wave).astype(np.int16), 16_000, subtype="PCM_16")
        rows.append({"audio_path": str(path), "audio_digest": name, "speaker_id": name})
    return pd.DataFrame(rows).assign(seconds=1.0, text="ABCDEF")


def test_measured_targets_are_added_and_nothing_else_is(spoken, tmp_path):
    added = add_targets(spoken, ["f0_sd", "f0_mean", "energy"], tmp_path / "cache")
    assert list(added.columns) == [*spoken.columns, "f0_sd", "f0_mean", "energy"]
    assert list(added["f0_mean"])[:2] == pytest.approx([120, 240], rel=1e-3)
    assert added.loc[2, ["f0_mean", "f0_sd", "energy"]].isna().all()


def measured_speech(monkeypatch, *values):
    """Have the measuring find ``(speaking, span)`` for each utterance in turn."""
    found = iter(values)
    one = replace(MEASUREMENTS["speech"], of=lambda wave: next(found), version=-1)
    monkeypatch.setitem(MEASUREMENTS, "speech", one)


def test_rate_and_pauses_follow_from_the_speaking_time(spoken, tmp_path, monkeypatch):
    measured_speech(monkeypatch, (0.5, 0.8), (0.0, 0.0))
    added = add_targets(spoken, ["articulation_rate", "pause_ratio", "cps"], tmp_path)
    assert list(added["articulation_rate"])[:1] == [6 / 0.5]
    assert list(added["pause_ratio"])[:1] == [1 - 0.5 / 0.8]
    # Nobody is heard in the second; the third is silent and cannot be used.
    assert added.loc[1:, ["articulation_rate", "pause_ratio"]].isna().all(axis=None)
    assert added["cps"].notna().all()


def test_without_a_transcript_there_is_no_rate_but_there_are_pauses(spoken, tmp_path, monkeypatch):
    measured_speech(monkeypatch, (0.5, 1.0), (0.5, 1.0))
    added = add_targets(spoken.assign(text=""), ["articulation_rate", "pause_ratio"], tmp_path)
    assert added["articulation_rate"].isna().all()
    assert list(added["pause_ratio"][:2]) == [0.5, 0.5]


def test_a_column_of_the_corpus_is_not_measured(spoken, tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "load_audio", None)
    given = spoken.assign(f0_mean=[1.0, 2.0, np.nan])
    added = add_targets(given, ["f0_mean"], tmp_path)
    assert list(added["f0_mean"][:2]) == [1.0, 2.0]


def test_a_measured_target_needs_a_cache(spoken):
    with pytest.raises(ValueError, match="to measure pitch, level, expected a cache"):
        add_targets(spoken, ["f0_mean", "energy"])


def test_a_missing_package_is_reported_before_anything_is_measured(spoken, monkeypatch):
    absent = replace(MEASUREMENTS["pitch"], package=replace(PARSELMOUTH, module="no_such_module"))
    monkeypatch.setitem(MEASUREMENTS, "pitch", absent)
    with pytest.raises(
        ValueError, match=r"f0_mean cannot be measured: .* pip install praat-parselmouth"
    ):
        find_target("f0_mean", spoken)
    assert find_target("f0_mean", spoken.assign(f0_mean=1.0)).measurement is None


def test_cells_that_stand_for_a_missing_value_are_no_class():
    table = texts(*["a"] * 6).assign(lang=["ru", "NA", "de", "ru", " None ", "de"])
    found = add_targets(table, ["lang"])["lang"]
    assert list(found) == ["ru", "", "de", "ru", "", "de"]
