"""The utterance table: exact round trip, one order, digests of audio and of labels."""

import math

import pandas as pd
import pytest

from jobs.corpus.table import (
    COLUMNS,
    CorpusError,
    Utterance,
    audio_digest_of_table,
    classes_in,
    has_value,
    is_text,
    label_digest,
    make_table,
    read_table,
    write_table,
)


def utterance(name, n_samples=16_000, split="test", **changes):
    values = {
        "utterance_id": name,
        "audio_path": f"/corpus/{name}.flac",
        "text": "A TEST",
        "speaker_id": "84",
        "chapter_id": "121123",
        "split": split,
        "seconds": n_samples / 16_000,
        "n_samples": n_samples,
        "audio_digest": f"digest-of-{name}",
    }
    return Utterance(**{**values, **changes})


@pytest.fixture
def table():
    return make_table(
        utterance(name, n_samples, split)
        for name, n_samples, split in [
            ("b", 300, "train"),
            ("a", 300, "train"),
            ("c", 100, "train"),
            ("d", 900, "test"),
        ]
    )


def test_rows_are_sorted_by_part_length_and_id(table):
    assert list(table["utterance_id"]) == ["d", "c", "a", "b"]
    assert list(table.columns) == list(COLUMNS)
    pd.testing.assert_index_equal(table.index, pd.RangeIndex(4))


@pytest.mark.parametrize("odd", ["0084", "NA", "nan", "None", "1e5", "", "-", "007-NULL", "true"])
def test_ids_that_look_like_numbers_or_nothing_come_back_as_they_were(tmp_path, odd):
    written = make_table([utterance(odd or "x", speaker_id=odd, chapter_id=odd, split=odd)])
    write_table(tmp_path / "table.csv", written)
    read = read_table(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(read, written, check_exact=True)
    assert read["speaker_id"][0] == odd


@pytest.mark.parametrize("text", ['SAID "NO", THEN', "A\nB", "A\r\nB", "A\rB", "ÉTÉ 中文", " A "])
def test_text_comes_back_as_it_was(tmp_path, text):
    written = make_table([utterance("x", text=text, audio_path='/a, "b"/c.flac')])
    write_table(tmp_path / "table.csv", written)
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.csv"), written, check_exact=True)


def test_floats_come_back_to_the_last_bit(tmp_path):
    values = [
        0.1 + 0.2,
        math.pi,
        1e-300,
        123456789.12345679,
        math.nextafter(1.0, 2.0),
        -0.0,
        5e-324,
    ]
    written = make_table(utterance(f"u{i}", seconds=value) for i, value in enumerate(values))
    written["cps"] = values
    write_table(tmp_path / "table.csv", written)
    read = read_table(tmp_path / "table.csv")
    assert [v.hex() for v in read["cps"]] == [v.hex() for v in values]
    assert [v.hex() for v in read["seconds"]] == [v.hex() for v in values]


def test_a_missing_target_value_is_read_as_missing(tmp_path, table):
    write_table(tmp_path / "table.csv", table.assign(cps=[1.0, math.nan, 2.0, 3.0]))
    assert list(read_table(tmp_path / "table.csv")["cps"].isna()) == [False, True, False, False]


def test_an_empty_table_keeps_its_columns_and_types(tmp_path, table):
    empty = make_table([])
    assert list(empty.dtypes) == list(table.dtypes)
    write_table(tmp_path / "table.csv", empty)
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.csv"), empty)


def test_a_file_that_is_no_table_is_refused_with_what_is_missing(tmp_path):
    (tmp_path / "table.csv").write_text("utterance_id,text\na,b\n")
    with pytest.raises(CorpusError, match=r"missing are audio_path, speaker_id"):
        read_table(tmp_path / "table.csv")


def test_the_audio_digest_knows_audio_and_nothing_else(table):
    digest = audio_digest_of_table(table)
    assert digest == audio_digest_of_table(table[::-1])
    elsewhere = table.assign(audio_path="/elsewhere", text="OTHER", split="x", cps=1.0)
    assert digest == audio_digest_of_table(elsewhere)
    assert digest != audio_digest_of_table(table.assign(audio_digest="other"))
    assert digest != audio_digest_of_table(table[1:])
    swapped = table.assign(audio_digest=table["audio_digest"].to_numpy()[::-1])
    assert digest != audio_digest_of_table(swapped)


def test_the_audio_digest_is_the_same_for_ever():
    two = make_table([utterance("a"), utterance("b")])
    expected = "041f3935e80ffd19c2db5fa928fa945b5b5a769614c0d3a423dd333ce086c513"
    assert audio_digest_of_table(two) == expected


def test_the_label_digest_sees_the_last_bit_the_speaker_and_the_part(table):
    table = table.assign(cps=[1.0, 2.0, 3.0, 4.0])
    digest = label_digest(table, "cps")
    assert digest == label_digest(table[::-1], "cps")
    assert digest == label_digest(table.assign(audio_path="/elsewhere", other=1.0), "cps")
    nudged = table.assign(cps=[1.0, 2.0, 3.0, math.nextafter(4.0, 5.0)])
    assert digest != label_digest(nudged, "cps")
    assert digest != label_digest(table.assign(speaker_id="85"), "cps")
    assert digest != label_digest(table.assign(split="train"), "cps")


def test_the_label_digest_of_an_unknown_target_is_refused(table):
    with pytest.raises(ValueError, match="no target 'cps'"):
        label_digest(table, "cps")


def test_the_label_digest_takes_a_missing_value_for_one_of_its_own(table):
    whole = table.assign(cps=[1.0, 2.0, 3.0, 4.0])
    gap, other = whole.assign(cps=[1, math.nan, 3, 4]), whole.assign(cps=[1, 2, math.nan, 4])
    digests = {label_digest(one, "cps") for one in (whole, gap, other, gap[gap["cps"].notna()])}
    assert len(digests) == 4
    assert label_digest(gap.assign(cps=-gap["cps"].abs() * -1), "cps") == label_digest(gap, "cps")


def test_classes_that_look_like_numbers_are_read_as_they_were_where_they_are_asked_for(tmp_path):
    written = make_table([utterance("a"), utterance("b"), utterance("c")])
    written["speaker"], written["sex"] = ["0084", "84", ""], ["", "NA", "F"]
    write_table(tmp_path / "table.csv", written)
    read = read_table(tmp_path / "table.csv", text=("speaker", "sex"))
    pd.testing.assert_frame_equal(read, written, check_exact=True)
    assert classes_in(read["speaker"]) == ("0084", "84")
    assert list(has_value(read["speaker"])) == [True, True, False]
    assert is_text(read["speaker"]) and not is_text(read["seconds"])
    assert not is_text(read_table(tmp_path / "table.csv")["speaker"])


def test_numbers_have_a_value_where_they_are_finite():
    assert list(has_value(pd.Series([1.0, math.nan, math.inf]))) == [True, False, False]


def test_the_label_digest_of_classes_knows_their_names_and_never_is_that_of_numbers(table):
    classes = table.assign(sex=["F", "M", "", "F"])
    digest = label_digest(classes, "sex")
    assert digest == label_digest(classes[::-1].assign(audio_path="/elsewhere"), "sex")
    assert digest != label_digest(classes.assign(sex=["F", "M", "M", "F"]), "sex")
    assert digest != label_digest(classes.assign(speaker_id="85"), "sex")
    numbers = table.assign(sex=[1.0, 2.0, 3.0, 4.0])
    spelled = table.assign(sex=[value.hex() for value in numbers["sex"]])
    assert label_digest(numbers, "sex") != label_digest(spelled, "sex")
