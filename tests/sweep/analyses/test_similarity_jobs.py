"""Layers against layers in a whole run: what is computed, what is kept, what becomes of faults."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobs.similarity.job import ComparisonJob, ComparisonReport, SketchJob, compare
from jobs.similarity.measures import leading_subspace, pwcca
from sweep import open_run
from sweep.analyses.similarity_jobs import Comparison
from sweep.analyses.similarity_pairs import draw_utterances
from sweep.analyses.similarity_table import COLUMNS
from sweep.errors import SpecError
from sweep.progress.state import Progress, Stage
from sweep.running.options import RunOptions
from sweep.running.run import RunResult, run_sweep
from sweep.spec.schema import Spec
from sweep.state.events import EventLog, read_events
from tests.conftest import Values
from tests.support.cka import unbiased_cka
from tests.support.no_figures import draw_nothing

Sweep = Callable[..., RunResult]
LAYERS = ["stem", "layer2.0.relu2", "pooling"]
FLOAT32 = 2e-5


@pytest.fixture
def values(spec_values: Values) -> Values:
    return {
        **spec_values,
        "corpus": {
            "kind": "espeak",
            "speakers": {"train": 3, "validation": 2, "test": 3},
            "utterances_per_speaker": 5,
        },
        "layers": LAYERS,
        "probes": [{"kind": "ridge"}],
        "controls": [],
        "baselines": ["mean", "duration"],
        "similarity": {"utterances": 12},
    }


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take most of a small run's time and have tests of their own."""
    draw_nothing(monkeypatch)


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests look at the values alone."""
    monkeypatch.setattr("sweep.running.run.build_report", lambda run: None)


@pytest.fixture
def sweep(write_spec: Callable[[Values], Path], cache: Path, tmp_path: Path) -> Iterator[Sweep]:
    """Runs spec values into ``tmp_path/out``, by default in this process."""

    def run(values: Values, out: str = "out", **options: Any) -> RunResult:
        chosen = RunOptions(**{"where": "inline", "cache": cache, **options}, out=tmp_path / out)
        with EventLog() as events:
            return run_sweep(write_spec(values), chosen, events)

    yield run


def jobs_done(result: RunResult) -> int:
    """Jobs of the comparison, of all runs into the folder."""
    lines = result.folder.events.read_text().splitlines()
    return sum(json.loads(line)["kind"] == "compared" for line in lines)


def progress(result: RunResult) -> Stage:
    """What a live view shows of the comparison in the end."""
    shown = Progress()
    for event in read_events(result.folder.events):
        shown.update(event)
    return shown.stages["similarity"]


def similarity(result: RunResult) -> pd.DataFrame:
    return open_run(result.folder.root).table("similarity")


def matrix(result: RunResult, measure: str, a: str, b: str) -> np.ndarray:
    rows = similarity(result).query("measure == @measure and model_a == @a and model_b == @b")
    return rows.pivot(index="layer_index_a", columns="layer_index_b", values="value").to_numpy()


@pytest.mark.usefixtures("no_report")
def test_every_layer_is_compared_with_every_other(sweep: Sweep, values: Values) -> None:
    result = sweep(values)
    assert (result.status, result.failed) == ("done", 0)
    rows = similarity(result)
    assert tuple(rows.columns) == COLUMNS
    assert len(rows) == 2 * (2 * 3) ** 2
    assert set(rows["n_utterances"]) == {12}
    assert set(rows["model_a"]) == {"a", "b"}  # no baselines
    stage = progress(result)
    assert (stage.done, stage.total, stage.failed) == (9, 9, 0)
    run = open_run(result.folder.root)
    drawn = draw_utterances(run.spec, run.utterances)
    X = {}
    for model in "ab":
        for layer in LAYERS:
            ids, activations = run.activations(model, layer)
            X[model, layer] = activations[[ids.index(name) for name in drawn]]
    for row in rows.itertuples():
        x, y = X[row.model_a, row.layer_a], X[row.model_b, row.layer_b]
        if row.measure == "cka":
            assert row.value == pytest.approx(unbiased_cka(x, y), abs=FLOAT32)
        else:
            expected, _ = pwcca(leading_subspace(x), leading_subspace(y))
            assert row.value == pytest.approx(expected, abs=FLOAT32)


def test_table_figures_and_a_section_are_left(sweep: Sweep, values: Values) -> None:
    folder = sweep(values).folder
    written = pd.read_csv(folder.tables / "similarity.csv")
    pd.testing.assert_frame_equal(
        written, open_run(folder.root).table("similarity"), check_dtype=False
    )
    for name in ("similarity_cka.png", "similarity_cka.svg", "similarity_pwcca.png"):
        assert (folder.plots / name).stat().st_size > 0
    assert 'id="similarity"' in folder.report.read_text()
    assert not (folder.similarity / "sketches").exists()


@pytest.mark.usefixtures("no_report")
def test_a_second_run_computes_nothing_even_without_activations(
    sweep: Sweep, values: Values, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    first = sweep(values, cache=own)
    done, before = jobs_done(first), similarity(first)
    assert done == 2 * 3 + 3
    shutil.rmtree(own / "activations")
    second = sweep(values, cache=own)
    assert (jobs_done(second), second.ran_shards, second.ran_cells) == (done, 0, 0)
    pd.testing.assert_frame_equal(similarity(second), before)


@pytest.mark.usefixtures("no_report")
def test_a_new_model_costs_its_own_pairs(sweep: Sweep, values: Values) -> None:
    alone = sweep({**values, "models": values["models"][:1]})
    done, before = jobs_done(alone), matrix(alone, "cka", "a", "a")
    both = sweep(values)
    assert jobs_done(both) - done == 2 * 3 + 2  # sketches of both, and of tiles a × b and b × b
    np.testing.assert_array_equal(matrix(both, "cka", "a", "a"), before)


def test_comparison_of_finished_cells_can_be_asked_for_later(
    sweep: Sweep, values: Values, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    without = sweep({**values, "similarity": None}, cache=own)
    assert similarity(without).empty
    assert not (without.folder.tables / "similarity.csv").exists()
    shutil.rmtree(own / "activations")
    later = sweep(values, cache=own)
    assert (later.status, later.ran_cells) == ("done", 0)
    assert later.ran_shards > 0  # they had to be extracted again
    assert jobs_done(later) == 2 * 3 + 3
    assert (later.folder.tables / "similarity.csv").exists()
    sweep({**values, "similarity": None}, cache=own)
    assert not (without.folder.tables / "similarity.csv").exists()
    assert not list(without.folder.plots.glob("similarity*"))


@pytest.mark.usefixtures("no_report")
def test_ray_and_this_process_give_the_same_values(sweep: Sweep, values: Values) -> None:
    inline, local = sweep(values, out="inline"), sweep(values, out="local", where="local")
    pd.testing.assert_frame_equal(similarity(local), similarity(inline), check_exact=True)


@pytest.mark.usefixtures("no_report")
def test_small_tiles_give_the_same_values(
    sweep: Sweep, values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = similarity(sweep(values, out="whole"))
    monkeypatch.setattr("sweep.analyses.similarity_tiles.MOST_ROWS", 2)
    result = sweep(values, out="tiles")
    assert jobs_done(result) == 2 * 3 + 3 + 4 + 3
    pd.testing.assert_frame_equal(similarity(result), whole, rtol=0, atol=FLOAT32)


@pytest.mark.usefixtures("no_report")
def test_only_and_fresh(sweep: Sweep, values: Values) -> None:
    part = sweep(values, only="a/stem/*")
    assert jobs_done(part) == 0
    done = jobs_done(sweep(values))
    fresh = sweep(values, fresh=True)
    assert jobs_done(fresh) == done == 2 * 3 + 3  # the events before are forgotten, too


def fail_on(layer: str) -> Callable[[ComparisonJob], ComparisonReport]:
    """A comparison in which one layer of model a cannot be sketched."""

    def run(job: ComparisonJob) -> ComparisonReport:
        if isinstance(job, SketchJob) and (job.model, job.layer) == ("a", layer):
            raise ValueError("its values are odd")
        return compare(job)

    return run


@pytest.mark.usefixtures("no_report")
def test_a_layer_that_fails_is_missing_alone_and_tried_again(
    sweep: Sweep, values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("jobs.similarity.job.compare", fail_on("layer2.0.relu2"))
        failed = sweep(values)
    assert (failed.status, failed.failed) == ("failed", 0)
    assert "a / layer2.0.relu2" in failed.folder.events.read_text()
    assert progress(failed).failed == 1
    known = np.isfinite(matrix(failed, "cka", "a", "a"))
    np.testing.assert_array_equal(known, np.outer([1, 0, 1], [1, 0, 1]).astype(bool))
    assert np.isfinite(matrix(failed, "pwcca", "b", "b")).all()
    again = sweep(values)
    assert again.status == "done"
    assert similarity(again)["value"].notna().all()


@pytest.mark.usefixtures("no_report")
def test_a_tile_that_fails_leaves_its_pair_empty(
    sweep: Sweep, values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: ComparisonJob) -> ComparisonReport:
        if not isinstance(job, SketchJob) and job.models == ("a", "b"):
            raise ValueError("broken")
        return compare(job)

    monkeypatch.setattr("jobs.similarity.job.compare", run)
    result = sweep(values)
    assert result.status == "failed"
    assert np.isnan(matrix(result, "cka", "a", "b")).all()
    assert np.isnan(matrix(result, "cka", "b", "a")).all()
    assert np.isfinite(matrix(result, "cka", "b", "b")).all()


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("error", [None, OSError])
def test_a_model_that_is_given_up_while_its_tiles_are_out_costs_its_own_pairs(
    sweep: Sweep, values: Values, monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None
) -> None:
    sent = Comparison.sent

    def give_up(comparison: Comparison, job: ComparisonJob) -> None:
        sent(comparison, job)
        if not isinstance(job, SketchJob) and job.models == ("a", "a"):
            comparison.drop("a", "given up")

    def run(job: ComparisonJob) -> ComparisonReport:
        if error is not None and not isinstance(job, SketchJob) and job.models == ("a", "a"):
            raise error
        return compare(job)

    monkeypatch.setattr(Comparison, "sent", give_up)
    monkeypatch.setattr("jobs.similarity.job.compare", run)
    rows = similarity(sweep(values))
    assert set(rows["model_a"]) == set(rows["model_b"]) == {"b"}
    assert rows["value"].notna().all()


@pytest.mark.usefixtures("no_report")
def test_a_damaged_shard_is_extracted_again(sweep: Sweep, values: Values, tmp_path: Path) -> None:
    own = tmp_path / "own"
    before = similarity(sweep(values, cache=own))
    for path in (own / "activations").glob("*/*.safetensors"):
        data = bytearray(path.read_bytes())
        data[-2] ^= 0x40  # of the last layer by name
        path.write_bytes(data)
    shutil.rmtree(tmp_path / "out" / "similarity")
    again = sweep(values, cache=own)
    assert (again.status, again.ran_cells) == ("done", 0)
    assert again.ran_shards > 0
    pd.testing.assert_frame_equal(similarity(again), before)


@pytest.mark.usefixtures("no_report")
def test_a_damaged_file_of_values_is_computed_again(sweep: Sweep, values: Values) -> None:
    first = sweep(values)
    before, done = similarity(first), jobs_done(first)
    path = next(first.folder.similarity.glob("*.npz"))
    path.write_bytes(path.read_bytes()[:-30])
    again = sweep(values)
    assert jobs_done(again) > done
    pd.testing.assert_frame_equal(similarity(again), before)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"part": "tset"}, r"spec.yaml:\d+:\d+: .*no activations of 'tset'; did you mean 'test'"),
        ({"measures": ["cca"]}, "'cca' is not valid; .*pwcca"),
        ({"utterances": 3}, "greater than or equal to 10"),
        ({"measure": "cka"}, "unknown key 'measure'; did you mean 'measures'"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_runs(
    sweep: Sweep, values: Values, tmp_path: Path, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        sweep({**values, "similarity": asked})
    assert not (tmp_path / "out").exists()


def test_too_few_utterances_to_compare_on_are_refused(sweep: Sweep, values: Values) -> None:
    values["corpus"] = {**values["corpus"], "utterances_per_speaker": 2}
    with pytest.raises(SpecError, match="at least 10 utterances, found 6 in test"):
        sweep(values)


def spec(values: Values, **changes: Any) -> Spec:
    return Spec.model_validate({**values, **changes})


def test_utterances_are_drawn_alike_whatever_the_order_of_the_table(values: Values) -> None:
    table = pd.DataFrame({"utterance_id": [f"u{i:02}" for i in range(50)]})
    table["split"] = np.where(table.index < 30, "test", "train")
    drawn = draw_utterances(spec(values), table)
    assert drawn == draw_utterances(spec(values), table[::-1])
    assert len(set(drawn)) == 12
    assert max(drawn) < "u30"
    other = draw_utterances(spec(values, similarity={"utterances": 12, "seed": 1}), table)
    assert other != drawn
    assert len(draw_utterances(spec(values, similarity={}), table)) == 30
    named = spec(values, similarity={"part": "train"})
    assert draw_utterances(named, table) == tuple(f"u{i}" for i in range(30, 50))
    folds = spec(values, similarity={}, protocol={"kind": "kfold", "folds": 3})
    assert len(draw_utterances(folds, table)) == 50
