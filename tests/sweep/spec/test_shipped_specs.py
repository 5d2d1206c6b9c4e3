"""The specs that come along: each can be planned, and says what the study did."""

from functools import lru_cache

import pytest
import yaml

from sweep.plan.plan import layer_tasks
from sweep.prepare.prepare import load_and_prepare
from sweep.spec.loading import load_spec
from tests.support.study_stand_in import (
    SPEC_FOLDER,
    STUDY_MODELS,
    make_checkpoints,
    make_corpus,
    path_overrides,
)

BY_NAME = {path.stem: path for path in sorted(SPEC_FOLDER.glob("*.yaml"))}


@pytest.fixture(scope="session")
def corpus(cache):
    return make_corpus(cache)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    return make_checkpoints(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def planned(corpus, checkpoints, cache):
    """Plans a spec by its name, once."""

    @lru_cache
    def plan(name):
        overrides = path_overrides(BY_NAME[name], corpus, checkpoints)
        if load_spec(BY_NAME[name], overrides).corpus.kind == "espeak":
            # Enough to plan: each speaker in the training and the test split of a fold.
            overrides.append("corpus.speakers={train: 6, validation: 3, test: 4}")
            overrides.append("corpus.utterances_per_speaker=3")
        if name.startswith("voice_"):  # more speakers than one subset of the stand-in has
            overrides.append("corpus.splits={all: [train-clean-100, dev-clean, test-clean]}")
        return load_and_prepare(BY_NAME[name], overrides, cache).plan

    return plan


def test_the_specs_that_are_promised_are_there():
    study = {"layers", "full", "embeddings", "families"}
    assert study | {"demo", "smoke", "voice_encoder", "voice_activity"} <= set(BY_NAME)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_spec_is_loaded_and_planned(name, planned):
    plan = planned(name)
    assert plan.name == name
    assert plan.n_cells == sum(len(task.cells) for task in layer_tasks(plan)) > 0


@pytest.mark.parametrize("name", BY_NAME)
def test_every_line_of_a_spec_fits_a_terminal(name):
    assert max(map(len, BY_NAME[name].read_text().splitlines())) <= 120


def test_the_study_has_all_taps_of_its_four_models_and_its_probes(planned):
    plan = planned("layers")
    studied = {model.name: model for model in plan.models if "baseline" not in model.name}
    assert {name: len(model.layers) for name, model in studied.items()} == STUDY_MODELS
    assert {model.architecture for model in studied.values()} == {
        "SimAM_ResNet34_ASP", "SimAM_ResNet100_ASP",
    }  # fmt: skip
    assert list(plan.probes) == ["study-mlp", "mlp", "ridge", "cca"]
    study = plan.probes["study-mlp"]
    assert (study.learning_rate, study.epochs, study.batch_size) == (3e-4, 3, 32)
    assert not study.standardise
    assert (plan.protocol.kind, plan.protocol.group) == ("kfold", "speaker_id")


def test_the_full_study_trains_tunes_and_tests_on_three_subsets(planned):
    plan = planned("full")
    assert {s.split for model in plan.models for s in model.sets} == {"train", "validation", "test"}
    assert plan.controls == ("none", "type")
    cells = [cell for task in layer_tasks(plan) for cell in task.cells]
    assert {cell.seed for cell in cells if "mlp" in cell.probe} == {0, 1, 2}
    values = yaml.safe_load(BY_NAME["full"].read_text())
    assert values["corpus"]["splits"] == {
        "train": "train-clean-100", "validation": "dev-clean", "test": "test-clean",
    }  # fmt: skip
    assert values["compute"]["extractor"]["gpus"] == 1


def test_the_embedding_spec_is_the_study_task_with_ten_epochs(planned):
    plan = planned("embeddings")
    models = [model for model in plan.models if "baseline" not in model.name]
    assert {layer.name for model in models for layer in model.layers} == {"embedding"}
    study = plan.probes["study-mlp"]
    assert (study.epochs, study.learning_rate, study.early_stopping) == (10, 3e-4, False)


@pytest.mark.parametrize("name", ["demo", "voice_encoder"])
def test_every_trained_network_is_beside_its_untrained_twin(name, planned):
    models = {m["name"]: m for m in yaml.safe_load(BY_NAME[name].read_text())["models"]}
    trained = {name for name, model in models.items() if not model.get("untrained")}
    assert len(trained) > 1
    for one in trained:
        twin = models[f"{one} untrained"]
        assert {**models[one], "name": twin["name"], "untrained": True} == twin
        layers = {m.name: [layer.name for layer in m.layers] for m in planned(name).models}
        assert layers[one] == layers[twin["name"]] != []


def test_the_demo_tells_speakers_in_folds_of_their_own(planned):
    plan = planned("demo")
    assert set(plan.targets) == {"speaker", "sex", "f0_mean", "cps"}
    assert plan.protocol.kind == "splits"
    assert plan.protocols["speaker"].settings.allow_speaker_overlap
