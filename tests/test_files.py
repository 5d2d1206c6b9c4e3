from pathlib import Path

import pytest

from jobs.files import atomic_path, slug, write_text


def test_a_write_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "f.txt"
    write_text(path, "one")
    write_text(path, "two")
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


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
