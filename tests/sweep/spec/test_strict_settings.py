"""Values that no setting takes, whichever field they are given to."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from jobs.settings import Settings
from sweep.errors import SpecError
from sweep.spec.loading import MOST_PROBLEMS, load_spec
from sweep.spec.reference import all_settings
from sweep.spec.schema import Spec

OPEN = {"args", "model_args", "layers"}
"""Keys whose values are not numbers alone: they belong to a network, or mix with names."""
IMPOSSIBLE = (True, False, math.inf, -math.inf, math.nan, 1e30, -1e30, 10**30)


def numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in OPEN:
                yield from numbers(item, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from numbers(item, (*path, position))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    copy: Any = yaml.safe_load(yaml.safe_dump(value))
    holder = copy
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = new
    return copy


CASES = [
    pytest.param(settings, values, path, id=f"{settings.__name__}-{'.'.join(map(str, path))}")
    for settings in all_settings()
    if settings is not Spec
    for values in map(yaml.safe_load, settings.EXAMPLES)
    for path in numbers(values)
]


@pytest.mark.parametrize(("settings", "values", "path"), CASES)
def test_no_number_is_true_or_infinite_or_huge(
    settings: type[Settings], values: dict[str, Any], path: tuple[Any, ...]
) -> None:
    needed = {name: "x" for name in ("name",) if name in settings.model_fields}
    settings.model_validate({**needed, **values})
    for impossible in IMPOSSIBLE:
        with pytest.raises(ValidationError):
            settings.model_validate(with_value({**needed, **values}, path, impossible))


SPEC = """\
name: s
corpus: {kind: csv, path: t.csv}
models: [{name: m, kind: python, factory: 'net:build', input: fbank, taps: ['*']}]
"""


def load(tmp_path: Path, text: str) -> Spec:
    path = tmp_path / "s.yaml"
    path.write_text(SPEC + text, encoding="utf-8")
    return load_spec(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(SpecError) as error:
        load(tmp_path, text)
    return [problem.message for problem in error.value.problems]


@pytest.mark.parametrize("value", ["true", "[true]", "[1, false]"])
def test_a_truth_value_is_shown_as_yaml_has_it(tmp_path: Path, value: str) -> None:
    [message] = problems(tmp_path, f"probes: [{{kind: ridge, alphas: {value}}}]")
    assert "true" in message or "false" in message or "a list" in message


@pytest.mark.parametrize("name", ["''", "'  '", '"\\0"', '"a\\0b"', '"\\u200b"', "x" * 1001])
def test_a_name_can_be_seen_and_written(tmp_path: Path, name: str) -> None:
    [message] = problems(tmp_path, f"probes: [{{kind: ridge, name: {name}}}]")
    assert "expected a name" in message


@pytest.mark.parametrize("name", ["größe", "Модель µ", "a b", "<b>", "é", "模型"])
def test_names_of_all_scripts_are_taken(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, f"probes: [{{kind: ridge, name: {name}}}]").probes[0].name == name


@pytest.mark.parametrize("probe", ["{kind: ridge, alphas: [1, 1]}", "{kind: knn, k: [5, 5]}"])
def test_a_candidate_is_given_once(tmp_path: Path, probe: str) -> None:
    [message] = problems(tmp_path, f"probes: [{probe}]")
    assert "expected different values" in message


def test_one_column_has_one_use(tmp_path: Path) -> None:
    text = SPEC.replace("path: t.csv", "path: t.csv, columns: {speaker: audio_path}")
    path = tmp_path / "s.yaml"
    path.write_text(f"{text}probes: [{{kind: ridge}}]")
    with pytest.raises(SpecError, match="is that of audio already"):
        load_spec(path)


def test_a_key_of_a_merge_may_be_overridden(tmp_path: Path) -> None:
    spec = load(
        tmp_path,
        "probes:\n"
        "  - &base {kind: mlp, name: one, epochs: 5, seeds: 2}\n"
        "  - {<<: *base, name: two, epochs: 7}\n",
    )
    assert [probe.model_dump()["epochs"] for probe in spec.probes] == [5, 7]
    assert [probe.model_dump()["seeds"] for probe in spec.probes] == [2, 2]


def test_a_wrong_override_of_a_merge_is_shown_at_its_own_place(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        load(
            tmp_path,
            "probes:\n"
            "  - &base {kind: mlp, name: one, epochs: 5}\n"
            "  - {<<: *base, name: two, epochs: no}\n",
        )
    [problem] = error.value.problems
    assert (problem.line, problem.column) == (6, 36)


def test_a_repeated_key_is_refused_beside_a_merge(tmp_path: Path) -> None:
    [message] = problems(
        tmp_path, "probes:\n  - &a {kind: ridge}\n  - {<<: *a, name: b, name: c}\n"
    )
    assert message == "the key 'name' is repeated"


def test_of_many_unknown_keys_the_first_are_described_and_the_others_counted(
    tmp_path: Path,
) -> None:
    keys = "".join(f"key{number}: 1\n" for number in range(20_000))
    messages = problems(tmp_path, f"probes: [{{kind: ridge}}]\n{keys}")
    assert len(messages) == MOST_PROBLEMS + 1
    assert f"and {20_000 - MOST_PROBLEMS} more problems of form" in messages


@pytest.mark.parametrize("step", ["²", "١", "9" * 5000, "-1"])
def test_a_step_of_set_that_is_no_position_is_refused(tmp_path: Path, step: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"{SPEC}probes: [{{kind: ridge}}]")
    with pytest.raises(SpecError, match=r"the spec has no|unknown key"):
        load_spec(path, [f"probes.{step}.kind=ridge"])
