"""Damaged specs: each is valid, or every problem has its place; a traceback or a hang fails."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

import pytest
import yaml

from jobs.yaml_reader import MOST_DEPTH, MOST_VALUES, PlainYamlError, read_yaml
from sweep.errors import Problem, SpecError
from sweep.plan.plan import layer_tasks
from sweep.prepare.prepare import Prepared, load_and_prepare
from sweep.spec.schema import Spec
from tests.fuzz.bench import patches
from tests.fuzz.patience import patience
from tests.fuzz.specs import SPECS, mutated, override

LONGEST = 2000
"""Characters of a message."""


@contextmanager
def nothing_spoken_or_loaded(folder: Path) -> Iterator[None]:
    """Work in ``folder`` with the stand-ins of ``tests.fuzz.bench``."""
    with pytest.MonkeyPatch.context() as monkeypatch, ExitStack() as stack:
        monkeypatch.chdir(folder)
        Path("specs").mkdir()  # two of the specs have their models there
        Path("specs/models").symlink_to(SPECS[0].parent.absolute() / "models")
        for patch in patches():
            stack.enter_context(patch)
        yield


@pytest.fixture(autouse=True)
def _bench(tmp_path: Path) -> Iterator[None]:
    with nothing_spoken_or_loaded(tmp_path):
        yield


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_the_bench_takes_undamaged_specs(path: Path, tmp_path: Path) -> None:
    check_valid(load_and_prepare(path, (), tmp_path / "cache"))


@pytest.mark.parametrize("first", [0])
def test_300_damaged_specs_are_valid_or_refused_at_their_place(first: int, tmp_path: Path) -> None:
    outcomes = try_specs(range(first, first + 300), tmp_path)
    # Neither does the damage always break the syntax, nor does it never matter.
    assert outcomes["valid"] > 20
    assert outcomes["refused"] > 150


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 11_000, 1000))
def test_10000_damaged_specs_are_valid_or_refused_at_their_place(
    first: int, tmp_path: Path
) -> None:
    assert try_specs(range(first, first + 1000), tmp_path).total() == 1000


def try_specs(seeds: range, folder: Path) -> Counter[str]:
    return Counter(try_spec(seed, folder) for seed in seeds)


def try_spec(seed: int, folder: Path) -> str:
    """Read a damaged spec, and return whether it is ``valid`` or ``refused``."""
    path, random_ = folder / "spec.yaml", random.Random(seed)
    path.write_bytes(mutated(random_))
    assignments = [override(random_)] if random_.random() < 0.1 else []
    try:
        with patience(f"seed {seed}"):
            check_valid(load_and_prepare(path, assignments, folder / "cache"))
    except SpecError as error:
        assert error.problems, seed
        for problem in error.problems:
            check_problem(problem, path, seed)
        return "refused"
    except Exception as error:
        raise AssertionError(f"seed {seed} {assignments}: no SpecError") from error
    return "valid"


def check_valid(prepared: Prepared) -> None:
    """What is taken can be written down, comes back the same, and can be laid out."""
    assert Spec.model_validate(yaml.safe_load(prepared.spec.to_yaml())) == prepared.spec
    assert prepared.plan.model_dump_json().encode()
    ids = [cell.cell_id for task in islice(layer_tasks(prepared.plan), 3) for cell in task.cells]
    assert len(set(ids)) == len(ids)


def check_problem(problem: Problem, path: Path, seed: int) -> None:
    shown = str(problem)
    assert shown.isprintable(), (seed, shown)
    assert shown.encode(), seed
    assert problem.line >= 1, (seed, shown)
    assert problem.column >= 1, (seed, shown)
    place = f"{problem.file}:{problem.line}:{problem.column}: "
    if problem.file == str(path):
        lines = path.read_bytes().decode(errors="replace").splitlines()
        assert problem.line <= len(lines) + 1, (seed, shown)
        assert len(shown) <= len(place) + LONGEST, seed
    else:
        assert problem.file.startswith("--set "), (seed, shown)


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ("a: &a [*a]", "inside the value that it stands for", 1, 4),
        ("a: &a {b: {<<: *a}}", "inside the value that it stands for", 1, 4),
        ("a: 1\nb: " + "[" * 300 + "]" * 300, f"over {MOST_DEPTH} values", 2, 103),
        ("a: !!bool x", "that can be read", 1, 1),
        ("a: 2020-13-40", "that can be read", 1, 1),
        ("a: *b", "undefined alias", 1, 4),
    ],
)
def test_yaml_that_is_not_plain_is_refused(text: str, message: str, line: int, column: int) -> None:
    with pytest.raises(PlainYamlError, match=message) as error:
        read_yaml(text)
    assert (error.value.line, error.value.column) == (line, column)


@pytest.mark.parametrize("form", ["[{}]", "{{<<: [{}]}}"])
def test_aliases_of_aliases_are_refused_before_they_are_written_out(form: str) -> None:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} " + form.format(", ".join([f"*a{n - 1}"] * 9)) for n in range(1, 12)]
    with patience("aliases"), pytest.raises(PlainYamlError, match=f"over {MOST_VALUES} values"):
        read_yaml("\n".join(lines))


def test_aliases_that_stand_for_little_are_taken() -> None:
    _, values = read_yaml("a: &a [1, 2]\nb: *a\nc: {<<: &c {d: 3}}\ne: *c")
    assert values == {"a": [1, 2], "b": [1, 2], "c": {"d": 3}, "e": {"d": 3}}
