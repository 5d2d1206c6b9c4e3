"""Lengths and levels of files that had to be decoded to find them, kept between runs.

They are in ``<cache>/examined``, as JSON lines of ``[digest of the file, facts]``. The name of the
file contains the versions of this code and of the decoder.
"""

import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path

import soundfile

from jobs.audio.read import SoundFacts, examine
from jobs.corpus.table import CorpusError
from jobs.storage.atomic import cut_torn_line

EXAMINE_VERSION = 1
"""To be raised when a file gives other facts: all are then decoded again."""


class ExaminedFiles:
    """Facts of decoded files by the digest of their content; threads may share it.

    Raises:
        CorpusError: the file of facts is damaged.
    """

    def __init__(self, cache: Path) -> None:
        version = f"{EXAMINE_VERSION}-libsndfile-{soundfile.__libsndfile_version__}"
        self._path = cache / "examined" / f"{version}.jsonl"
        self._known: dict[str, SoundFacts] = {}
        self._new: dict[str, SoundFacts] = {}
        if not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            if not line.endswith("\n"):  # a run was killed, or another one is writing
                continue
            try:
                digest, facts = json.loads(line)
                self._known[digest] = SoundFacts(**facts)
            except (ValueError, TypeError) as error:
                raise CorpusError(
                    f"{self._path}:{number} is damaged: expected [digest, facts], found "
                    f"{line[:60]!r}; delete the file; its audio will be decoded again"
                ) from error

    def facts(self, path: Path, digest: str) -> SoundFacts:
        """Return what is known of a file with this digest, or examine it.

        Raises:
            AudioError: the file cannot be used.
        """
        if digest in self._known:
            return self._known[digest]
        facts = examine(path)
        if facts.decoded:
            self._new[digest] = facts
        return facts

    def save(self) -> None:
        """Add the facts of newly decoded files to those that are kept."""
        if not self._new:
            return
        lines = [json.dumps([digest, asdict(facts)]) for digest, facts in self._new.items()]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            cut_torn_line(self._path)
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())
        self._known |= self._new
        self._new = {}
