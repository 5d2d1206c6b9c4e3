"""Encodings: those that are recognised, and refusals that name the row."""

import pytest

from jobs.corpus.encodings import EncodingError, decode, decode_anyway

TEXT = "name,said\nu1,naïve café – “déjà vu”\nu2,plain\n"


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32"),
        ("cp1252", "Windows-1252"),
    ],
)
def test_encodings_are_recognised(codec, name):
    assert decode(TEXT.encode(codec)) == (TEXT, name)


def test_utf_16_with_the_bytes_in_the_other_order_is_recognised_by_its_mark():
    assert decode(b"\xfe\xff" + TEXT.encode("utf-16-be")) == (TEXT, "UTF-16")


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("имя,текст\nа,привет мир\n", "cp1251"),
        ("名前,文\nあ,こんにちは\n", "shift_jis"),
        ("imię,tekst\na,żółta łódź\n", "cp1250"),
        ("name,text\na,ελληνικά\n", "cp1253"),
    ],
)
def test_other_encodings_are_not_taken_for_windows_1252_but_read_when_they_are_named(text, codec):
    with pytest.raises(EncodingError, match=r"not UTF-8 in row.*corpus\.dialect\.encoding"):
        decode(text.encode(codec))
    assert decode(text.encode(codec), codec) == (text, codec)


def test_a_few_broken_bytes_in_utf_8_are_named_by_their_rows():
    data = bytearray(("a,é ü ö\n" * 9).encode())
    rows = data.split(b"\n")
    rows[3], rows[6] = b"a,\xe9", b"a,\xff\xfe"
    with pytest.raises(EncodingError, match=r"not UTF-8 in rows 4, 7 \(first byte: 0xe9\)"):
        decode(b"\n".join(rows))


@pytest.mark.parametrize("data", [b"a,b\n\xff\xfe,x\n", b"a,b\n\x81,x\n", b"\xef\xbb\xbfa,\xe9\n"])
def test_bytes_that_mean_nothing_in_windows_1252_are_refused(data):
    with pytest.raises(EncodingError, match="not UTF-8 in row"):
        decode(data)


def test_nul_bytes_are_named_by_their_row():
    with pytest.raises(EncodingError, match="NUL characters, the first in row 3"):
        decode(b"a,b\r\nc,d\r\ne,\0\0\n")
    with pytest.raises(EncodingError, match="NUL characters, the first in row 1"):
        decode(bytes(4096))


def test_half_a_character_of_utf_16_is_refused():
    with pytest.raises(EncodingError, match="it is not UTF-16, as its first bytes say"):
        decode(TEXT.encode("utf-16")[:-1])


def test_a_wrong_encoding_that_was_named_says_in_which_row():
    with pytest.raises(EncodingError, match="it is not ascii in row 2"):
        decode(TEXT.encode(), "ascii")


@pytest.mark.parametrize(
    ("start", "kind"), [(b"PK\x03\x04", "xlsx"), (b"\xd0\xcf\x11\xe0", "xls"), (b"PAR1", "Parquet")]
)
def test_other_files_are_named(start, kind):
    with pytest.raises(EncodingError, match=f"{kind}.*export it as CSV"):
        decode(start + bytes(100))


def test_text_is_decoded_anyway_where_lines_are_judged_one_by_one():
    assert decode_anyway(b"\xef\xbb\xbfa \xff b") == "a � b"
    assert decode_anyway("é".encode("utf-16")) == "é"
