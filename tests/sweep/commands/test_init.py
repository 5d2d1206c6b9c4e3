"""``sweep init``: from a table to a spec that is valid as it is written."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from sweep.commands.app import app
from sweep.commands.print_schema import schema_text

SPECS = sorted((Path(__file__).parents[3] / "specs").glob("*.yaml"))


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of twelve recordings of six speakers, in the current folder."""
    rng = np.random.default_rng(0)
    rows = ["file,who,mood"]
    for number in range(12):
        audio = tmp_path / f"{number}.wav"
        soundfile.write(audio, 0.1 * rng.standard_normal(12_000 + 800 * number), 16_000)
        rows.append(f"{audio.name},w{number % 6},{('calm', 'happy')[number % 2]}")
    path = tmp_path / "rec.csv"
    path.write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    return path


def test_a_spec_is_written_that_is_valid_and_names_its_schema(table: Path) -> None:
    done = CliRunner().invoke(
        app, ["init", "--csv", "rec.csv", "--speaker", "who", "--cache", "cache"]
    )
    assert done.exit_code == 0, done.output
    assert "sweep run rec.yaml" in done.output
    text = table.with_suffix(".yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=sweep.schema.json\n")
    spec = yaml.safe_load(text)
    assert spec["corpus"]["columns"] == {"audio": "file", "speaker": "who"}
    assert spec["targets"] == ["mood"]
    assert [model.get("untrained", False) for model in spec["models"]] == [False, True]
    assert json.loads(Path("sweep.schema.json").read_text()) == json.loads(schema_text())


def test_a_file_that_exists_is_left_alone(table: Path) -> None:
    table.with_suffix(".yaml").write_text("mine")
    done = CliRunner().invoke(app, ["init", "--csv", "rec.csv", "--speaker", "who"])
    assert done.exit_code == 2
    assert "rec.yaml exists" in done.output
    assert table.with_suffix(".yaml").read_text() == "mine"


def test_data_must_be_named() -> None:
    done = CliRunner().invoke(app, ["init"])
    assert done.exit_code == 2
    assert "--csv TABLE" in done.output


def test_a_table_in_place_of_the_spec_is_answered_with_the_command(table: Path) -> None:
    done = CliRunner().invoke(app, ["init", "rec.csv"])
    assert done.exit_code == 2
    assert "sweep init --csv rec.csv" in " ".join(done.output.split())


def test_an_unknown_name_of_a_hub_is_answered_with_the_command_that_fetches_it(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(table.parent / "hub"))
    command = ["init", "--csv", "rec.csv", "--speaker", "who", "--model", "some/encoder"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert "hf download some/encoder" in done.output
    assert not table.with_suffix(".yaml").exists()


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.name)
def test_the_schema_accepts_the_specs_of_this_project(spec: Path) -> None:
    validator = Draft202012Validator(json.loads(schema_text()))
    assert list(validator.iter_errors(yaml.safe_load(spec.read_text()))) == []


def test_the_schema_refuses_an_unknown_key() -> None:
    validator = Draft202012Validator(json.loads(schema_text()))
    values = yaml.safe_load(SPECS[0].read_text()) | {"modles": []}
    assert [error.validator for error in validator.iter_errors(values)] == ["additionalProperties"]
