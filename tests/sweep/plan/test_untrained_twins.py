"""Pairs of trained and untrained models of the same network."""

import pytest
import yaml

from jobs.models import ModelInfo, is_untrained
from jobs.models.taps import TapShape
from sweep.plan.make_plan import make_plan
from sweep.plan.untrained_twins import twins
from sweep.prepare.notes import twin_notes
from sweep.spec.schema import Spec
from tests.sweep.report.test_build import make_corpus


def info(architecture="SimAM_ResNet34_ASP", n_parameters=10, layers=2):
    names = [f"layer{i}" for i in range(layers)]
    taps = tuple(TapShape(i, name, name, (16,), 16) for i, name in enumerate(names))
    digest = f"{architecture}{n_parameters}"
    return ModelInfo(architecture=architecture, digest=digest, n_parameters=n_parameters, taps=taps)


def spec_of(spec_values, models):
    return Spec.model_validate(
        {**spec_values, "models": models, "layers": "all", "baselines": ["mean"]}
    )


def plan_of(spec_values, models, infos):
    named = dict(zip((m["name"] for m in models), infos, strict=True))
    return make_plan(spec_of(spec_values, models), make_corpus(), named)


TRAINED = {"name": "trained", "kind": "wespeaker", "checkpoint": "somewhere"}
FRESH = {"name": "fresh", "kind": "wespeaker", "checkpoint": "somewhere", "untrained": True}
NAMED = {"name": "named", "kind": "wespeaker", "architecture": "SimAM_ResNet34_ASP", "seed": 0}


def test_a_checkpoint_has_the_untrained_networks_of_its_architecture_as_twins(spec_values):
    plan = plan_of(spec_values, [TRAINED, FRESH, NAMED], [info()] * 3)
    assert twins(plan) == {("trained", "fresh"), ("trained", "named")}


@pytest.mark.parametrize(
    "other", [{"architecture": "ResNet34"}, {"n_parameters": 11}, {"layers": 3}]
)
def test_models_of_another_architecture_size_or_depth_are_not_twins(spec_values, other):
    plan = plan_of(spec_values, [TRAINED, NAMED], [info(), info(**other)])
    assert twins(plan) == set()


def test_two_trained_models_are_not_twins_and_baselines_have_none(spec_values):
    models = [TRAINED, {**TRAINED, "name": "again"}]
    plan = plan_of(spec_values, models, [info(), info()])
    assert twins(plan) == set()
    assert not any(is_untrained(model.extract.model) for model in plan.models)


def test_a_trained_model_without_a_twin_gets_the_line_that_adds_one(spec_values):
    python = {"name": "own", "kind": "python", "factory": "a:b", "input": "fbank", "taps": ["*"]}
    models = [TRAINED, python, NAMED]
    infos = [info(), info("own"), info("a third")]
    plan = plan_of(spec_values, models, infos)
    notes = list(twin_notes(spec_of(spec_values, models), plan))
    lines = [yaml.safe_load(note.partition("add to models: ")[2]) for note in notes]
    assert lines == [
        {**one, "name": f"{one['name']} untrained", "untrained": True} for one in (TRAINED, python)
    ]
    whole, infos = [*models, *lines], [*infos, info(), info("own")]
    plan = plan_of(spec_values, whole, infos)
    assert not list(twin_notes(spec_of(spec_values, whole), plan))
