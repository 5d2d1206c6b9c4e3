"""JSON with checksums, and JSON that is damaged in any way."""

import json
import os
from pathlib import Path

import pytest

from jobs.storage.json_files import byte_sum, parse_json, read_json, with_sum, without_sum
from jobs.storage.object_store import open_file, read_bytes
from jobs.storage.regular_files import DamagedFile, open_to_write, read_regular


@pytest.mark.parametrize("indent", [None, 1])
def test_a_checksum_is_one_more_key_and_is_removed_again(indent: int | None) -> None:
    values = {"a": 1.5, "b": [{"c": "é"}]}
    text = with_sum(json.dumps(values, indent=indent).encode())
    assert list(json.loads(text)) == ["a", "b", "sum"]
    assert parse_json(text) == values
    assert without_sum(text)[1]


def test_every_changed_byte_is_found() -> None:
    text = with_sum(b'{"r2":0.5,"n":12}')
    start = text.index(b',"sum"')
    for at in range(start):
        for changed in (text[at] ^ 1, ord("7")):
            if changed != text[at]:
                with pytest.raises(DamagedFile):
                    parse_json(text[:at] + bytes([changed]) + text[at + 1 :])


def test_an_object_without_a_checksum_is_accepted() -> None:
    assert without_sum(b'{"a": 1}') == (b'{"a": 1}', False)
    assert parse_json(b'{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[" * 100_000, b"\xff", b"{", b"1" + b"0" * 5_000, b'{"a": "\\ud800"}',
     b'{"a": 1, "sum": 5}', b'{"b": 1}', b'{"a": true}', b'{"a": "1"}', b"\x00" * 9],
)  # fmt: skip
def test_anything_else_is_damaged_and_named(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(data)
    with pytest.raises(DamagedFile, match=r"state\.json is damaged"):
        read_json(path, {"a": int})


def test_a_folder_and_a_pipe_are_no_file_and_nothing_waits_for_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        for read in (read_regular, read_bytes, open_file):
            with pytest.raises(DamagedFile, match="expected a file"):
                read(path)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none")
    (tmp_path / "long").write_bytes(bytes(11))
    with pytest.raises(DamagedFile, match="at most 10"):
        read_regular(tmp_path / "long", 10)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "events.jsonl").symlink_to("mine")
    with pytest.raises(OSError, match="is a link, which is not written through"):
        open_to_write(tmp_path / "events.jsonl", os.O_WRONLY | os.O_APPEND)
    assert (tmp_path / "mine").read_text() == "mine"


def test_the_checksum_is_blake2b_of_eight_bytes() -> None:
    assert byte_sum(b"") == "e4a6a0577479b2b4"
