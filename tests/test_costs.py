"""What a plan says of tempo and similarity."""

import pytest

from sweep.costs import extra_lines
from sweep.prepare import load_and_prepare


def lines(write_spec, tmp_path, values, left=1, **changes):
    prepared = load_and_prepare(write_spec({**values, **changes}), [], tmp_path)
    return list(extra_lines(prepared, left))


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
    (line,) = extra_lines(prepared, 0)
    assert line.startswith("tempo: 4 utterances at 2 other rates: 8 of each model's forward passes")
    table = prepared.table.set_index("utterance_id")
    seconds = 2.5 * table.loc[list(prepared.plan.tempo.utterances), "seconds"].sum()
    assert f" {seconds / 60:.3g} min of audio" in line
