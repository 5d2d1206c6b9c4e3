"""A model family added from outside is validated, loaded and described like the built-in ones."""

from typing import Literal

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from jobs.audio.features import Fbank
from jobs.models import (
    FAMILIES,
    AnyModelSettings,
    describe_model,
    is_baseline,
    is_untrained,
    load_model,
    settings_from_name,
    source_of,
    with_absolute_paths,
)
from jobs.models.family import ModelFamily
from jobs.models.model import ProbedModel
from jobs.models.precision import precision_of
from jobs.models.settings import ModelSettings
from jobs.models.taps import Tap
from sweep.spec.schema import Spec

ADAPTER = TypeAdapter(AnyModelSettings)


class ScaleSettings(ModelSettings):
    """Multiplies its input by a factor."""

    kind: Literal["scale"] = "scale"
    factor: float


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.register_buffer("factor", torch.tensor(factor))

    def forward(self, features_BTF):
        return features_BTF * self.factor


def load_scale(settings):
    tap = Tap("scaled", "scaled", module="", point="output", time_axis=1)
    return ProbedModel("scale", {"factor": settings.factor}, Scale(settings.factor), (tap,), Fbank)


@pytest.fixture(autouse=True)
def scale_family(monkeypatch):
    row = ModelFamily(settings=ScaleSettings, load=load_scale, source=lambda _: "this test")
    monkeypatch.setitem(FAMILIES, "scale", row)


def test_a_spec_validates_its_settings_by_kind():
    spec = Spec.model_validate(
        {
            "name": "x",
            "corpus": {"kind": "csv", "path": "clips.csv"},
            "models": [{"name": "double", "kind": "scale", "factor": 2}],
            "probes": [{"kind": "ridge"}],
        }
    )
    assert spec.models == (ScaleSettings(name="double", factor=2.0),)
    assert Spec.model_validate_json(spec.model_dump_json()) == spec


def test_its_mistakes_are_reported_where_they_are():
    with pytest.raises(ValidationError) as error:
        ADAPTER.validate_python({"name": "x", "kind": "scale", "factr": 2})
    assert {problem["loc"] for problem in error.value.errors()} == {
        ("scale", "factor"),
        ("scale", "factr"),
    }


def test_its_kind_is_listed_for_an_unknown_kind():
    with pytest.raises(ValidationError, match="'scale'"):
        ADAPTER.validate_python({"name": "x", "kind": "scal", "factor": 2})


def test_it_is_loaded_and_described():
    settings = ScaleSettings(name="double", factor=2.0)
    assert load_model(settings).architecture == "scale"
    info = describe_model(settings, "mean")
    assert [(tap.name, tap.width) for tap in info.taps] == [("scaled", 80)]
    assert info.digest != describe_model(ScaleSettings(name="x", factor=3.0), "mean").digest


def test_a_row_without_more_is_a_trained_network_without_files():
    settings = ScaleSettings(name="double", factor=2.0)
    assert with_absolute_paths(settings) == settings
    assert source_of(settings) == "this test"
    assert precision_of(settings) == "fp32"
    assert not is_untrained(settings)
    assert not is_baseline(settings)
    assert settings_from_name("double") is None
