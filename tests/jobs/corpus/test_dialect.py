"""Dialects of tables: separators, quoting, and rows that are incomplete, by their numbers."""

import csv
import io

import pytest

from jobs.corpus.dialect import DialectError, Given, dialect_note, read_sheet

HEADER = ["audio", "who", "said"]
ROWS = [["a.wav", "s1", "one two"], ["b.wav", "s2", "three"], ["c.wav", "s1", "four, five"]]


def written(rows=ROWS, **dialect):
    """The table as Python's own writer makes it."""
    out = io.StringIO()
    csv.writer(out, **dialect).writerows([HEADER, *rows])
    return out.getvalue().encode()


def read(data, usual=",", **given):
    return read_sheet(data, usual, {"audio", "who"}, Given(**given))


def note(data, usual=",", **given):
    return dialect_note(read(data, usual, **given), usual, Given(**given))


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("usual", [",", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_quoting_and_line_ends_are_recognised(separator, usual, quoting, end):
    data = written(delimiter=separator, quoting=quoting, lineterminator=end)
    sheet = read(data, usual)
    assert (sheet.header, sheet.rows, sheet.numbers) == (HEADER, ROWS, [2, 3, 4])
    assert (sheet.separator, sheet.quoting) == (separator, "csv")
    assert (note(data, usual) is None) == (separator == usual)


def test_another_separator_is_noted_by_name():
    assert note(written(delimiter=";")) == (
        "read with semicolons as separators; corpus.dialect sets it otherwise"
    )
    assert note(written(delimiter=";"), separator=";") is None


def test_a_separator_can_be_any_character():
    assert read(written(delimiter="^"), separator="^").rows == ROWS


def test_excels_hint_names_the_separator():
    sheet = read(b"sep=;\r\n" + written(delimiter=";"))
    assert (sheet.header, sheet.rows, sheet.numbers[0]) == (HEADER, ROWS, 3)


def test_line_ends_separators_and_quotes_within_quoted_cells_are_text():
    rows = [["a.wav", "s1", 'He said "no",\nand left\r\n'], ["b.wav", "s2", "x\ty"]]
    sheet = read(written(rows))
    assert sheet.rows == rows
    assert sheet.numbers == [2, 5]


def test_punctuation_in_a_text_of_several_lines_is_no_separator():
    rows = [["a.wav", "s1", "Hello\nyes, no, well"], ["b.wav", "s2", "three"]]
    assert read(written(rows)).rows == rows


@pytest.mark.parametrize(
    "said",
    ['"opened', 'closed"', '"quoted" start', '""two', 'in "the" middle', '"', 'end of "quote"'],
)
@pytest.mark.parametrize("separator", ["\t", ",", "|"])
def test_quotes_are_text_where_rows_are_only_complete_so(said, separator):
    rows = [["a.wav", "s1", "one"], ["b.wav", "s2", said], ["c.wav", "s1", "three"]]
    data = "\n".join(separator.join(row) for row in [HEADER, *rows]).encode()
    sheet = read(data)
    assert sheet.rows == rows
    assert sheet.numbers == [2, 3, 4]


def test_two_lone_quotes_swallow_no_rows():
    """Read with quoting, rows 3 to 5 would be one row with as many cells as the header."""
    said = ["one", '"two', "three", 'four"', "five"]
    rows = [[f"{place}.wav", "s", text] for place, text in enumerate(said)]
    data = "\n".join("\t".join(row) for row in [HEADER, *rows]).encode()
    assert len(list(csv.reader(io.StringIO(data.decode()), delimiter="\t", strict=True))) == 4
    sheet = read(data, "\t")
    assert sheet.rows == rows
    assert (
        note(data, "\t") == "read with quotes as part of the text; corpus.dialect sets it otherwise"
    )
    assert len(read(data, "\t", quoting="csv").rows) == 3


def test_lone_quotes_that_would_swallow_rows_are_refused_where_other_rows_need_quoting():
    rows = [f"{place}.wav,s,{text}" for place, text in enumerate(['"one, two"', '"lone', 'end"'])]
    with pytest.raises(DialectError, match="rows 3 to 4 are read as one"):
        read("\n".join([",".join(HEADER), *rows]).encode())


def test_a_table_that_ends_within_a_quoted_cell_is_refused():
    data = written(quoting=csv.QUOTE_ALL)
    with pytest.raises(DialectError, match="row 4: unexpected end of data"):
        read(data[:-5])
    unquoted_header = b"audio,who,said\n" + data.split(b"\n", 1)[1].replace(b"four, five", b"four")
    with pytest.raises(DialectError, match="row 4: unexpected end of data"):
        read(unquoted_header[:-5])


def test_doubled_quotes_show_that_quotes_enclose_cells():
    with pytest.raises(DialectError, match="row 3: "):
        read(b'audio,who,said\na,b,"x ""y"" z"\nc,d,"e\nf,g,h\ni,j,k\n')


def test_a_blank_before_a_quoted_cell_is_no_part_of_it():
    data = b'audio, who, said\na.wav, s1, "one, two"\nb.wav, s2, three\n'
    assert read(data).rows == [["a.wav", "s1", "one, two"], ["b.wav", "s2", "three"]]


def test_columns_and_rows_without_anything_are_left_out():
    data = b"\n audio ,who\xc2\xa0,said,,\na,b,c,,\n,,,,\n\nd,e,f\ng,h,i,,,,\n"
    sheet = read(data)
    assert (sheet.header, sheet.numbers) == (HEADER, [3, 6, 7])
    assert sheet.rows == [["a", "b", "c"], ["d", "e", "f"], ["g", "h", "i"]]


def test_a_column_without_a_name_keeps_its_place():
    sheet = read(b",audio,who,said\n0,a,b,c\n")
    assert (sheet.header, sheet.rows) == (["", *HEADER], [["0", "a", "b", "c"]])


def test_incomplete_rows_are_named():
    lines = ["audio,who,said", "a,b,c", "a,b", "", "a,b,c,d", "a,b,c", *["a"] * 5]
    with pytest.raises(DialectError) as caught:
        read("\n".join(lines).encode())
    assert str(caught.value).startswith(
        "the header has 3 cells, but row 3 has 2 cells, row 5 has 4 cells, row 7 has 1 cell, "
        "row 8 has 1 cell, row 9 has 1 cell and 2 more rows differ; "
    )


@pytest.mark.parametrize("data", [b"", b"\n\n", b"  \r\n", b"\xef\xbb\xbf", b",,\n,,\n"])
def test_an_empty_file_is_refused(data):
    with pytest.raises(DialectError, match="it is empty"):
        read(data)


def test_a_header_alone_has_no_rows():
    assert read(b"audio,who,said\n").rows == []


def test_names_that_repeat_are_refused_with_their_places():
    with pytest.raises(DialectError, match=r"same name in row 2 \(who: 2, 4\)"):
        read(b"\naudio,who,said, who \na,b,c,d\n")


def test_cells_may_be_long_and_the_limit_of_other_readers_stays():
    before = csv.field_size_limit()
    rows = [["a", "b", "x, " * 100_000]]
    assert read(written(rows)).rows == rows
    assert csv.field_size_limit() == before


def test_an_encoding_that_is_assumed_is_noted_with_a_word_of_it():
    data = written([["a", "b", "si naïve"]]).decode().encode("cp1252")
    assert "in the encoding Windows-1252 (row 2: 'naïve')" in note(data)
    assert note(data, encoding="cp1252") is None
    assert "UTF-16" in note(written().decode().encode("utf-16"))
