import tempfile
from pathlib import Path

import pytest

from sweep.executors.temporary_folder import SHORT_FOLDER, temporary_folder


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_a_path_that_is_too_long_for_a_socket_is_not_used(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("job_of_a_user" * 8)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv(variable, str(long))
    assert temporary_folder() == SHORT_FOLDER


def test_a_short_path_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/x")
    assert temporary_folder() == "/x/ray"
