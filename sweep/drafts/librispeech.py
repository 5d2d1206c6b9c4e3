"""Draft a spec for a folder in LibriSpeech's layout."""

from pathlib import Path

from jobs.targets.registry import TARGETS
from sweep.drafts.draft import Draft, DraftTarget, sweep_name
from sweep.drafts.protocol import by_splits, in_folds
from sweep.errors import UsageError
from sweep.wording import counted

TARGETS_DRAFTED = ("cps", "duration")
_SPLIT_OF = {"train": "train", "dev": "validation", "test": "test"}
"""Beginning of a subset's name → split."""


def draft_of_librispeech(root: Path) -> Draft:
    """Look at ``ROOT/SUBSET/SPEAKER/CHAPTER/``.

    Raises:
        UsageError: it is not a folder, or contains no such subset.
    """
    if not root.is_dir():
        raise UsageError(f"no folder {root}: expected one with dev-clean or others in it")
    speakers = {
        folder.name: sorted(path.name for path in folder.iterdir() if path.is_dir())
        for folder in sorted(root.iterdir())
        if folder.is_dir() and any(folder.glob("*/*/*.trans.txt"))
    }
    if not speakers:
        raise UsageError(
            f"no subset in {root}: expected folders such as {root / 'dev-clean'}/SPEAKER/CHAPTER "
            "with transcripts; `sweep fetch corpus dev-clean` downloads one"
        )
    splits: dict[str, list[str]] = {}
    for subset in speakers:
        splits.setdefault(_SPLIT_OF.get(subset.partition("-")[0], "all"), []).append(subset)
    n_speakers = len({name for names in speakers.values() for name in names})
    protocol, about = by_splits(list(splits)) or in_folds(n_speakers)
    sex = (root / "SPEAKERS.TXT").is_file() or (root.parent / "SPEAKERS.TXT").is_file()
    names = (*TARGETS_DRAFTED, *(("sex",) if sex else ()))
    return Draft(
        name=sweep_name(f"librispeech-{'-'.join(speakers)}"),
        corpus={"kind": "librispeech", "root": str(root), "splits": splits},
        about_corpus=f"{', '.join(speakers)}: {counted(n_speakers, 'speaker')}",
        targets=tuple(
            DraftTarget(name, TARGETS[name].kind == "classification", TARGETS[name].description)
            for name in names
        ),
        left_out=(),
        protocol=protocol,
        about_protocol=about,
    )
