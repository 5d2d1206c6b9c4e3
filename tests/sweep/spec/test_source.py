from pathlib import Path

import pytest

from sweep.errors import SpecError
from sweep.spec.source import Source


def source(tmp_path: Path, text: str) -> Source:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return Source(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(SpecError) as error:
        source(tmp_path, text)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in error.value.problems]


def test_a_problem_points_at_line_and_column_of_its_value(tmp_path: Path) -> None:
    found = source(tmp_path, "a: 1\nb:\n  - {c: 2, d: 3}\n").problem(("b", 0, "d"), "no")
    assert (found.line, found.column) == (3, 15)


def test_a_problem_can_point_at_the_key(tmp_path: Path) -> None:
    found = source(tmp_path, "a: 1\nb:\n  - {c: 2, d: 3}\n").problem(("b", 0, "d"), "", at_key=True)
    assert (found.line, found.column) == (3, 12)


def test_a_step_that_is_not_in_the_file_points_at_what_is_around_it(tmp_path: Path) -> None:
    found = source(tmp_path, "probes:\n  - kind: mlp\n").problem(("probes", 0, "mlp", "hidden"), "")
    assert (found.line, found.column) == (2, 5)


def test_every_repeated_key_is_reported(tmp_path: Path) -> None:
    assert problems(tmp_path, "a: 1\nb: {c: 1, c: 2}\na: 3\n") == [
        "s.yaml:2:11: the key 'c' is repeated",
        "s.yaml:3:1: the key 'a' is repeated",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s.yaml:1:1: expected `key: value` lines, found nothing"),
        ("- 1\n", "s.yaml:1:1: expected `key: value` lines, found list"),
        ("a: [1\nb: 2\n", "s.yaml:2:2: not YAML: expected ',' or ']', but got ':'"),
        ("a: !!python/object:os.system x\n", "s.yaml:1:4: not YAML: could not determine a"),
        ("a: 2024-13-45\n", "s.yaml:1:1: not YAML that can be read: ValueError: month must be"),
        ("a: " + "[" * 5000, "s.yaml:1:103: not plain YAML: over 100 values inside"),
    ],
)
def test_what_is_not_a_mapping_is_refused_with_a_place(
    tmp_path: Path, text: str, message: str
) -> None:
    [problem] = problems(tmp_path, text)
    assert problem.startswith(message)


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read the spec: No such file"):
        Source(tmp_path / "absent.yaml")


def test_set_changes_a_value_in_a_mapping_and_in_a_list(tmp_path: Path) -> None:
    spec = source(tmp_path, "protocol: {folds: 5}\nprobes: [{kind: mlp}]\n")
    spec.override("protocol.folds=3")
    spec.override("probes.0.hidden=[4, 4]")
    spec.override("bootstrap.resamples=200")
    assert spec.values == {
        "protocol": {"folds": 3},
        "probes": [{"kind": "mlp", "hidden": [4, 4]}],
        "bootstrap": {"resamples": 200},
    }


def test_a_problem_in_a_set_value_points_at_the_command_line(tmp_path: Path) -> None:
    spec = source(tmp_path, "protocol: {folds: 5}\n")
    spec.override("protocol.folds=x")
    problem = spec.problem(("protocol", "kfold", "folds"), "no number")
    assert str(problem) == "--set protocol.folds=x:1:1: no number"


@pytest.mark.parametrize("bad", ["folds", "=3", "probes.7.kind=x", "name.first=x", "a=[1"])
def test_a_set_that_leads_nowhere_is_refused(tmp_path: Path, bad: str) -> None:
    spec = source(tmp_path, "name: x\nprobes: [{kind: mlp}]\n")
    with pytest.raises(SpecError, match="--set"):
        spec.override(bad)
