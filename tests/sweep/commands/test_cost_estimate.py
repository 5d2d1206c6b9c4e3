"""What a plan says of tempo and similarity."""

import pytest

from sweep.analyses.tempo import tempo_file
from sweep.commands.cost_estimate import cells_to_hear, extra_lines
from sweep.plan.plan import layer_tasks
from sweep.prepare.prepare import load_and_prepare
from sweep.state.ledger import Finished


def lines(write_spec, tmp_path, values, left=1, **changes):
    prepared = load_and_prepare(write_spec({**values, **changes}), [], tmp_path)
    return list(extra_lines(prepared, left, 0))


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
    (line,) = extra_lines(prepared, 0, left_to_hear=1)
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
    n_asked = cells_to_hear(plan, {}, [])
    assert 0 < n_asked < len(cells)  # controls are not asked
    done = {
        cell.cell_id: Finished("done", cell.probe, cell.control, f"{cell.cell_id}.npz")
        for _, cell in cells
    }
    files = [tempo_file(f"{cell.cell_id}.npz", plan, model) for model, cell in cells]
    assert cells_to_hear(plan, done, []) == n_asked
    assert cells_to_hear(plan, done, files) == 0
    (line,) = extra_lines(prepared, 0, 0)
    assert line == "tempo: 4 utterances at 2 other rates, all done"
