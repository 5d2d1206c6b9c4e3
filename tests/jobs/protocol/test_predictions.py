"""The predictions file: exact, and never silently wrong."""

import dataclasses

import numpy as np
import pytest

from jobs.protocol.predictions import (
    CellPredictions,
    PredictionsError,
    read_predictions,
    write_predictions,
)


def cell(fold=0, seed=0, names=("a-1", "b-2", "NA")):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((2, len(names))).astype(np.float32)
    return CellPredictions(fold, 0.1 + seed, np.array(names), values[0], values[1])


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for cell_id, one in expected.items():
        for field in dataclasses.fields(CellPredictions):
            a, b = getattr(found[cell_id], field.name), getattr(one, field.name)
            np.testing.assert_array_equal(a, b)


def test_cells_of_several_folds_come_back_exactly(tmp_path):
    cells = {"c0": cell(0, 0), "c1": cell(0, 1), "c2": cell(1, 2, ("d-4", "e-5"))}
    write_predictions(tmp_path / "new" / "layer.npz", cells)
    assert_same(read_predictions(tmp_path / "new" / "layer.npz"), cells)


def test_cells_of_one_fold_need_not_have_the_same_utterances(tmp_path):
    cells = {"all": cell(0, 0), "some": cell(0, 1, ("a-1", "NA")), "none of them": cell(0, 2, ())}
    write_predictions(tmp_path / "layer.npz", cells)
    assert_same(read_predictions(tmp_path / "layer.npz"), cells)


def test_a_file_of_before_rows_were_numbered_is_read(tmp_path):
    one = cell(3)
    np.savez_compressed(
        tmp_path / "layer.npz",
        **{"cell_id": ["c0"], "fold": [3], "train_mean": [one.train_mean]},
        **{"utterance_id/3": one.utterance_id, "y_true/c0": one.y_true, "y_pred/c0": one.y_pred},
    )
    assert_same(read_predictions(tmp_path / "layer.npz"), {"c0": one})


def test_nothing_to_write_leaves_no_file_and_touches_none(tmp_path):
    write_predictions(tmp_path / "layer.npz", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["truncate", "flip", "text"])
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path, damage):
    path = tmp_path / "layer.npz"
    write_predictions(path, {"c0": cell(0, 0)})
    data = bytearray(path.read_bytes())
    middle = data.index(b"y_pred") + 60
    data[middle] ^= 0xFF
    path.write_bytes({"truncate": data[:100], "flip": data, "text": b"no archive"}[damage])
    with pytest.raises(PredictionsError, match=r"not a readable file of predictions.*run again"):
        read_predictions(path)


def test_the_same_cells_make_the_same_bytes(tmp_path):
    for name in ("one.npz", "two.npz"):
        write_predictions(tmp_path / name, {"c0": cell(0, 0), "c1": cell(0, 1)})
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
