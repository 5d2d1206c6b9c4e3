"""Folds of classes: balanced in classes and in size, with whole groups."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from jobs.protocol.balanced_parts import balanced_parts
from jobs.protocol.folds import make_folds
from jobs.protocol.settings import KFoldProtocol, Protocols, SplitsProtocol
from jobs.protocol.target_folds import TargetFolds


def corpus(n_groups, n_rows, classes, seed, *, by_group=True):
    """(U,) groups of unequal size and classes of unequal frequency, of a group or of a row."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(n_groups, 2.0))
    more = rng.choice(n_groups, n_rows - n_groups, p=weights)
    group = np.concatenate([np.arange(n_groups), more])
    shares = rng.dirichlet(np.full(classes, 5.0))
    codes = rng.choice(classes, n_groups if by_group else n_rows, p=shares)
    code = codes[group] if by_group else codes
    return np.array([f"g{i:03d}" for i in group]), np.array([f"c{i}" for i in code])


def spread(parts, classes, n):
    """Σ over classes of the SD over parts of the share of the class; and the SD of sizes."""
    shares = [
        [np.mean(np.isin(np.flatnonzero(classes == name), part)) for part in parts]
        for name in np.unique(classes)
    ]
    return np.std(shares, axis=1).sum(), np.std([len(part) for part in parts]) / n


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("by_group", [True, False])
def test_classes_and_sizes_are_at_least_as_even_as_scikit_learns(seed, by_group):
    groups, classes = corpus(40, 400, 2 + seed % 3, seed, by_group=by_group)
    parts = balanced_parts(groups, classes, 5)
    assert sorted(np.concatenate(parts)) == list(range(400)) and min(map(len, parts)) > 0
    in_part = [set(groups[part]) for part in parts]
    assert sum(map(len, in_part)) == len(set(groups))
    theirs = [
        test for _, test in StratifiedGroupKFold(5).split(groups[:, None], classes, groups=groups)
    ]
    ours, reference = (spread(found, classes, 400) for found in (parts, theirs))
    assert ours[0] < 1.25 * reference[0] + 0.02
    assert ours[1] < reference[1] + 0.02


def test_utterances_of_every_class_are_dealt_out_evenly():
    classes = np.repeat([f"s{i:02d}" for i in range(17)], 12)
    groups = np.array([f"u{i:03d}" for i in range(len(classes))])
    parts = balanced_parts(groups, classes, 5)
    assert {len(part) for part in parts} <= {40, 41}
    for name in np.unique(classes):
        assert {int((classes[part] == name).sum()) for part in parts} == {2, 3}


def test_parts_depend_on_names_alone():
    groups, classes = corpus(12, 60, 2, 0)
    order = np.random.default_rng(1).permutation(60)
    moved = balanced_parts(groups[order], classes[order], 3)
    for part, again in zip(balanced_parts(groups, classes, 3), moved, strict=True):
        assert set(groups[part]) == set(groups[order][again])


def table():
    speakers = [f"s{i:02d}" for i in range(12)]
    rows = [
        {"utterance_id": f"{name}-{number}", "speaker_id": name, "cps": 1.0, "speaker": name,
         "sex": "f" if index < 4 else "m", "split": ("train", "validation", "test")[index // 4]}
        for index, name in enumerate(speakers) for number in range(index + 2)
    ]  # fmt: skip
    return pd.DataFrame(rows)


OVERLAP = KFoldProtocol(folds=3, group="utterance_id", allow_speaker_overlap=True)


def test_every_target_has_the_folds_of_its_own_protocol():
    folds = TargetFolds(Protocols(SplitsProtocol(), {"speaker": OVERLAP}), table(), ["speaker"])
    [fold] = folds.of("cps")
    assert set(table()["split"].iloc[fold.test]) == {"test"}
    assert folds.key("cps") == folds.key("another") != folds.key("speaker")
    assert folds.groups("speaker").tolist() == table()["utterance_id"].tolist()
    for fold in folds.of("speaker"):
        for name in set(table()["speaker"]):  # a speaker of two utterances is in two folds
            n = (table()["speaker"].iloc[fold.test] == name).sum()
            assert n in (len(table()[table()["speaker"] == name]) // 3 + extra for extra in (0, 1))


def test_numbers_are_folded_as_before_and_classes_are_balanced():
    given, protocol = table(), KFoldProtocol(folds=4)
    folds = TargetFolds(Protocols(protocol), given, ["sex"])
    for made, plain in zip(folds.of("cps"), make_folds(protocol, given), strict=True):
        np.testing.assert_array_equal(made.test, plain.test)
    for fold in folds.of("sex"):
        assert given.iloc[fold.test].groupby("sex")["speaker_id"].nunique()["f"] == 1
