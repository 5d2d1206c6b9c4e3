"""File names of the study."""

from collections.abc import Iterable
from operator import itemgetter

from jobs.protocol.settings import KFoldProtocol
from jobs.storage.atomic import file_names
from sweep.plan.make_plan import used_splits
from sweep.results.run import Run

STUDY_SPLITS = {"validation": "dev"}
"""Split → the study's name for it, where they differ."""


def split_names(splits: Iterable[str]) -> dict[str, str]:
    """Map each split to the study's name for it, as a file name.

    ``validation`` becomes ``dev`` unless the corpus has a split of that name.
    """
    splits = sorted(set(splits))
    names = {split: STUDY_SPLITS.get(split, split) for split in splits}
    names = {split: split if name in splits else name for split, name in names.items()}
    files = file_names(sorted(names.values()))
    return {split: files[name] for split, name in sorted(names.items(), key=itemgetter(1))}


def tested_splits(run: Run, target: str) -> list[str]:
    """List the splits that probes of ``target`` are tested on."""
    protocol = run.plan.target_protocols.of(target)
    if isinstance(protocol, KFoldProtocol):
        return used_splits(run.spec, run.utterances)
    return [protocol.test]


def tested_name(run: Run, target: str) -> str:
    """Join its tested splits into one word, as in ``cca_dev_cps``."""
    names = split_names(used_splits(run.spec, run.utterances))
    return "-".join(names[split] for split in tested_splits(run, target))
