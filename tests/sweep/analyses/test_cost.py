"""The lines of cost that analyses add to ``sweep plan``."""

import pytest

from sweep.analyses import ANALYSES
from sweep.analyses.base import RunContext
from sweep.analyses.tempo import cells_left
from sweep.analyses.tempo_plan import tempo_file
from sweep.plan.plan import layer_tasks
from sweep.prepare.prepare import load_and_prepare
from sweep.state.ledger import Finished
from sweep.state.run_folder import RunFolder


def lines(write_spec, tmp_path, values, left=1, **changes):
    prepared = load_and_prepare(write_spec({**values, **changes}), [], tmp_path)
    return cost(prepared, tmp_path, {}, left)


def cost(prepared, tmp_path, records, left=1):
    run = RunContext(
        prepared.spec, prepared.plan, prepared.table, RunFolder(tmp_path / "run"), tmp_path
    )
    return [line for one in ANALYSES for line in one.cost(run, records, left)]


def test_a_plan_without_them_says_nothing(write_spec, spec_values, tmp_path):
    assert lines(write_spec, tmp_path, spec_values) == []


def test_similarity_is_counted_in_pairs_of_layers(write_spec, spec_values, tmp_path):
    asked = {"layers": ["stem", "embedding"], "similarity": {"utterances": 15}}
    (line,) = lines(write_spec, tmp_path, spec_values, **asked)
    assert line.startswith("similarity: 10 pairs of 4 layers on 15 utterances, no forward passes")
    (line,) = lines(write_spec, tmp_path, spec_values, left=0, **asked)
    assert line == "similarity: 10 pairs of layers, all done"


def test_tempo_is_counted_in_forward_passes_and_minutes(write_spec, spec_values, tmp_path):
    pytest.importorskip("python_stretch")
    asked = {"tempo": {"factors": [0.5, 2.0], "utterances": 4}}
    prepared = load_and_prepare(write_spec({**spec_values, **asked}), [], tmp_path)
    (line,) = cost(prepared, tmp_path, {})
    assert line.startswith("tempo: 4 utterances at 2 other rates: 8 of each model's forward passes")
    table = prepared.table.set_index("utterance_id")
    seconds = 2.5 * table.loc[list(prepared.plan.tempo.utterances), "seconds"].sum()
    assert f" {seconds / 60:.3g} min of audio" in line


def test_tempo_is_done_once_every_probe_has_predicted_it_and_not_before(
    write_spec, spec_values, tmp_path
):
    pytest.importorskip("python_stretch")
    asked = {"tempo": {"factors": [0.5, 2.0], "utterances": 4}}
    prepared = load_and_prepare(write_spec({**spec_values, **asked}), [], tmp_path)
    plan = prepared.plan
    cells = [(task.model, cell) for task in layer_tasks(plan) for cell in task.cells]
    n_asked = cells_left(plan, {}, [])
    assert 0 < n_asked < len(cells)  # controls are not asked
    done = {
        cell.cell_id: Finished("done", cell.probe, cell.control, f"{cell.cell_id}.npz")
        for _, cell in cells
    }
    files = [tempo_file(f"{cell.cell_id}.npz", plan, model) for model, cell in cells]
    assert cells_left(plan, done, []) == n_asked
    assert cells_left(plan, done, files) == 0
    (tmp_path / "run" / "predictions").mkdir(parents=True)
    for file in files:
        (tmp_path / "run" / "predictions" / file).touch()
    (line,) = cost(prepared, tmp_path, done)
    assert line == "tempo: 4 utterances at 2 other rates, all done"
