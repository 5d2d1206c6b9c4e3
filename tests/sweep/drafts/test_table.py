"""Drafts of specs for tables of recordings."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sweep.drafts.table import draft_of_table
from sweep.errors import UsageError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a table, and the audio files that it names in the column ``audio``."""

    def write(*lines: str, audio: str | None = None, name: str = "my table.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        header, *rows = (line.split(",") for line in lines)
        for row in rows if audio else ():
            file = tmp_path / row[header.index(str(audio))]
            file.parent.mkdir(exist_ok=True)
            soundfile.write(file, np.zeros(1600), 16_000)
        return path

    return write


def test_columns_with_usual_names_need_not_be_mentioned(write: Write) -> None:
    draft = draft_of_table(
        write(
            "audio_path,speaker_id,text,mood,age,note,constant",
            *(f"a{i}.wav,s{i % 3},hello,{'happy' if i % 2 else 'sad'},{20 + i},n{i},1"
              for i in range(12)),
        )
    )  # fmt: skip
    assert set(draft.corpus) == {"kind", "path"}
    assert draft.name == "my-table"
    targets = {target.name: target.is_class for target in draft.targets}
    assert targets == {"cps": False, "mood": True, "age": False}
    assert draft.left_out == (
        "note: 12 different texts are no classes",
        "constant: all its values are equal",
    )
    assert draft.protocol == {"kind": "kfold", "folds": 3}


def test_other_names_are_found_by_their_files_and_mentioned(write: Write) -> None:
    rows = [f"{i},clips/{i}.wav,p{i % 6}" for i in range(6)]
    draft = draft_of_table(write("id,clip,Participant", *rows, audio="clip"))
    assert draft.corpus["columns"] == {
        "audio": "clip", "speaker": "Participant", "utterance": "id"
    }  # fmt: skip
    assert draft.protocol == {"kind": "kfold", "folds": 5}


def test_the_separator_is_found_before_the_names_of_columns_are_known(write: Write) -> None:
    rows = [f"clips/{i}.wav;p{i % 6};{i}" for i in range(6)]
    path = write("clip;who;age", *rows)
    draft = draft_of_table(path, audio="clip", speaker="who")
    assert draft.corpus["columns"] == {"audio": "clip", "speaker": "who"}
    assert [target.name for target in draft.targets] == ["age"]


def test_without_another_target_there_is_the_duration(write: Write) -> None:
    draft = draft_of_table(write("path,speaker", "a.wav,s", "b.wav,t"))
    assert [target.name for target in draft.targets] == ["duration"]


def test_splits_by_speaker_are_used_under_their_names(write: Write) -> None:
    rows = [f"{i}.wav,s{i},{('train', 'dev', 'eval')[i % 3]}" for i in range(9)]
    draft = draft_of_table(write("path,speaker,subset", *rows))
    assert draft.protocol == {"kind": "splits", "validation": "dev", "test": "eval"}


def test_splits_that_share_speakers_give_way_to_folds(write: Write) -> None:
    rows = [f"{i}.wav,s{i % 2},{('train', 'test')[i // 2 % 2]}" for i in range(8)]
    draft = draft_of_table(write("path,speaker,subset", *rows))
    assert draft.protocol == {"kind": "kfold", "folds": 2}


def test_repeated_ids_are_no_names_of_utterances(write: Write) -> None:
    draft = draft_of_table(write("id,path,speaker", "1,a.wav,s", "1,b.wav,t"))
    assert draft.corpus["columns"] == {"audio": "path", "speaker": "speaker"}


def test_without_a_column_of_speakers_the_option_is_named(write: Write) -> None:
    with pytest.raises(UsageError, match=r"looks like speakers \(columns: path, x\).*--speaker"):
        draft_of_table(write("path,x", "a.wav,1"))


def test_a_column_that_is_named_must_exist(write: Write) -> None:
    with pytest.raises(UsageError, match="no column 'who': expected one of path, speaker"):
        draft_of_table(write("path,speaker", "a.wav,s"), speaker="who")


@pytest.mark.parametrize("content", [b"", b"path,speaker\n", b"\xff\xfe\x00"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"t\.csv"):
        draft_of_table(path)
