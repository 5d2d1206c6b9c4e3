"""Lengths and levels of files that had to be decoded to find them, kept between runs.

They are in ``<cache>/examined``, as JSON lines with the digest of a file, its facts and a checksum
(see `jobs.storage.json_files`). The name of the file of lines contains the versions of this code
and of the decoder.
"""

import json
from dataclasses import asdict
from pathlib import Path

import soundfile

from jobs.audio.read import SoundFacts, examine
from jobs.corpus.table import CorpusError
from jobs.storage.json_files import Kinds, parse_json, with_sum
from jobs.storage.line_files import append_lines, read_whole_lines
from jobs.storage.regular_files import DamagedFile

EXAMINE_VERSION = 2
"""To be raised when a file gives other facts: all are then decoded again."""
_KEYS: dict[str, Kinds] = {
    "digest": str, "sample_rate": int, "channels": int, "length": int, "full_scale": (int, float),
    "decoded": bool,
}  # fmt: skip


class ExaminedFiles:
    """Facts of decoded files by the digest of their content; threads may share it.

    Raises (on construction):
        CorpusError: the file of facts is damaged.
        OSError: it cannot be read.
    """

    def __init__(self, cache: Path) -> None:
        version = f"{EXAMINE_VERSION}-libsndfile-{soundfile.__libsndfile_version__}"
        self._path = cache / "examined" / f"{version}.jsonl"
        self._known: dict[str, SoundFacts] = {}
        self._new: dict[str, SoundFacts] = {}
        if not self._path.exists():
            return
        try:
            data = read_whole_lines(self._path)
        except DamagedFile as error:
            raise CorpusError(str(error)) from None
        for number, line in enumerate(data.split(b"\n")[:-1], start=1):
            try:
                facts = parse_json(line, _KEYS)
                digest = facts.pop("digest")
                self._known[digest] = SoundFacts(**facts)
            except (DamagedFile, TypeError) as error:
                raise CorpusError(
                    f"{self._path}:{number} is damaged: {error}; delete the file; its audio will "
                    "be decoded again"
                ) from None

    def facts(self, path: Path, digest: str) -> SoundFacts:
        """Return the facts of a file with this digest; examine it if they are not known.

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
        lines = ({"digest": digest, **asdict(facts)} for digest, facts in self._new.items())
        append_lines(self._path, (with_sum(json.dumps(line).encode()) for line in lines))
        self._known |= self._new
        self._new = {}
