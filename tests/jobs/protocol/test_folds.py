"""Folds: no speaker on both sides, nothing lost, and problems told in words."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from jobs.protocol.folds import check_speakers, group_labels, lacking_splits, make_folds
from jobs.protocol.settings import KFoldProtocol, SplitsProtocol


def table(speakers_per_part, utterances=3):
    rows = [
        {"utterance_id": f"{speaker}-{i}", "speaker_id": speaker, "split": part}
        for part, speakers in speakers_per_part.items()
        for speaker in speakers
        for i in range(utterances)
    ]
    return pd.DataFrame(rows, columns=["utterance_id", "speaker_id", "split"])


PARTS = {"test": ["t1", "t2"], "train": ["a", "b", "c"], "validation": ["v1"], "other": ["a"]}


def test_splits_are_the_corpus_own_parts_and_others_are_left_out():
    corpus = table(PARTS)
    (fold,) = make_folds(SplitsProtocol(), corpus)
    for rows, part in [(fold.train, "train"), (fold.validation, "validation"), (fold.test, "test")]:
        assert corpus["split"].iloc[rows].unique().tolist() == [part]
        assert len(rows) == (corpus["split"] == part).sum()


def test_splits_without_validation_leave_that_part_empty():
    corpus = table({"test": ["t"], "train": ["a", "b"]})
    (fold,) = make_folds(SplitsProtocol(validation=None), corpus)
    assert fold.validation.size == 0


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_kfold_keeps_every_speaker_in_one_part_and_tests_every_utterance_once(folds):
    rng = np.random.default_rng(0)
    speakers = np.array([f"s{i}" for i in range(11)])[rng.integers(0, 11, 200)]
    corpus = pd.DataFrame({"speaker_id": speakers, "split": "any"})
    made = make_folds(KFoldProtocol(folds=folds), corpus)
    assert len(made) == folds
    tested = np.concatenate([fold.test for fold in made])
    assert sorted(tested) == list(range(200))
    for i, fold in enumerate(made):
        parts = [fold.train, fold.validation, fold.test]
        assert sorted(np.concatenate(parts)) == list(range(200))
        in_part = [set(speakers[rows]) for rows in parts]
        assert not (in_part[0] & in_part[1] or in_part[0] & in_part[2] or in_part[1] & in_part[2])
        following = made[(i + 1) % folds].test if folds > 2 else []
        np.testing.assert_array_equal(fold.validation, following)


def test_kfold_parts_do_not_depend_on_the_order_of_the_table():
    rng = np.random.default_rng(1)
    corpus = table({"any": [f"s{i}" for i in range(12)]})
    shuffled = corpus.sample(frac=1, random_state=rng.integers(1000)).reset_index(drop=True)
    tested = [
        [set(t["utterance_id"].iloc[fold.test]) for fold in make_folds(KFoldProtocol(folds=4), t)]
        for t in (corpus, shuffled)
    ]
    assert tested[0] == tested[1]


def test_kfold_may_group_by_another_column():
    corpus = table({"any": ["a", "b", "c"]}).assign(chapter_id=lambda t: t["utterance_id"])
    settings = KFoldProtocol(folds=9, group="chapter_id", allow_speaker_overlap=True)
    assert [len(fold.test) for fold in make_folds(settings, corpus)] == [1] * 9
    assert group_labels(settings, corpus).tolist() == corpus["chapter_id"].tolist()


def test_a_speaker_in_two_parts_is_a_problem_unless_allowed():
    corpus = table({"train": ["a", "b"], "validation": ["c"], "test": ["b", "d"]})
    (problem,) = check_speakers(SplitsProtocol(), corpus)
    assert "1 speakers are in more than one split (first: b in test and train)" in problem
    with pytest.raises(ValueError, match="more than one split"):
        make_folds(SplitsProtocol(), corpus)
    assert check_speakers(SplitsProtocol(allow_speaker_overlap=True), corpus) == []


def test_a_speaker_shared_with_a_part_that_is_not_used_is_no_problem():
    assert check_speakers(SplitsProtocol(), table(PARTS)) == []


def test_a_part_without_utterances_is_named_with_those_there_are():
    problems = check_speakers(SplitsProtocol(validation="dev"), table(PARTS))
    assert problems == [
        "the validation split 'dev' has no utterances: the corpus has other, test, train, "
        "validation"
    ]


def test_more_folds_than_speakers_is_a_problem():
    (problem,) = check_speakers(KFoldProtocol(folds=5), table({"any": ["a", "b", "c"]}))
    assert "the corpus has 3: set folds to 3 or fewer" in problem
    (problem,) = check_speakers(KFoldProtocol(folds=5), table({"any": ["a"]}))
    assert "at least 2" in problem


def test_a_group_that_lets_a_speaker_into_two_folds_is_a_problem_unless_allowed():
    corpus = table({"any": ["a", "b", "c"]}).assign(chapter_id=lambda t: t["utterance_id"])
    settings = KFoldProtocol(folds=3, group="chapter_id")
    (problem,) = check_speakers(settings, corpus)
    assert problem.startswith("3 speakers are in more than one fold (first: a), since chapter_id")
    assert "group by speaker_id, or set allow_speaker_overlap: true" in problem
    with pytest.raises(ValueError, match="more than one fold"):
        make_folds(settings, corpus)
    allowed = settings.model_copy(update={"allow_speaker_overlap": True})
    assert check_speakers(allowed, corpus) == []
    assert allowed.identity() == settings.identity()  # a permission moves no number


def test_a_group_of_whole_speakers_needs_no_permission():
    corpus = table({"any": ["a", "b", "c", "d"]})
    corpus["family"] = corpus["speaker_id"].map({"a": "x", "b": "x", "c": "y", "d": "y"})
    assert check_speakers(KFoldProtocol(folds=2, group="family"), corpus) == []


def test_an_unknown_group_column_is_a_problem():
    (problem,) = check_speakers(KFoldProtocol(group="speaker"), table(PARTS))
    assert "'speaker' is not in the utterance table, which has utterance_id, speaker_id" in problem


def test_a_part_in_two_roles_is_refused():
    with pytest.raises(ValidationError, match="'train' is used twice"):
        SplitsProtocol(test="train")
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        KFoldProtocol(folds=1)


def test_what_the_folds_lose_with_unusable_rows_is_named():
    corpus = table(PARTS)
    all_rows = np.ones(len(corpus), dtype=bool)
    for settings in (SplitsProtocol(), KFoldProtocol(folds=3)):
        assert lacking_splits(settings, make_folds(settings, corpus), all_rows) == []
    split = corpus["split"].to_numpy()
    splits, folds = SplitsProtocol(), make_folds(SplitsProtocol(), corpus)
    problems = lacking_splits(splits, folds, split != "test")
    assert problems == ["the test split 'test' has no utterances"]
    one_left = split != "train"
    one_left[np.flatnonzero(split == "train")[0]] = True
    assert lacking_splits(splits, folds, one_left) == [
        "the train split 'train' has fewer than 2 utterances"
    ]
    made = make_folds(KFoldProtocol(folds=3), corpus)
    fold = made[1]
    without = all_rows.copy()
    without[fold.test] = False
    assert lacking_splits(
        KFoldProtocol(folds=3), make_folds(KFoldProtocol(folds=3), corpus), without
    ) == [
        "the validation split of fold 0 has no utterances",
        "the test split of fold 1 has no utterances",
        "the train split of fold 2 has no utterances",
    ]
