"""The reader of tables: columns and their names, what is skipped, what becomes a target."""

import numpy as np
import pandas as pd
import pydantic
import pytest
import soundfile

from jobs.corpus import prepare
from jobs.corpus.csv import read_csv
from jobs.corpus.csv_settings import CsvSettings
from jobs.corpus.table import CorpusError, has_value, read_table, write_table
from jobs.targets.registry import add_targets, describe_columns, find_target
from sweep import open_run
from sweep.errors import SpecError
from sweep.prepare.prepare import load_and_prepare
from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.spec.loading import load_spec
from sweep.state.events import EventLog


def write_audio(path, n_samples=8_000, rate=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(n_samples).integers(-3000, 3000, n_samples).astype(np.int16)
    soundfile.write(path, noise, rate)


@pytest.fixture
def folder(tmp_path):
    """Six files of two speakers, and a table with every default name and three more columns."""
    rows = ["utterance_id,audio_path,speaker_id,split,text,chapter_id,valence,dialect,age"]
    for number in range(6):
        audio = f"clips/{number}.{'wav' if number % 2 else 'flac'}"
        write_audio(tmp_path / audio, 8_000 + 100 * number)
        part, speaker = ("train", "007") if number < 4 else ("test", "NA")
        age = "" if number == 2 else 20 + number
        rows.append(f'u{number},{audio},{speaker},{part},"ONE, TWO",c,{number / 8},d{number},{age}')
    (tmp_path / "table.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def edit(folder, change, name="table.csv"):
    """Change the cells of the table."""
    cells = pd.read_csv(folder / "table.csv", dtype=str, keep_default_na=False)
    cells = change(cells)
    cells.to_csv(folder / name, index=False, sep="\t" if name.endswith("tsv") else ",")
    return folder / name


def read(folder, **settings):
    return read_csv(CsvSettings(path=folder / "table.csv", **settings))


def only_skipped(corpus):
    (skipped,) = corpus.skipped
    return skipped


def test_every_column_has_its_place(folder):
    corpus = read(folder)
    assert corpus.skipped == ()
    table = corpus.utterances.set_index("utterance_id")
    assert len(table) == 6
    row = table.loc["u5"]
    assert row["audio_path"] == str(folder / "clips/5.wav")
    assert (row["speaker_id"], row["split"], row["text"]) == ("NA", "test", "ONE, TWO")
    assert (row["chapter_id"], row["n_samples"], row["seconds"]) == ("c", 8_500, 8_500 / 16_000)
    assert set(table["speaker_id"]) == {"007", "NA"}


def test_other_columns_stay_numbers_as_numbers(folder):
    table = read(folder).utterances.set_index("utterance_id")
    assert table["valence"].dtype == float
    assert table.loc["u3", "valence"] == 3 / 8
    assert np.isnan(table.loc["u2", "age"])
    assert table.loc["u4", "age"] == 24
    assert table.loc["u4", "dialect"] == "d4"


def test_numbers_are_codes_of_classes_where_the_spec_says_so(folder):
    def coded(cells):
        return cells.assign(emotion=["0", "1", "0", "1", "2", "2"])

    edit(folder, coded)
    table = read(folder, classes=["emotion"]).utterances.set_index("utterance_id")
    assert list(table.loc[["u0", "u1", "u4"], "emotion"]) == ["0", "1", "2"]
    assert find_target("emotion", table).kind == "classification"
    with pytest.raises(CorpusError, match=r"corpus\.classes: no column 'mood'"):
        read(folder, classes=["mood"])


def test_the_table_survives_being_written_and_read(folder, tmp_path):
    table = read(folder).utterances
    write_table(tmp_path / "written.csv", table)
    pd.testing.assert_frame_equal(read_table(tmp_path / "written.csv"), table)


def test_names_and_a_folder_of_ones_own(folder):
    path = edit(
        folder,
        lambda t: t.rename(
            columns={"audio_path": "file", "speaker_id": "who", "split": "set", "text": "said"}
        ),
        "other.tsv",
    )
    cells = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    cells["file"] = cells["file"].str.removeprefix("clips/")
    cells.to_csv(path, sep="\t", index=False)
    columns = {"audio": "file", "speaker": "who", "split": "set", "transcript": "said"}
    settings = CsvSettings(path=path, root=folder / "clips", columns=columns)
    pd.testing.assert_frame_equal(prepare(settings, folder).utterances, read(folder).utterances)


def test_a_table_for_each_part(folder):
    """As the study has them: no split column, the part is the file."""
    train = edit(folder, lambda t: t.query("split == 'train'").drop(columns="split"), "train.csv")
    test = edit(folder, lambda t: t.query("split == 'test'").drop(columns="split"), "test.csv")
    settings = CsvSettings(path={"train": train, "test": test})
    pd.testing.assert_frame_equal(read_csv(settings).utterances, read(folder).utterances)


def test_only_audio_and_speaker_are_needed(folder):
    edit(folder, lambda t: t[["audio_path", "speaker_id"]])
    table = read(folder).utterances
    assert set(table["split"]) == {"all"}
    assert set(table["text"]) == {""}
    assert set(table["utterance_id"]) == set("012345")


def test_file_names_that_repeat_are_told_apart_by_their_paths(folder):
    write_audio(folder / "more/0.flac", 9_000)
    extra = pd.DataFrame({"audio_path": ["more/0.flac"], "speaker_id": ["x"]})
    edit(folder, lambda t: pd.concat([t[["audio_path", "speaker_id"]], extra]))
    table = read(folder).utterances
    assert {"clips/0.flac", "more/0.flac"} <= set(table["utterance_id"])


@pytest.mark.parametrize(
    ("columns", "missing"),
    [
        ({"audio": "wav"}, r"'wav' \(corpus.columns.audio\)"),
        ({"transcript": "sentence"}, r"'sentence' \(corpus.columns.transcript\)"),
        ({"split": "fold", "speaker": "who"}, r"'fold' .*columns.split\), 'who' .*columns.speaker"),
    ],
)
def test_a_column_that_is_not_there_is_named_beside_those_that_are(folder, columns, missing):
    with pytest.raises(CorpusError, match=f"has no column {missing}.*its columns are utterance_id"):
        read(folder, columns=columns)


@pytest.mark.parametrize("column", ["audio_path", "speaker_id", "split", "utterance_id"])
def test_an_empty_cell_that_is_needed_skips_the_row(folder, column):
    edit(folder, lambda t: t.assign(**{column: t[column].where(t.index != 3, " ")}))
    corpus = read(folder)
    assert "the cell is empty, in row 5" in only_skipped(corpus).reason
    assert len(corpus.utterances) == 5


def test_missing_and_unreadable_audio_is_skipped_by_name(folder):
    (folder / "clips/1.wav").unlink()
    (folder / "clips/3.wav").write_text("<html></html>")
    (folder / "clips/5.wav").write_bytes(b"")
    corpus = read(folder)
    assert [s.utterance_id for s in corpus.skipped] == ["u1", "u3", "u5"]
    reasons = [s.reason for s in corpus.skipped]
    assert reasons[0] == "missing audio: no such file"
    assert reasons[1].startswith("not readable as audio")
    assert reasons[2] == "empty file"
    assert set(corpus.utterances["utterance_id"]) == {"u0", "u2", "u4"}


def test_an_id_that_comes_twice_is_used_once_with_its_own_values(folder):
    edit(folder, lambda t: t.assign(utterance_id=t["utterance_id"].replace("u1", "u0")))
    corpus = read(folder)
    assert "duplicate utterance id" in only_skipped(corpus).reason
    assert corpus.utterances.set_index("utterance_id").loc["u0", "valence"] == 0.0
    assert len(corpus.utterances) == 5


def test_the_same_row_twice_is_one_utterance(folder):
    edit(folder, lambda t: pd.concat([t, t.iloc[[2]]]))
    corpus = read(folder)
    assert "duplicate utterance id" in only_skipped(corpus).reason
    assert len(corpus.utterances) == 6


def test_other_rates_are_used_and_noted(folder):
    write_audio(folder / "clips/1.wav", 4_000, 8_000)
    corpus = read(folder)
    assert corpus.notes == ("1 of 6 utterances are resampled to 16 kHz: 1 from 8000 Hz",)
    assert corpus.utterances.set_index("utterance_id").loc["u1", "n_samples"] == 8_000


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "no table at"),
        (b"", "cannot be read as a table"),
        (b"audio_path,speaker_id\n\xff\xfe,x\n", "cannot be read as a table.*UTF-8"),
        (b'audio_path,speaker_id\na,"b"\nc,"d\n', "cannot be read as a table: row 3: "),
        (b"audio_path,speaker_id\na,b,c,d\nx,y\n", "row 2 has 4 cells, the header 2"),
        (b"audio_path,speaker_id\na,b\nx\n", "row 3 has 1 cell, the header 2"),
        (b"audio_path,speaker_id,split,split\na,b,c,d\n", "same name in row 1 .split: 3, 4."),
    ],
)
def test_what_is_no_table_is_refused(folder, data, problem):
    path = folder / "table.csv"
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(CorpusError, match=problem):
        read(folder)


def test_a_table_with_a_byte_order_mark_is_read(folder):
    path = folder / "table.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read(folder).utterances) == 6


@pytest.mark.parametrize("path", [3, [], {}, {"train": 3}, {"train": None}, ""])
def test_a_path_that_is_none_says_what_is_expected(path):
    with pytest.raises(
        pydantic.ValidationError, match="expected a file, or a file for each split"
    ) as error:
        CsvSettings(path=path)
    assert error.value.error_count() == 1


# --- columns as targets


def test_a_numeric_column_is_a_target_by_its_name(folder):
    table = read(folder).utterances
    added = add_targets(table, ["valence", "age", "cps"]).set_index("utterance_id")
    assert added.loc["u3", "valence"] == 3 / 8
    assert np.isnan(added.loc["u2", "age"])
    assert added.loc["u0", "cps"] == 6 / 0.5


def test_a_column_goes_before_a_computed_target_of_its_name(folder):
    edit(folder, lambda t: t.rename(columns={"valence": "cps"}))
    added = add_targets(read(folder).utterances, ["cps"]).set_index("utterance_id")
    assert added.loc["u3", "cps"] == 3 / 8


def test_a_column_of_numbers_with_a_word_in_it_is_no_target_and_says_why(folder):
    edit(folder, lambda t: t.assign(age=t["age"].replace("25", "unknown")))
    table = read(folder).utterances
    with pytest.raises(ValueError, match=r"'age' does not hold numbers: 1 of 6 .*'unknown'"):
        find_target("age", table)
    with pytest.raises(ValueError, match="did you mean 'valence'"):
        find_target("valance", table)


def test_a_column_of_words_is_a_target_of_classes(folder):
    edit(folder, lambda t: t.assign(dialect=["north", "south ", "", "north", "south", "north"]))
    table = read(folder).utterances
    target = find_target("dialect", table)
    assert target.kind == "classification"
    added = add_targets(table, ["dialect"]).set_index("utterance_id")["dialect"]
    assert added.sort_index().tolist() == ["north", "south", "", "north", "south", "north"]


def test_a_column_with_nearly_as_many_words_as_rows_is_no_class(folder):
    table = read(folder).utterances
    with pytest.raises(
        ValueError, match=r"'dialect' does not hold classes: 6 different values in 6 utterances"
    ):
        find_target("dialect", table)


@pytest.mark.parametrize(
    ("cells", "classes"),
    [("FMFMFM", ["F", "M"]), ("010101", ["0", "1"]), (["f", "", "f", "m", "m", ""], ["f", "m"])],
)
def test_a_column_of_the_sex_is_one_of_classes_however_it_is_coded(folder, cells, classes):
    edit(folder, lambda t: t.assign(sex=list(cells)))
    table = read(folder).utterances
    assert find_target("sex", table).kind == "classification"
    added = add_targets(table, ["sex"]).set_index("utterance_id")["sex"].sort_index()
    assert added.tolist() == list(cells)
    assert sorted(set(added) - {""}) == classes


def test_without_transcripts_what_is_made_of_them_has_no_value(folder):
    edit(folder, lambda t: t.assign(text=t["text"].where(t.index != 0, "...")))
    added = add_targets(read(folder).utterances, ["cps", "words_per_second", "duration"])
    first = added.set_index("utterance_id").loc["u0"]
    assert np.isnan([first["cps"], first["words_per_second"]]).all()
    assert first["duration"] == 0.5
    assert added["cps"].notna().sum() == 5


def plan_with(write_spec, spec_values, folder, **changes):
    values = spec_values | {
        "corpus": {"kind": "csv", "path": str(folder / "table.csv")},
        "protocol": {"kind": "splits", "validation": None},
        "models": spec_values["models"][:1],
    }
    return load_and_prepare(write_spec(values | changes), [], folder / "cache")


def test_a_resolved_spec_reads_the_same_corpus(write_spec, spec_values, folder):
    """Every default is written into it, and none of them may become a demand."""
    edit(folder, lambda t: t[["audio_path", "speaker_id", "valence"]])
    corpus = {"kind": "csv", "path": str(folder / "table.csv")}
    spec = load_spec(write_spec(spec_values | {"corpus": corpus}))
    (folder / "resolved.yaml").write_text(spec.to_yaml())
    resolved = load_spec(folder / "resolved.yaml")
    assert resolved.corpus == spec.corpus
    assert read_csv(resolved.corpus).utterances.equals(read_csv(spec.corpus).utterances)


def test_a_spec_takes_columns_as_targets_and_counts_those_without_a_value(
    write_spec, spec_values, folder
):
    prepared = plan_with(write_spec, spec_values, folder, targets=["age", "valence", "cps"])
    assert len(prepared.table) == 6
    assert prepared.skipped == ()
    note = "1 of 6 utterances have no value of the target age: left out of its probes"
    assert prepared.notes == (note,)
    lacking = ~np.isfinite(prepared.table[["age", "valence", "cps"]].to_numpy())
    assert lacking.sum(axis=0).tolist() == [1, 0, 0]


def test_a_target_with_gaps_leaves_the_plan_of_the_others_as_it_was(
    write_spec, spec_values, folder
):
    less, more = (
        plan_with(write_spec, spec_values, folder, targets=targets).plan
        for targets in (["valence"], ["valence", "age"])
    )
    assert less.models == more.models
    assert less.targets["valence"] == more.targets["valence"]


def test_a_target_that_no_utterance_of_a_part_has_is_an_error_in_its_place(
    write_spec, spec_values, folder
):
    edit(folder, lambda t: t.assign(age=t["age"].where(t["split"] == "train", "NA")))
    with pytest.raises(
        SpecError, match=r"spec.yaml:\d+:\d+: age: without the 3 .*'test' has no utt"
    ):
        plan_with(write_spec, spec_values, folder, targets=["age"])


def test_a_spec_with_a_wrong_column_or_target_says_so_in_its_place(write_spec, spec_values, folder):
    with pytest.raises(SpecError, match=r"spec.yaml:\d+:\d+: no target 'valenc'"):
        plan_with(write_spec, spec_values, folder, targets=["valenc"])
    corpus = {"kind": "csv", "path": str(folder / "table.csv"), "columns": {"audio": "wav"}}
    with pytest.raises(SpecError, match=r"spec.yaml:\d+:\d+: .* has no column 'wav'"):
        plan_with(write_spec, spec_values, folder, corpus=corpus)
    corpus["columns"] = {"adio": "wav"}
    with pytest.raises(SpecError, match=r"unknown key 'adio'; did you mean 'audio'"):
        plan_with(write_spec, spec_values, folder, corpus=corpus)


def test_a_sweep_over_a_table_from_end_to_end(write_spec, spec_values, tmp_path):
    """Eight speakers; one file is at 8 kHz, one has no value: said once, all else scored."""
    rows = ["audio_path,speaker_id,split,loudness"]
    for number in range(24):
        rate = 8_000 if number == 5 else 16_000
        write_audio(tmp_path / f"{number}.wav", rate // 2 + 40 * number, rate)
        part = ("train", "validation", "test")[number // 3 % 8 // 3]
        rows.append(f"{number}.wav,s{number // 3},{part},{'' if number == 7 else number % 5}")
    (tmp_path / "table.csv").write_text("\n".join(rows) + "\n")
    values = spec_values | {
        "corpus": {"kind": "csv", "path": str(tmp_path / "table.csv")},
        "targets": ["loudness", "duration"],
        "models": spec_values["models"][:1],
        "probes": [{"kind": "ridge"}],
    }
    told = []
    options = RunOptions(where="inline", out=tmp_path / "run", cache=tmp_path / "cache")
    with EventLog([told.append]) as events:
        result = run_sweep(write_spec(values), options, events)
    assert (result.status, result.failed) == ("done", 0)
    notes = [
        "1 of 24 utterances are resampled to 16 kHz: 1 from 8000 Hz",
        "1 of 24 utterances have no value of the target loudness: left out of its probes",
    ]
    assert [e["message"] for e in told if e["kind"] == "warning"] == notes
    run = open_run(tmp_path / "run")
    assert len(run.utterances) == 24
    assert run.skipped == []
    assert dict(run.metrics.groupby("target")["n_train"].first()) == {"duration": 9, "loudness": 8}
    assert set(run.models["target"]) == {"loudness", "duration"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert all(note in page for note in notes)


@pytest.mark.parametrize("key", ["path", "root"])
def test_the_home_of_a_user_who_is_not_known_is_an_error_of_the_corpus(folder, key):
    settings = {"path": str(folder / "table.csv"), key: "~nobody-is-called-so/x"}
    with pytest.raises(CorpusError, match="no home directory for ~nobody-is-called-so"):
        read_csv(CsvSettings(**settings))


def test_float_samples_in_the_range_of_integers_are_scaled_and_noted(folder):
    path = folder / "clips/1.wav"
    wave = 0.3 * np.sin(np.arange(8_000) / 10)
    soundfile.write(path, wave * 32_768, 16_000, subtype="FLOAT")
    corpus = read(folder)
    assert corpus.notes == (
        "1 of 6 utterances have float samples in the range of integers, which are brought to a "
        "full scale of ±1: 1 from ±32768",
    )


# --- dialects, numbers and spellings


def test_what_was_found_in_the_table_is_noted(folder):
    text = (folder / "table.csv").read_text().replace('"ONE, TWO"', "À DEUX").replace(",", ";")
    (folder / "table.csv").write_bytes(text.encode("cp1252"))
    corpus = read(folder)
    assert set(corpus.utterances["text"]) == {"À DEUX"}
    assert corpus.notes == (
        "table.csv is read in the encoding Windows-1252 (row 2: 'À'), with semicolons as "
        "separators; corpus.dialect sets it otherwise",
    )
    assert read(folder, dialect={"separator": ";", "encoding": "cp1252"}).notes == ()


def test_a_wrong_separator_is_named_beside_the_columns(folder):
    with pytest.raises(
        CorpusError, match=r"if semicolons do not separate them.*dialect\.separator"
    ):
        read(folder, dialect={"separator": ";"})


def test_tables_of_a_corpus_are_read_alike(folder):
    """One has a lone quote, so the whole sentence in quotes of the other keeps them."""
    for name, numbers, said in (("a", "012", '"Yes.'), ("b", "345", '"No."')):
        texts = ["Maybe."] * 2 + [said]
        rows = [
            f"clips/{n}.{'wav' if int(n) % 2 else 'flac'}\ts{n}\t{text}"
            for n, text in zip(numbers, texts, strict=True)
        ]
        (folder / f"{name}.tsv").write_text("\n".join(["audio_path\tspeaker_id\ttext", *rows]))
    paths = {"train": folder / "a.tsv", "test": folder / "b.tsv"}
    corpus = read_csv(CsvSettings(path=paths))
    assert set(corpus.utterances["text"]) == {"Maybe.", '"Yes.', '"No."'}
    alone = read_csv(CsvSettings(path=folder / "b.tsv"))
    assert set(alone.utterances["text"]) == {"Maybe.", "No."}


def test_rows_are_numbered_as_in_the_file(folder):
    path = folder / "table.csv"
    path.write_text(path.read_text().replace('"ONE, TWO"', '"ONE,\nTWO"', 1).replace("u4,", "\n,"))
    assert only_skipped(read(folder)).reason.endswith("the cell is empty, in row 8")


def test_a_table_without_rows_is_refused(folder):
    (folder / "table.csv").write_text("audio_path,speaker_id\n")
    with pytest.raises(CorpusError, match=r"no row below the header of .*table\.csv"):
        read(folder)


def test_audio_that_may_not_be_looked_at_is_skipped(folder):
    edit(folder, lambda t: t.assign(audio_path=t["audio_path"].where(t.index != 3, "x" * 300)))
    assert only_skipped(read(folder)).reason == "unreadable audio: File name too long"


def with_column(folder, cells, **settings):
    edit(folder, lambda t: t.assign(mos=cells))
    return read(folder, **settings)


def test_a_column_with_decimal_commas_is_one_of_numbers_and_noted(folder):
    corpus = with_column(folder, ["1,5", "2,0", "", "3", "1,5", "-0,25"])
    table = corpus.utterances.set_index("utterance_id")
    assert table["mos"].dtype == float
    assert list(table["mos"].dropna().sort_index()) == [1.5, 2.0, 3.0, 1.5, -0.25]
    (note,) = corpus.notes
    assert note.startswith("the column mos is read as numbers with a decimal comma: '1,5' is 1.5;")
    assert with_column(folder, ["1,5"] * 6, dialect={"decimal": ","}).notes == ()


def test_a_column_with_decimal_commas_can_be_one_of_classes(folder):
    corpus = with_column(folder, ["1,5", "2,0"] * 3, classes=["mos"])
    assert corpus.notes == ()
    assert find_target("mos", corpus.utterances).kind == "classification"
    assert set(add_targets(corpus.utterances, ["mos"])["mos"]) == {"1,5", "2,0"}


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (["1,234", "2,345"], "a comma that may be a decimal mark or separate thousands"),
        (["1,5", "2.5"], "a decimal comma"),
        (["1.234,5", "2.345,5"], "thousands separators"),
        (["1_000", "2_000"], "thousands separators"),
        (["5%", "10%"], "a percent sign"),
        (["０１", "０２"], "characters other than the digits 0 to 9"),
        (["1", "２"], "characters other than the digits 0 to 9"),
    ],
)
def test_numbers_in_an_uncertain_notation_are_neither_numbers_nor_classes(folder, cells, why):
    table = with_column(folder, cells * 3).utterances
    with pytest.raises(ValueError, match=f"'mos' holds numbers in a notation.*{why}.*corpus.cla"):
        find_target("mos", table)
    found = describe_columns(table)
    assert found["mos"].startswith("no target: ")
    declared = with_column(folder, cells * 3, classes=["mos"]).utterances
    assert describe_columns(declared)["mos"] == "classes (2)"


def test_an_ambiguous_comma_is_read_as_the_spec_says(folder):
    table = with_column(folder, ["1,234", "2,345"] * 3, dialect={"decimal": ","}).utterances
    assert set(table["mos"]) == {1.234, 2.345}
    table = with_column(folder, ["1.234", "2,345"] * 3, dialect={"decimal": ","}).utterances
    with pytest.raises(ValueError, match=r"a decimal point, and not corpus\.dialect\.decimal"):
        find_target("mos", table)


def test_codes_with_underscores_are_classes_of_their_own(folder):
    table = with_column(folder, ["1_02", "10_2"] * 3).utterances
    assert describe_columns(table)["mos"] == "classes (2)"
    assert set(add_targets(table, ["mos"])["mos"]) == {"1_02", "10_2"}


def test_infinite_numbers_count_as_missing_and_are_noted(folder):
    corpus = with_column(folder, ["1", "2", "3", "1e400", "-inf", "NaN"])
    assert has_value(corpus.utterances["mos"]).sum() == 3
    (note,) = corpus.notes
    assert note.startswith(
        "2 of 6 cells of the column mos are not finite numbers and count as missing"
    )


def test_a_word_among_uncertain_numbers_makes_them_no_classes(folder):
    table = with_column(folder, ["1,5", "1,5", "1,5", "2.5", "2.5", "bad"]).utterances
    with pytest.raises(ValueError, match=r"1 of 6 cells are none \(first: 'bad', utterance u5\)"):
        find_target("mos", table)


def test_every_own_column_is_described(folder):
    edit(folder, lambda t: t.assign(sex=list("FMFMFM")))
    found = describe_columns(read(folder).utterances)
    assert found.pop("dialect").startswith("no target: the column 'dialect' does not hold classes")
    assert found == {"age": "numbers", "sex": "classes (2)", "valence": "numbers"}


@pytest.mark.parametrize("name", ["sex", "gender", "Gender"])
def test_spellings_of_a_sex_are_one_class(folder, name):
    cells = ["Female", "f", "FEMALE", "male", "M", ""]
    edit(folder, lambda t: t.assign(**{name: cells}))
    corpus = prepare(CsvSettings(path=folder / "table.csv"), folder)
    table = add_targets(corpus.utterances, [name]).set_index("utterance_id").sort_index()
    assert list(table[name]) == ["F", "F", "F", "M", "M", ""]
    assert f"the column {name} has several spellings of a sex: " in corpus.notes[0]


@pytest.mark.parametrize("cells", [["f", "m"], ["Female", "Male"], ["F", "other"], ["0", "1"]])
def test_one_spelling_of_each_sex_stays_as_it_is(folder, cells):
    edit(folder, lambda t: t.assign(sex=cells * 3))
    corpus = prepare(CsvSettings(path=folder / "table.csv"), folder)
    assert corpus.notes == ()
    assert set(add_targets(corpus.utterances, ["sex"])["sex"]) == set(cells)


def test_where_no_row_can_be_used_the_commonest_reason_and_a_path_are_named(
    write_spec, spec_values, folder
):
    edit(folder, lambda t: t.assign(audio_path="gone/" + t["audio_path"], speaker_id="x"))
    found = (
        r"spec.yaml:\d+:\d+: no utterance can be used: 6 utterances skipped, missing audio: no "
        rf"such file \(first: {folder}/gone/clips/0\.flac\)"
    )
    with pytest.raises(SpecError, match=found) as caught:
        plan_with(write_spec, spec_values, folder, targets=["valence"])
    assert len(caught.value.problems) == 1


def test_where_a_split_has_lost_all_utterances_the_reason_is_named(write_spec, spec_values, folder):
    for path in (folder / "clips/4.flac", folder / "clips/5.wav"):
        path.unlink()
    with pytest.raises(SpecError, match=r"'test' has no utt.*2 utterances skipped, missing audio"):
        plan_with(write_spec, spec_values, folder, targets=["valence"])


def test_a_plan_knows_the_kinds_of_columns_and_what_was_excluded(write_spec, spec_values, folder):
    corpus = {"kind": "csv", "path": str(folder / "table.csv"), "exclude": ["u0"]}
    prepared = plan_with(write_spec, spec_values, folder, targets=["valence"], corpus=corpus)
    assert prepared.columns["valence"] == "numbers"
    assert [one.utterance_id for one in prepared.skipped] == ["u0"]
    assert len(prepared.table) == 5
