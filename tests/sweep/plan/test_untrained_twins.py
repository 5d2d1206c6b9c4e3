"""Pairs of trained and untrained models of the same network."""

import pytest

from jobs.models import ModelInfo, is_untrained
from jobs.models.taps import TapShape
from sweep.plan.make_plan import make_plan
from sweep.plan.untrained_twins import twins
from sweep.spec.schema import Spec
from tests.sweep.report.test_build import make_corpus


def info(architecture="SimAM_ResNet34_ASP", n_parameters=10, layers=2):
    names = [f"layer{i}" for i in range(layers)]
    taps = tuple(TapShape(i, name, name, (16,), 16) for i, name in enumerate(names))
    digest = f"{architecture}{n_parameters}"
    return ModelInfo(architecture=architecture, digest=digest, n_parameters=n_parameters, taps=taps)


def plan_of(spec_values, models, infos):
    spec = Spec.model_validate(
        {**spec_values, "models": models, "layers": "all", "baselines": ["mean"]}
    )
    return make_plan(
        spec, make_corpus(), dict(zip((m["name"] for m in models), infos, strict=True))
    )


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
