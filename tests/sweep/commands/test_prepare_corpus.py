"""``sweep prepare``: the study's tables, what was skipped, and statistics beside what is known."""

import csv
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile
from typer.testing import CliRunner

from jobs.corpus.librispeech_facts import LIBRISPEECH, Fact
from jobs.optional_packages import OptionalPackage
from jobs.targets.measurements import MEASUREMENTS
from sweep.commands.app import app
from sweep.commands.prepare_corpus import PreparedPart, prepare_corpus, statistics_table
from sweep.errors import SpecError, UsageError

COLUMNS = ["audio_path", "text", "cps", "speaker_id", "chapter_id", "audio_id", "duration"]


def add_speaker(root, subset, speaker, seconds, letters=6):
    folder = root / subset / speaker / "1"
    folder.mkdir(parents=True)
    lines = []
    for number, length in enumerate(seconds):
        name = f"{speaker}-1-{number:04d}"
        wave = np.random.default_rng(number).integers(-3000, 3000, round(length * 16_000))
        soundfile.write(folder / f"{name}.flac", wave.astype(np.int16), 16_000, subtype="PCM_16")
        lines.append(f"{name} {'A' * (letters - 1)} B")
    (folder / f"{speaker}-1.trans.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "LibriSpeech"
    add_speaker(root, "train-clean-100", "19", [0.5, 1.0])
    add_speaker(root, "train-clean-100", "26", [0.5, 2.0, 1.5])
    add_speaker(root, "dev-clean", "0084", [1.0, 2.0])
    add_speaker(root, "test-clean", "61", [1.0])
    return root


@pytest.fixture
def spec(root, write_spec):
    """Its model is not there, and is not needed."""
    parts = {"train": "train-clean-100", "validation": ["dev-clean"], "test": "test-clean"}
    return write_spec(
        {
            "name": "study",
            "corpus": {"kind": "librispeech", "root": str(root), "splits": parts},
            "models": [{"name": "m", "kind": "wespeaker", "checkpoint": str(root / "no-such")}],
            "probes": [{"kind": "ridge"}],
        }
    )


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def prepare(spec, tmp_path, *overrides):
    return prepare_corpus(spec, overrides, tmp_path / "out", tmp_path / "cache")


def test_every_part_becomes_a_table_with_the_columns_of_the_study(spec, tmp_path, root):
    prepared = prepare(spec, tmp_path)
    names = {"train_cps.csv", "dev_cps.csv", "test_cps.csv", "skipped.csv"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert {path.name for path in prepared.files} == names
    rows = read(tmp_path / "out" / "dev_cps.csv")
    assert list(rows[0]) == COLUMNS
    first = rows[0]
    assert first["audio_path"] == str(root / "dev-clean" / "0084" / "1" / "0084-1-0000.flac")
    assert [first["speaker_id"], first["chapter_id"], first["audio_id"]] == [
        "0084",
        "1",
        "0084-1-0000",
    ]
    assert (float(first["cps"]), float(first["duration"])) == (6.0, 1.0)
    assert len(read(tmp_path / "out" / "train_cps.csv")) == 5


def test_every_target_has_its_table(spec, tmp_path):
    prepared = prepare(spec, tmp_path, "targets=[cps, words_per_second]")
    rows = read(tmp_path / "out" / "test_words_per_second.csv")
    assert [float(row["words_per_second"]) for row in rows] == [2.0]
    assert "words_per_second ICC" in prepared.parts[0].measures


def test_what_cannot_be_read_is_listed_with_its_reason(spec, tmp_path, root):
    folder = root / "dev-clean" / "0084" / "1"
    (folder / "0084-1-0001.flac").write_bytes(b"no audio")
    (folder / "0084-1-0009.flac").write_bytes(b"")
    prepared = prepare(spec, tmp_path)
    rows = read(tmp_path / "out" / "skipped.csv")
    assert [row["utterance_id"] for row in rows] == ["0084-1-0001", "0084-1-0009"]
    assert rows[1]["path"] == str(folder / "0084-1-0009.flac")
    assert "without a transcript" in rows[1]["reason"]
    assert all(row["reason"] for row in rows)
    assert len(prepared.skipped) == 2
    assert {part.name: part.measures["utterances"] for part in prepared.parts}["validation"] == 1


def test_a_file_whose_name_is_not_utf_8_is_listed_with_escapes(spec, tmp_path, root):
    (root / "dev-clean" / "0084" / "1" / os.fsdecode(b"0084-\xff.flac")).write_bytes(b"")
    prepare(spec, tmp_path)
    (row,) = read(tmp_path / "out" / "skipped.csv")
    assert row["utterance_id"] == "0084-\\udcff"


def test_subsets_are_held_against_what_is_known_of_them(spec, tmp_path):
    train, validation, test = prepare(spec, tmp_path).parts
    assert [train.subset, validation.subset, test.subset] == [
        "train-clean-100", "dev-clean", "test-clean",
    ]  # fmt: skip
    assert train.differing == ["utterances", "speakers", "hours", "mean seconds"]
    assert train.facts["utterances"].difference(train.measures["utterances"]) == 5 - 28539
    assert train.measures["mean seconds"] == pytest.approx(5.5 / 5)
    # One utterance has no SD and no ICC: what should be there and is not differs as well.
    assert {"cps SD", "cps ICC"} < set(test.differing)


def test_a_part_of_several_subsets_or_of_another_corpus_is_compared_with_nothing(spec, tmp_path):
    override = "corpus.splits={train: [train-clean-100, dev-clean], test: test-clean}"
    train, _ = prepare(spec, tmp_path, override).parts
    assert (train.subset, train.measures["utterances"], train.differing) == (None, 7, [])
    espeak = "corpus={kind: espeak, speakers: {dev-clean: 2}, utterances_per_speaker: 2}"
    (part,) = prepare(spec, tmp_path, espeak).parts
    assert (part.name, part.subset) == ("dev-clean", None)


@pytest.mark.parametrize("subset", LIBRISPEECH)
def test_the_known_facts_agree_with_each_other(subset):
    facts = LIBRISPEECH[subset]
    mean = facts["hours"].value * 3600 / facts["utterances"].value
    # Both are rounded to one decimal; 0.05 h over the utterances of a subset is 0.07 s at most.
    assert mean == pytest.approx(facts["mean seconds"].value, abs=0.05 + 0.07)


@pytest.mark.parametrize(
    ("fact", "found", "difference"),
    [
        (Fact(2703), 2703, 0),
        (Fact(2703), 2702, -1),
        (Fact(5.4, 0.05), 5.388, 0),
        (Fact(5.4, 0.05), 5.6, pytest.approx(0.2)),
        (Fact(0.38, 0.17), None, None),
    ],
)
def test_counts_must_be_met_exactly_and_the_rest_within_its_tolerance(fact, found, difference):
    assert fact.difference(found) == difference


def test_a_sound_subset_differs_in_nothing():
    measures = {
        "utterances": 2703, "speakers": 40, "hours": 5.388, "mean seconds": 7.176,
        "cps mean": 11.9, "cps SD": 2.2, "cps ICC": 0.41,
    }  # fmt: skip
    assert PreparedPart("validation", "dev-clean", measures).differing == []
    short = PreparedPart("validation", "dev-clean", measures | {"utterances": 2700})
    assert short.differing == ["utterances"]
    *_, differences = statistics_table([short]).columns
    assert [str(cell) for cell in differences.cells] == ["-3"] + ["ok"] * 6


def test_the_verb_prints_statistics_and_flags(spec, tmp_path, root):
    (root / "test-clean" / "61" / "1" / "61-1-0007.flac").write_bytes(b"")
    arguments = ["prepare", str(spec), "--to", str(tmp_path / "out"), "--cache", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert any("utterances" in line and "28539" in line and "-28534" in line for line in lines)
    assert any(line.startswith("train: DIFFERS in utterances, speakers") for line in lines)
    assert f"1 utterance skipped: {tmp_path / 'out' / 'skipped.csv'}" in lines
    assert "skipped 61-1-0007: " in result.stderr


def test_the_tables_go_to_the_folder_of_the_run_by_default(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["prepare", str(spec)]).exit_code == 0
    assert len(pd.read_csv(tmp_path / "results" / "study" / "corpus" / "train_cps.csv")) == 5


def test_a_speaker_in_two_parts_is_told_and_stops_nothing(spec, tmp_path, root):
    add_speaker(root, "test-clean", "0084", [1.0])
    (root / "test-clean" / "0084" / "1").rename(root / "test-clean" / "0084" / "2")
    folder = root / "test-clean" / "0084" / "2"
    (folder / "0084-1.trans.txt").rename(folder / "0084-2.trans.txt")
    (folder / "0084-2.trans.txt").write_text("0084-2-0000 AB")
    (folder / "0084-1-0000.flac").rename(folder / "0084-2-0000.flac")
    assert any("0084" in warning for warning in prepare(spec, tmp_path).warnings)


def test_a_part_that_cannot_be_read_at_all_is_shown_with_nothing_in_it(spec, tmp_path, root):
    (root / "test-clean" / "61" / "1" / "61-1-0000.flac").write_bytes(b"")
    *_, test = prepare(spec, tmp_path).parts
    assert test.measures["utterances"] == 0
    assert test.facts["utterances"].difference(0) == -2620


def test_a_corpus_of_which_nothing_can_be_read_is_an_error_and_leaves_the_reasons(
    spec, tmp_path, root
):
    for path in root.rglob("*.flac"):
        path.write_bytes(b"")
    with pytest.raises(
        SpecError, match="no utterance can be used: 8 utterances skipped, empty file"
    ):
        prepare(spec, tmp_path)
    assert len(read(tmp_path / "out" / "skipped.csv")) == 8


def test_what_is_wrong_with_the_spec_is_told_at_its_place(spec, tmp_path):
    with pytest.raises(SpecError, match=r"--set targets=.*no target 'csp'.*'cps'"):
        prepare(spec, tmp_path, "targets=[csp]")
    with pytest.raises(SpecError, match="no corpus at /no-such-folder"):
        prepare(spec, tmp_path, "corpus.root=/no-such-folder")


def test_problems_of_form_and_of_the_corpus_and_the_targets_come_at_once(spec, tmp_path):
    overrides = ["poling=mean", "targets=[cps, cpz]"]
    with pytest.raises(SpecError) as error:
        prepare(spec, tmp_path, *overrides)
    assert [problem.message.partition(":")[0] for problem in error.value.problems] == [
        "unknown key 'poling'; did you mean 'pooling'?",
        "no target 'cpz'",
    ]
    with pytest.raises(SpecError) as error:
        prepare(spec, tmp_path, "poling=mean", "corpus.splits={train: train-clean}")
    assert [problem.message.partition(" in ")[0] for problem in error.value.problems] == [
        "unknown key 'poling'; did you mean 'pooling'?",
        "no subset 'train-clean'",
    ]


def test_measured_targets_are_measured_once_and_shown_while_it_lasts(
    spec, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("sweep.progress.bars.PLAIN_SECONDS", 0)
    prepared = prepare(spec, tmp_path, "targets=[energy, cps]")
    rows = read(tmp_path / "out" / "train_energy.csv")
    # Uniform integers from -3000 to 2999 have the power (6000² - 1) / 12 + 1/4.
    level = 10 * np.log10(6000**2 / 12 / 32768**2)
    assert [float(row["energy"]) for row in rows] == pytest.approx([level] * 5, abs=0.2)
    assert prepared.parts[0].measures["energy mean"] == pytest.approx(level, abs=0.2)
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("reading chapters 4/4") for line in lines)
    # Of the eight files five sound different.
    assert any(line.startswith("measuring level 5/5") for line in lines)
    prepare(spec, tmp_path, "targets=[energy, cps]")
    assert "measuring" not in capsys.readouterr().err


def test_a_package_that_is_missing_is_told_at_the_target_before_anything_is_written(
    spec, tmp_path, monkeypatch
):
    package = OptionalPackage("praat-parselmouth", "no_such_module")
    absent = replace(MEASUREMENTS["pitch"], package=package)
    monkeypatch.setitem(MEASUREMENTS, "pitch", absent)
    with pytest.raises(SpecError, match=r"f0_sd cannot be measured.*pip install praat-parselmouth"):
        prepare(spec, tmp_path, "targets=[cps, f0_sd]")
    assert not (tmp_path / "out").exists()


def test_classes_are_counted_and_have_their_table(spec, tmp_path, root):
    text = "19 | F | a | 1 | A\n26 | M | a | 1 | B\n61 | F | c | 1 | C\n"
    (root / "SPEAKERS.TXT").write_text(text)
    train, validation, test = prepare(spec, tmp_path, "targets=[sex, speaker]").parts
    assert [row["sex"] for row in read(tmp_path / "out" / "train_sex.csv")].count("M") == 3
    assert train.measures["sex classes"] == 2
    assert train.measures["sex majority"] == 3 / 5
    assert validation.measures["sex missing"] == 2
    assert validation.measures["sex majority"] is None
    assert test.measures["speaker classes"] == 1
    rows = read(tmp_path / "out" / "dev_speaker.csv")
    assert [row["speaker"] for row in rows] == [row["speaker_id"] for row in rows] == ["0084"] * 2


def test_the_target_sex_says_what_is_missing_for_it(spec, tmp_path):
    with pytest.raises(SpecError, match=r"--set targets=.*expected SPEAKERS\.TXT beside"):
        prepare(spec, tmp_path, "targets=[sex]")


@pytest.mark.parametrize("target", ["duration", "cps"])
def test_a_duration_that_the_corpus_brings_is_the_one_that_is_written(spec, tmp_path, root, target):
    rows = ["audio_path,speaker_id,text,duration"]
    rows += [f"{path},{path.parts[-3]},A,{n + 100}" for n, path in enumerate(root.rglob("*.flac"))]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    override = f"corpus={{kind: csv, path: {tmp_path / 'table.csv'}}}"
    prepare(spec, tmp_path, override, f"targets=[{target}]")
    found = pd.read_csv(tmp_path / "out" / f"all_{target}.csv")
    assert sorted(found["duration"]) == list(range(100, 108))
    assert list(found.columns).count("duration") == 1


def test_a_folder_that_cannot_be_written_to_is_told(spec, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot write to .*file.*--to"):
        prepare_corpus(spec, [], tmp_path / "file" / "out", tmp_path / "cache")


def test_every_own_column_is_listed_as_numbers_or_classes(tmp_path, write_spec):
    rows = ["audio_path,speaker_id,split,mos,mood"]
    for number in range(6):
        wave = np.random.default_rng(number).integers(-3000, 3000, 8_000)
        soundfile.write(tmp_path / f"{number}.wav", wave.astype(np.int16), 16_000)
        split = ("train", "validation", "test")[number % 3]
        rows.append(f'{number}.wav,s{number % 3},{split},"{number},5",{"ab"[number % 2]}')
    (tmp_path / "table.csv").write_text("\n".join(rows))
    spec = write_spec(
        {
            "name": "columns",
            "corpus": {"kind": "csv", "path": str(tmp_path / "table.csv")},
            "targets": ["mos"],
            "models": [{"name": "m", "kind": "wespeaker", "checkpoint": "no-such"}],
            "probes": [{"kind": "ridge"}],
        }
    )
    arguments = ["prepare", str(spec), "--to", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "column mos: numbers" in lines
    assert "column mood: classes (2)" in lines
    assert "the column mos is read as numbers with a decimal comma: " in result.stderr


def test_where_nothing_is_left_the_commonest_reason_is_named(spec, tmp_path, root):
    for path in root.rglob("*.flac"):
        path.write_bytes(b"")
    first = next(iter(sorted(root.rglob("*.flac")))).parent / "extra.flac"
    first.write_bytes(b"no audio")
    with pytest.raises(SpecError) as caught:
        prepare(spec, tmp_path)
    message = str(caught.value)
    assert (
        "no utterance can be used: 9 utterances skipped, 8 for this reason: empty file" in message
    )
    assert f"(first: {root}" in message
    assert "skipped.csv" in message
