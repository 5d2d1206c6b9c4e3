"""Drafts of specs for folders in LibriSpeech's layout."""

from pathlib import Path

import pytest

from sweep.drafts.librispeech import draft_of_librispeech
from sweep.errors import UsageError


def make(root: Path, *subsets: str) -> Path:
    """Folders with a transcript for each of two speakers."""
    for subset in subsets:
        for speaker in ("1", "2"):
            chapter = root / subset / f"{subset[:2]}{speaker}" / "7"
            chapter.mkdir(parents=True)
            (chapter / f"{speaker}-7.trans.txt").write_text("1-7-0000 HELLO\n")
    return root


def test_subsets_become_the_splits_of_their_names(tmp_path: Path) -> None:
    draft = draft_of_librispeech(make(tmp_path, "train-clean-100", "dev-clean", "test-clean"))
    assert draft.corpus["splits"] == {
        "train": ["train-clean-100"], "validation": ["dev-clean"], "test": ["test-clean"]
    }  # fmt: skip
    assert draft.protocol == {"kind": "splits"}


def test_a_single_subset_is_cut_into_folds(tmp_path: Path) -> None:
    draft = draft_of_librispeech(make(tmp_path, "test-other"))
    assert draft.protocol == {"kind": "kfold", "folds": 2}
    assert [target.name for target in draft.targets] == ["cps", "duration"]


def test_the_speakers_sex_is_a_target_where_it_is_known(tmp_path: Path) -> None:
    (tmp_path / "SPEAKERS.TXT").write_text("1 | F | dev-clean | 1 | A\n")
    draft = draft_of_librispeech(make(tmp_path, "dev-clean"))
    assert "sex" in [target.name for target in draft.targets]


def test_a_folder_without_subsets_is_refused_with_the_layout(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no subset in .*SPEAKER/CHAPTER"):
        draft_of_librispeech(tmp_path)
