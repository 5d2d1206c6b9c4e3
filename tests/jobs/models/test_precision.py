"""Precision: in ids where it changes numbers, refused where there is none, kept where measured."""

import pytest
import torch

from jobs.audio.settings import FeatureSettings
from jobs.corpus.table import audio_digest_of_table
from jobs.extraction.settings import EXTRACT_VERSION, ExtractSettings
from jobs.identity import content_id
from jobs.models.arithmetic import arithmetic, layer_errors
from jobs.models.baselines.settings import BaselineSettings
from jobs.models.precision import LayerError, precision_info, precision_of, recorded_errors
from sweep.errors import SpecError
from sweep.plan.plan import Plan
from sweep.prepare.prepare import load_and_prepare


def planned(write_spec, spec_values, cache, **changes):
    spec_values["models"] = [{**spec_values["models"][0], **changes}]
    return load_and_prepare(write_spec(spec_values), [], cache).plan


def ids(plan: Plan, model: str = "a") -> list[str]:
    return [one.activation_id for m in plan.models if m.name == model for one in m.sets]


def test_float32_is_in_no_id_and_any_other_precision_is(write_spec, spec_values, cache):
    plain = planned(write_spec, spec_values, cache)
    explicit = planned(write_spec, spec_values, cache, precision="fp32")
    other = planned(write_spec, spec_values, cache, precision="bf16")
    assert ids(plain) == ids(explicit)
    assert not set(ids(plain)) & set(ids(other))
    assert ids(plain, "baseline:fbank") == ids(other, "baseline:fbank")


def test_ids_from_before_there_was_a_choice_stay_as_they_were(write_spec, spec_values, cache):
    prepared_plan = planned(write_spec, spec_values, cache)
    model = next(m for m in prepared_plan.models if m.name == "a")
    before = {
        "model": model.digest,
        "features": {"max_frames": None},
        "pooling": "mean",
        "dtype": "float32",
        "version": EXTRACT_VERSION,
    }
    assert FeatureSettings().identity() == before["features"]
    table = load_and_prepare(write_spec(spec_values), [], cache).table
    for part in model.sets:
        audio = audio_digest_of_table(table[table["split"] == part.split])
        assert part.activation_id == content_id({**before, "audio": audio})


def test_the_same_weights_in_two_precisions_are_two_models(write_spec, spec_values, cache):
    first = spec_values["models"][0]
    spec_values["models"] = [first, {**first, "name": "a16", "precision": "bf16"}]
    plan = load_and_prepare(write_spec(spec_values), [], cache).plan
    assert not set(ids(plan)) & set(ids(plan, "a16"))


def test_tf32_without_a_gpu_is_refused_at_its_place(write_spec, spec_values, cache):
    with pytest.raises(SpecError, match=r"spec\.yaml:\d+:\d+: a: precision tf32 exists on NVIDIA"):
        planned(write_spec, spec_values, cache, precision="tf32")


def test_an_unknown_precision_has_a_nearest_name(write_spec, spec_values, cache):
    with pytest.raises(SpecError, match="'fp16' is not valid"):
        planned(write_spec, spec_values, cache, precision="fp16")


def test_baselines_are_in_float32():
    settings = ExtractSettings(model=BaselineSettings(name="x", what="fbank"))
    assert precision_of(settings.model) == "fp32"


def test_errors_are_relative_to_each_utterance():
    exact = {"a": torch.tensor([[3.0, 4.0], [0.0, 10.0], [1.0, 0.0]]), "zero": torch.zeros(3, 2)}
    off = torch.tensor([[0.0, 0.5], [1.0, 0.0], [0.2, 0.0]])
    found = {**exact, "a": exact["a"] + off}
    errors = layer_errors(found, exact)
    assert errors["a"].median == pytest.approx(0.1)
    assert errors["a"].largest == pytest.approx(0.2)
    assert errors["zero"] == LayerError(0.0, 0.0)


def test_of_several_shards_the_largest_error_of_each_layer_is_told():
    shards = [
        precision_info("bf16", {"a": LayerError(0.1, 0.2), "b": LayerError(0.3, 0.3)}),
        precision_info("bf16", {"a": LayerError(0.2, 0.2), "b": LayerError(0.1, 0.4)}),
        {"load_seconds": 1.0},
    ]
    assert recorded_errors(shards) == {"a": LayerError(0.2, 0.2), "b": LayerError(0.3, 0.4)}
    assert precision_info("fp32", None) == {}


def test_arithmetic_ends_with_its_block(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    with arithmetic("bf16", torch.device("cpu")):
        assert torch.is_autocast_enabled("cpu")
        assert not torch.backends.cudnn.allow_tf32
    with arithmetic("tf32", torch.device("cpu")):
        assert torch.backends.cudnn.allow_tf32
        assert torch.backends.cuda.matmul.allow_tf32
        assert not torch.is_autocast_enabled("cpu")
    assert torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
