"""What the study called its files."""

from collections.abc import Iterable

from jobs.protocol.settings import KFoldProtocol
from jobs.storage.atomic import file_names
from sweep.plan.make_plan import used_parts
from sweep.results.run import Run

STUDY_PARTS = {"validation": "dev"}
"""Parts of a corpus that the study called something else."""


def part_names(parts: Iterable[str]) -> dict[str, str]:
    """The study's name of each part, as a file name: ``validation`` is ``dev``, if none is yet."""
    parts = sorted(set(parts))
    called = {STUDY_PARTS[p]: p for p in parts if p in STUDY_PARTS and STUDY_PARTS[p] not in parts}
    called |= {part: part for part in parts if part not in called.values()}
    return {called[name]: file for name, file in file_names(sorted(called)).items()}


def tested_parts(run: Run) -> list[str]:
    """The parts of the corpus that probes are tested on."""
    protocol = run.plan.protocol
    if isinstance(protocol, KFoldProtocol):
        return used_parts(run.spec, run.utterances)
    return [protocol.test]


def tested_name(run: Run) -> str:
    """The tested parts in one word, as in ``cca_dev_cps``."""
    names = part_names(used_parts(run.spec, run.utterances))
    return "-".join(names[part] for part in tested_parts(run))
