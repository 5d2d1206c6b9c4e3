from pathlib import Path

import pytest

from jobs.storage.atomic import atomic_path, is_temporary, slug, write_text


def test_a_write_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "f.txt"
    write_text(path, "one")
    write_text(path, "two")
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.npz", "a", ".hidden", "a.b.json", "a--b--ridge.e1.npz", "a."])
def test_a_file_that_is_being_written_is_told_from_those_of_others(
    tmp_path: Path, name: str
) -> None:
    with atomic_path(tmp_path / name) as temporary:
        temporary.touch()
        assert is_temporary(temporary.name)
    assert not is_temporary(name)
    assert not any(
        map(is_temporary, (".mine.tmp.docx", ".x.12345678.tmp.tar.gz", "x.12345678.tmp"))
    )


def test_a_failed_write_leaves_the_old_file_untouched(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    write_text(path, "old")

    def fail_half_way() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", ".hidden", "", "näme <x>", "--", "a\0b"]
)
def test_a_slug_is_one_harmless_file_name(name: str, tmp_path: Path) -> None:
    made = slug(name)
    assert (tmp_path / made).parent == tmp_path
    assert not made.startswith((".", "-"))
    (tmp_path / made).touch()
