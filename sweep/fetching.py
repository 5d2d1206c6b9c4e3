"""``sweep fetch``: corpora and checkpoints by name, whole or not at all."""

import fcntl
import http.client
import json
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

from jobs.archives import unpack
from jobs.catalogue import Archive
from jobs.fetch import FetchError, Progress, download
from jobs.files import write_text
from jobs.identity import file_digest
from jobs.models.wespeaker_checkpoint import CONFIG, WEIGHTS

Tell = Callable[[str, int, int | None], None]
"""Told what is being done, how many bytes of it are done, and of how many."""

_LISTING_TIMEOUT = 30.0


def fetch_corpus(archive: Archive, to: Path, mirror: str | None, tell: Tell) -> Path:
    """Bring a LibriSpeech subset to ``to/NAME``, with the corpus' own text files beside it.

    The archive is deleted once it is unpacked.

    Returns:
        The folder of the subset; what is already there is left as it is.

    Raises:
        FetchError: it could not be brought.
        ArchiveError: the archive is damaged, or holds what it should not.
    """
    target = to / archive.name
    with _exclusive(to, archive) as downloads:
        if not target.exists():
            with _unpacked(archive, downloads, mirror, tell) as unpacked:
                found = [path for path in unpacked.glob(f"*/{archive.name}") if path.is_dir()]
                if len(found) != 1:
                    raise FetchError(
                        f"{archive.file} is not the corpus that was expected: found {len(found)} "
                        f"folders CORPUS/{archive.name} in it, expected one; try another mirror"
                    )
                # SPEAKERS.TXT and the like are in every subset's archive, and the same in each.
                for text in found[0].parent.glob("*.TXT"):
                    text.replace(to / text.name)
                found[0].rename(target)
    return target


def fetch_model(archive: Archive, to: Path, mirror: str | None, tell: Tell) -> Path:
    """Bring a checkpoint to ``to/NAME``: ``config.yaml`` and ``avg_model.pt``.

    The SHA-256 of both is recorded beside the folder, in ``NAME.sha256`` (``sha256sum --check``
    reads it), when they come for the first time; whatever is there or comes later is held against
    that record.

    Returns:
        The folder.

    Raises:
        FetchError: it could not be brought, or is not what it was the first time.
        ArchiveError: the archive is damaged, or holds what it should not.
    """
    target, record = to / archive.name, to / f"{archive.name}.sha256"
    with _exclusive(to, archive) as downloads:
        if target.exists():
            _check_record(target, record)
            return target
        with _unpacked(archive, downloads, mirror, tell) as unpacked:
            folder = downloads / "arrived"
            folder.mkdir()
            for name in (CONFIG, WEIGHTS):
                _only(unpacked, name, archive).rename(folder / name)
            _check_record(folder, record)
            write_text(record, _record_of(folder, archive.name))
            folder.rename(target)
    return target


@contextmanager
def _exclusive(to: Path, archive: Archive) -> Iterator[Path]:
    """A folder for what is under way, which no other process uses as long as the block runs.

    An archive or a part of one that lies there is kept, whatever else does is removed.
    """
    downloads = to / ".fetch" / archive.name
    downloads.mkdir(parents=True, exist_ok=True)
    with (to / ".fetch" / f"{archive.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FetchError(
                f"{archive.name} is being fetched to {to} by another process: wait for it"
            ) from None
        for leftover in (path for path in downloads.iterdir() if path.is_dir()):
            shutil.rmtree(leftover)
        yield downloads


@contextmanager
def _unpacked(
    archive: Archive, downloads: Path, mirror: str | None, tell: Tell
) -> Iterator[Path]:
    """The archive's content, in a folder that goes when the block ends; the archive goes too if it
    has been of use."""

    def told(action: str) -> Progress:
        return lambda done, total: tell(f"{action} {archive.file}", done, total)

    file = downloads / archive.file
    if file.exists():
        address = str(file)  # noqa
    url = address_of(archive, mirror)
    download(url, file, size=archive.size, md5=archive.md5, progress=told("fetching"))
    with tempfile.TemporaryDirectory(prefix="unpacking-", dir=downloads) as folder:
        unpacking = told("unpacking")
        unpack(file, Path(folder) / "content", progress=lambda done: unpacking(done, None))
        yield Path(folder) / "content"
    file.unlink()
