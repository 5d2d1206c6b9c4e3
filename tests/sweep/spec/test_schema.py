import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sweep.errors import SpecError
from sweep.spec.loading import load_spec
from sweep.spec.schema import Spec
from tests.conftest import Values

GOOD = """\
name: x
corpus: {kind: librispeech, root: data, splits: {train: a, test: b}}
models:
  - {name: m, kind: wespeaker, architecture: SimAM_ResNet34_ASP}
probes:
  - {kind: ridge}
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as error:
        load_spec(path)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in error.value.problems]


def test_a_minimal_spec_gets_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(GOOD)
    spec = load_spec(path)
    assert spec.targets == ("cps",)
    assert spec.layers == "all"
    assert spec.protocol.kind == "splits"
    assert spec.bootstrap.resamples == 1000


def test_a_spec_survives_being_written_out(
    spec_values: Values, write_spec: Callable[[Values], Path]
) -> None:
    spec = load_spec(write_spec(spec_values))
    assert Spec.model_validate(yaml.safe_load(spec.to_yaml())) == spec


def test_all_errors_come_at_once_each_with_place_and_nearest_name(tmp_path: Path) -> None:
    text = (
        GOOD.replace("kind: ridge", "kind: ridge, alpha: 3")
        .replace("name: x", "name: x\npoling: mean\npooling: men\nprotocol: {kind: kfolds}")
        .replace("kind: wespeaker, ", "kind: wespeaker, sede: 3, ")
    )
    assert problems(tmp_path, text) == [
        "s.yaml:2:1: unknown key 'poling'; did you mean 'pooling'?",
        "s.yaml:3:10: pooling: 'men' is not valid; did you mean 'mean'?",
        "s.yaml:4:18: unknown kind 'kfolds'; did you mean 'kfold'?",
        "s.yaml:7:32: unknown key 'sede'; did you mean 'seed'?",
        "s.yaml:9:19: unknown key 'alpha'; did you mean 'alphas'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("name: x\n", "", r"s\.yaml:1:1: the key 'name' is missing"),
        ("name: x\n", "name: ../../etc\n", r"s\.yaml:1:7: name: string should match pattern"),
        ("kind: ridge", "alphas: [1]", r"s\.yaml:6:5: the key 'kind' is missing"),
        ("probes:\n  - {kind: ridge}", "probes: []", r"s\.yaml:5:9: probes: .* at least 1 item"),
        ("probes:\n  - {kind: ridge}", "probes: 7", r"s\.yaml:5:9: probes: .*valid tuple, found 7"),
        ("{kind: ridge}", "{kind: mlp, epochs: many}", r"s\.yaml:6:25: epochs: .* found 'many'"),
        ("{kind: ridge}", "{kind: mlp, epochs: 0}", r"s\.yaml:6:25: epochs: .* found 0"),
        ("{kind: ridge}", "{kind: ridge, alphas: [-1]}", r"s\.yaml:6:27: every alpha must be"),
        ("SimAM_ResNet34_ASP", "SimAM_ResNet35_ASP", r"s\.yaml:4:46: .*SimAM_ResNet34_ASP"),
        (", architecture: SimAM_ResNet34_ASP", "", r"s\.yaml:4:5: expected either checkpoint or"),
    ],
)
def test_an_error_of_form_has_its_place(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    [problem] = problems(tmp_path, GOOD.replace(old, new))
    assert re.match(expected, problem), problem
