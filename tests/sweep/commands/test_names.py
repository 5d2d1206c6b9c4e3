"""Names of specs and runs on the command line."""

from pathlib import Path

import pytest
import typer

from sweep.commands.names import complete_runs, complete_specs, find_run, find_spec


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two specs and a run, as the current one."""
    for name in ("specs/demo.yaml", "mine.yaml", "results/demo/plan.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("demo", "specs/demo.yaml"),
        ("mine", "mine.yaml"),
        ("specs/demo.yaml", "specs/demo.yaml"),
        ("elsewhere/nothing.yaml", "elsewhere/nothing.yaml"),
        ("x" * 5000, "x" * 5000),
    ],
)
def test_a_spec_is_found_by_its_path_or_its_name(given: str, found: str) -> None:
    assert find_spec(Path(given)) == Path(found)


@pytest.mark.parametrize("given", ["dmeo", "specs/dmeo.yaml", "demos"])
def test_a_misspelt_spec_is_answered_with_the_nearest(given: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"did you mean 'specs/demo\.yaml'\?"):
        find_spec(Path(given))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("demo", "results/demo"),
        ("results/demo", "results/demo"),
        ("s3://bucket/demo", "s3://bucket/demo"),
        ("nothing-like-it", "nothing-like-it"),
        ("", ""),
    ],
)
def test_a_run_is_found_by_its_folder_its_url_or_its_name(given: str, found: str) -> None:
    assert find_run(given) == found


def test_a_misspelt_run_is_answered_with_the_nearest() -> None:
    with pytest.raises(typer.BadParameter, match="did you mean 'results/demo'"):
        find_run("results/dmo")


def test_the_shell_completes_specs_and_runs() -> None:
    assert complete_specs("") == ["mine.yaml", "specs/demo.yaml"]
    assert complete_specs("specs/d") == ["specs/demo.yaml"]
    assert complete_runs("results") == ["results/demo"]
    assert complete_runs("x") == []
