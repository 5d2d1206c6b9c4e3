"""Units of rows: every part of every fold, and of every inner fold, is put together of them."""

import numpy as np
import pytest

from jobs.corpus.table import Utterance, make_table
from jobs.gram.labels import label_values, row_sets
from jobs.gram.settings import GramSettings
from jobs.gram.units import NOT_SUMMED, make_units
from jobs.probes.ridge import inner_folds
from jobs.protocol.cells import Cell
from jobs.protocol.controls import control_target
from jobs.protocol.folds import group_labels, make_folds
from jobs.protocol.settings import KFoldProtocol, SplitsProtocol

PROTOCOLS = {
    "splits": (SplitsProtocol(), False, 2),
    "no validation": (SplitsProtocol(validation=None), True, None),
    "kfold": (KFoldProtocol(folds=5), False, 5),
    "two folds": (KFoldProtocol(folds=2), True, None),
    "three folds": (KFoldProtocol(folds=3), True, None),
}


@pytest.fixture(scope="module")
def table():
    """20 speakers, 11 of them in training, with unequally many utterances; ``gaps`` lacks some."""
    rng = np.random.default_rng(0)
    rows = [
        Utterance(
            f"s{speaker:02d}-{i:02d}", "/nowhere", "x", f"s{speaker:02d}", "0",
            "train" if speaker < 11 else "validation" if speaker < 15 else "test",
            seconds=2.0, n_samples=32_000 + i, audio_digest=f"{speaker}/{i}",
        )
        for speaker in range(20)
        for i in range(rng.integers(3, 12))
    ]  # fmt: skip
    table = make_table(rows)
    table["full"] = rng.standard_normal(len(table))
    table["gaps"] = np.where(rng.random(len(table)) < 0.3, np.nan, table["full"] + 5)
    return table


def settings(table, protocol, inner):
    return GramSettings(
        targets=("full", "gaps"),
        row_sets=row_sets(table, ("full", "gaps")),
        controls=("none", "shuffled", "speaker"),
        layers=("x",),
        protocol=protocol,
        inner=inner,
    )


@pytest.mark.parametrize(("protocol", "inner", "count"), PROTOCOLS.values(), ids=PROTOCOLS)
def test_units_put_together_are_the_parts(table, protocol, inner, count):
    units = make_units(settings(table, protocol, inner), table)
    assert count in (None, units.n_units)
    assert set(units.of_row) - {NOT_SUMMED} == set(range(units.n_units))
    groups = group_labels(protocol, table)
    for fold, of_fold in zip(make_folds(protocol, table), units.folds, strict=True):
        for role in ("train", "validation", "test"):
            chosen = getattr(of_fold, role)
            if role == "test" and isinstance(protocol, SplitsProtocol):
                assert chosen == () and (units.of_row[fold.test] == NOT_SUMMED).all()
                continue
            rows = np.flatnonzero(np.isin(units.of_row, chosen))
            np.testing.assert_array_equal(rows, getattr(fold, role))
        assert len(of_fold.inner) == (2 if inner else 0)
        for target, held_out in zip(("full", "gaps"), of_fold.inner, strict=False):
            usable = np.isfinite(table[target].to_numpy())
            expected = [out for _, out in inner_folds(fold.train[usable[fold.train]], groups)]
            assert len(held_out) == len(expected) == 5
            for chosen, rows in zip(held_out, expected, strict=True):
                found = np.flatnonzero(np.isin(units.of_row, chosen) & usable)
                np.testing.assert_array_equal(found, rows)


def test_labels_are_those_that_cells_of_every_fold_are_fitted_to(table):
    protocol = KFoldProtocol(folds=3)
    gram = settings(table, protocol, inner=False)
    values, folds = label_values(gram, table), make_folds(protocol, table)
    assert values.shape == (len(table), gram.n_columns) == (len(table), 2 * (1 + 3 + 1))
    speakers = table["speaker_id"].to_numpy(dtype=np.str_)
    for control in ("none", "shuffled", "speaker"):
        for number, fold in enumerate(folds):
            cell = Cell("", "", "full", seed=0, fold=number, control=control)
            expected = control_target(table["full"].to_numpy(), fold, cell, speakers)
            found = values[:, gram.column("full", control, number)]
            np.testing.assert_array_equal(found, expected)


def test_a_training_part_of_one_speaker_has_no_inner_folds(table):
    alone = table[(table["split"] != "train") | (table["speaker_id"] == "s00")]
    alone = alone.reset_index(drop=True)
    units = make_units(settings(alone, SplitsProtocol(validation=None), inner=True), alone)
    assert units.folds[0].inner == ((), ())


def test_inner_folds_are_part_of_the_identity_and_nothing_else_changed(table):
    plain, inner = (settings(table, SplitsProtocol(), inner).identity() for inner in (False, True))
    assert "inner" not in plain and inner == {**plain, "inner": True}
    assert plain["protocol"] == SplitsProtocol().model_dump(mode="json")
