"""A whole sweep with ``store: gram`` beside the same sweep with its activations stored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobs.activations.cache_layout import data_path
from jobs.activations.store import read_manifest
from sweep.commands.cost_estimate import cost_lines
from sweep.errors import ClusterError, SpecError
from sweep.executors import preflight
from sweep.executors.preflight import Node, extraction, resource_problems
from sweep.plan import activation_sets
from sweep.plan.activation_sets import shards
from sweep.plan.gram import gram_sets
from sweep.prepare.prepare import Prepared, load_and_prepare
from sweep.running.options import RunOptions
from sweep.running.run import RunResult, run_sweep
from sweep.spec.schema import Compute
from sweep.state.events import EventLog
from tests.conftest import Values
from tests.support.no_figures import draw_nothing

SCORES = ["mse", "mae", "rmse", "r2", "pearson", "spearman", "within_speaker", "mean_mse"]
CELL = ["model", "layer", "target", "probe", "control"]
Sweep = Callable[..., RunResult]
Prepare = Callable[[Values], Prepared]


@pytest.fixture
def values(spec_values: Values) -> Values:
    """A network and a baseline, two targets, shuffled controls."""
    return {
        **spec_values,
        "models": spec_values["models"][:1],
        "layers": ["stem", "layer2.0.relu2", "pooling", -1],
        "baselines": ["mean", "fbank"],
        "probes": [{"kind": "ridge"}, {"kind": "cca"}],
        "targets": ["cps", "words_per_second"],
        "store": "gram",
    }


@pytest.fixture
def sweep(
    write_spec: Callable[[Values], Path],
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Sweep:
    """Runs spec values into a folder of ``tmp_path``, by default in this process."""
    draw_nothing(monkeypatch)
    monkeypatch.setattr("jobs.extraction.extractor.LOT", 7)
    # Float32 rounds otherwise in other batches, and of so few utterances cca makes much of it.
    monkeypatch.setattr("jobs.extraction.forward.EQUAL_BATCH_FRAMES", 1)

    def run(values: Values, out: str = "gram", **options: Any) -> RunResult:
        chosen = RunOptions(**{"where": "inline", "cache": cache, **options}, out=tmp_path / out)
        with EventLog() as events:
            return run_sweep(write_spec(values), chosen, events)

    return run


@pytest.fixture
def prepare(write_spec: Callable[[Values], Path], cache: Path) -> Prepare:
    return lambda values: load_and_prepare(write_spec(values), [], cache)


def metrics(result: RunResult) -> pd.DataFrame:
    assert (result.status, result.failed) == ("done", 0)
    frame = pd.read_csv(result.folder.tables / "metrics.csv")
    return frame.set_index(CELL).sort_index()


def layers(result: RunResult) -> pd.DataFrame:
    frame = pd.read_csv(result.folder.tables / "layers.csv")
    return frame.set_index(["model", "layer", "target", "probe"]).sort_index()


def test_every_score_and_interval_is_that_of_the_activations(
    sweep: Sweep, values: Values, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests' shared cache may hold activations that another test made in larger batches.
    own = tmp_path / "own cache"
    stored = sweep({**values, "store": "activations"}, "stored", cache=own)
    monkeypatch.setattr(
        activation_sets, "GRAM_SAVING", 0.1
    )  # of so small a corpus one shard has all
    summed = sweep(values, cache=own)
    shards = {s.n_shards for model in summed.run.plan.models for s in model.sets if s.gram}
    assert max(shards) > 1
    one, other = metrics(stored), metrics(summed)
    assert one.index.equals(other.index)
    assert len(one) == (4 + 1) * 2 * 2 * 2
    np.testing.assert_allclose(one[SCORES], other[SCORES], rtol=1e-6, atol=1e-6)
    pd.testing.assert_frame_equal(one[["n_train", "n_test"]], other[["n_train", "n_test"]])
    curves, others = layers(stored), layers(summed)
    for name in ("r2", "r2_low", "r2_high", "selectivity"):
        np.testing.assert_allclose(curves[name], others[name], rtol=1e-6, atol=1e-6)


def test_only_the_tested_part_leaves_activations(sweep: Sweep, values: Values) -> None:
    result = sweep(values)
    model, cache = result.run.plan.models[0], Path(result.run.provenance["cache"])
    assert [planned.split for planned in model.stored_sets] == ["test"]
    names, rows = result.run.activations("a", "stem")
    assert rows.shape == (4 * 5, model.layers[0].width) and len(names) == 4 * 5
    [train] = [planned for planned in model.sets if planned.split == "train"]
    manifest = read_manifest(train.folder(cache), 0)
    assert list(manifest.layers) == [layer.name for layer in model.layers]
    assert len(manifest.utterance_ids) == 6 * 5
    for entry in manifest.layers.values():
        assert (entry.rows, entry.dtype) == (1, "float64")
    size = data_path(train.folder(cache), 0).stat().st_size
    assert model.gram_bytes < size < model.gram_bytes + 4096  # the header of its file


def test_a_second_run_does_nothing_and_a_damaged_shard_is_summed_again(
    sweep: Sweep, values: Values, tmp_path: Path
) -> None:
    own = tmp_path / "own cache"
    first = sweep(values, cache=own)
    again = sweep(values, cache=own)
    assert (again.ran_shards, again.ran_cells) == (0, 0)
    activation_sets = gram_sets(first.run.plan.models[0], own)
    path = data_path(activation_sets.units[0][0], 0)
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    mended = sweep(values, cache=own, fresh=True)
    assert (mended.ran_shards, mended.ran_cells) == (1, first.done)
    pd.testing.assert_frame_equal(
        metrics(mended).drop(columns="seconds"), metrics(first).drop(columns="seconds")
    )


def test_the_disk_that_a_run_needs_is_that_of_both_kinds_of_shards(
    prepare: Prepare, values: Values, tmp_path: Path
) -> None:
    prepared = prepare(values)
    for model in prepared.plan.models:
        found = [shard for one in model.sets for shard in shards(one, prepared.table, tmp_path)]
        expected = 2 * model.gram_bytes + 4 * 5 * model.row_bytes
        assert sum(map(model.shard_bytes, found)) == expected


def activation_ids(prepared: Prepared) -> dict[str, str]:
    return {planned.split: planned.activation_id for planned in prepared.plan.models[0].sets}


@pytest.mark.parametrize(
    "change",
    [{"targets": ["cps"]}, {"controls": []}, {"layers": ["stem"]}],
    ids=lambda change: next(iter(change)),
)
def test_statistics_are_others_when_what_is_summed_changes(
    prepare: Prepare, values: Values, change: Values
) -> None:
    before, after = activation_ids(prepare(values)), activation_ids(prepare({**values, **change}))
    assert before["test"] == after["test"]
    assert before["train"] != after["train"]
    assert before["validation"] != after["validation"]


def test_a_probe_more_sums_nothing_anew(prepare: Prepare, values: Values) -> None:
    stiff = {"kind": "ridge", "name": "stiff", "alphas": [100.0]}
    more = {**values, "probes": [*values["probes"], stiff]}
    assert activation_ids(prepare(values)) == activation_ids(prepare(more))
    stored = activation_ids(prepare({**values, "store": "activations"}))
    assert stored["test"] == activation_ids(prepare(values))["test"]


@pytest.mark.parametrize(
    ("change", "at", "told"),
    [
        ({"probes": [{"kind": "cca"}, {"kind": "mlp"}]}, "- kind: mlp", "mlp: needs every"),
        ({"probes": [{"kind": "ridge", "choose": "loo"}]}, "- kind: ridge", "choose: loo"),
        (
            {
                "protocol": {"kind": "kfold", "folds": 4},
                "probes": [{"kind": "ridge", "choose": "inner"}],
            },
            "- kind: ridge",
            "choose on validation",
        ),
        (
            {"protocol": {"kind": "kfold"}, "similarity": {"utterances": 20}},
            "utterances: 20",
            "similarity compares activations",
        ),
        (
            {"similarity": {"part": "train", "utterances": 20}},
            "part: train",
            "only the test split 'test'",
        ),
    ],
)
def test_what_statistics_cannot_give_is_refused_at_its_place(
    prepare: Prepare, values: Values, change: Values, at: str, told: str
) -> None:
    with pytest.raises(SpecError) as found:
        prepare({**values, **change})
    [problem] = [p for p in found.value.problems if told in p.message]
    lines = Path(problem.file).read_text().splitlines()
    assert lines[problem.line - 1].strip() == at


def test_cca_alone_needs_no_validation_part(sweep: Sweep, values: Values) -> None:
    values |= {"probes": [{"kind": "cca"}], "protocol": {"kind": "splits", "validation": None}}
    assert sweep(values).status == "done"


def test_both_costs_are_told_where_both_are_possible(prepare: Prepare, values: Values) -> None:
    for store in ("gram", "activations"):
        prepared = prepare({**values, "store": store})
        lines = list(cost_lines(prepared.spec, prepared.table, prepared.plan))
        assert len(lines) == 2
        assert lines[0].startswith("a: store: activations takes ")
        assert "of memory an extractor" in lines[0]
    other = prepare({**values, "store": "activations", "probes": [{"kind": "knn"}]})
    assert list(cost_lines(other.spec, other.table, other.plan)) == []


def test_too_little_memory_stops_a_run_before_it_begins(
    sweep: Sweep, values: Values, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(preflight, "_available_memory", lambda: 2**20)
    values["layers"] = "all"
    with pytest.raises(ClusterError, match=r"this machine 0\.0 GiB.* pooling=channels"):
        sweep(values, cache=tmp_path / "empty")
    sweep({**values, "store": "activations", "layers": ["stem"]}, "stored")


def test_a_node_gets_as_many_extractors_as_its_memory_holds() -> None:
    demand = extraction(Compute(), gram_memory=2**30)
    assert demand.places({"CPU": 4, "memory": 2.5 * 2**30}) == 2
    assert demand.places({"CPU": 2, "memory": 64 * 2**30}) == 2
    node = Node("id", "n1", {"CPU": 2, "memory": 0.5 * 2**30})
    [problem] = resource_problems([node], Compute(), 2**30)
    assert "store: gram takes 1.0 GiB of memory in an extractor" in problem
    assert "n1 0.5 GiB" in problem and "pooling=channels" in problem
