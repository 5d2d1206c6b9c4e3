"""The reference of a spec's keys: complete, up to date, and with examples that are valid."""

import pytest
import yaml

from sweep.spec.descriptions import descriptions
from sweep.spec.reference import COMMAND, REFERENCE, all_settings, example_values, reference
from sweep.spec.schema import Spec

SETTINGS = all_settings()
EXAMPLES = [(settings, example) for settings in SETTINGS for example in settings.EXAMPLES]


def test_the_reference_is_up_to_date():
    assert REFERENCE.read_text(encoding="utf-8") == reference(), f"run `{COMMAND}`"


def test_all_kinds_of_settings_are_covered():
    names = {settings.__name__ for settings in SETTINGS}
    assert {
        "Spec",
        "CsvColumns",
        "WespeakerSettings",
        "FeatureSettings",
        "LhotseManifests",
        "RidgeSettings",
        "ProbeResources",
    } <= names


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda cls: cls.__name__)
def test_every_key_has_a_description_and_an_example(settings):
    fields = settings.model_fields
    assert [name for name in fields if not descriptions(settings).get(name)] == []
    assert [name for name in fields if name not in example_values(settings)] == []


@pytest.mark.parametrize(("settings", "example"), EXAMPLES)
def test_every_example_is_valid(settings, example):
    settings.model_validate(yaml.safe_load(example))


def test_a_table_has_a_row_for_every_key_of_the_spec():
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    shown = {row.split("`")[1] for row in rows}
    assert set(Spec.model_fields) <= shown
