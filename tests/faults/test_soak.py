"""The soak, for as long as `SOAK_MINUTES` says (60); before a release, see ``soak.md``."""

import os
import secrets
from pathlib import Path

import pytest

from tests.faults.soak import Soak


@pytest.mark.slow
def test_random_faults_for_an_hour_change_no_table_and_leave_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    soak = Soak(tmp_path, seed=0)
    figures = soak.run(minutes=float(os.environ.get("SOAK_MINUTES", "60")))
    assert figures.faults
    assert figures.mismatches == figures.crashes == figures.leftovers == []
