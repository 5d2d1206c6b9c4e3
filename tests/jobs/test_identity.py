import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.identity import canonical_json, content_id, file_digest, lines_digest

VALUE = {"b": [1, 2.5, None, True], "a": {"é": "x"}}
GOLDEN = "6a432034964912ec"
"""The first 16 digits of sha256sum over `{"a":{"\\u00e9":"x"},"b":[1,2.5,null,true]}`."""


def test_the_golden_id_never_changes() -> None:
    assert content_id(VALUE) == GOLDEN


def test_an_id_does_not_depend_on_the_process() -> None:
    code = f"from jobs.identity import content_id; print(content_id({VALUE!r}))"
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == GOLDEN


def test_the_order_of_keys_does_not_matter_and_that_of_lists_does() -> None:
    assert content_id({"a": 1, "b": 2}) == content_id({"b": 2, "a": 1})
    assert content_id([1, 2]) != content_id([2, 1])


@pytest.mark.parametrize("changed", [1.0, True, "1", [1], None, 2])
def test_an_id_tells_values_of_other_types_apart(changed: object) -> None:
    assert content_id({"x": changed}) != content_id({"x": 1})


@pytest.mark.parametrize("value", [{1, 2}, object(), Path("x"), b"x", {1: 2}, [{"a": {3}}]])
def test_what_has_no_canonical_form_is_refused_with_its_place(value: object) -> None:
    with pytest.raises(TypeError, match="value"):
        canonical_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"value\.x is"):
        content_id({"x": value})


def test_digests_of_lines_and_files_are_those_of_sha256(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"a\nb\n")
    done = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True)
    assert file_digest(path) == lines_digest(["a", "b"]) == done.stdout.split()[0]
