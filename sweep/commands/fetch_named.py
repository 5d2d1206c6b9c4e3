"""``sweep fetch``: download of corpora and checkpoints by name, complete or not at all."""

import fcntl
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

from jobs.downloads.archives import ArchiveError, unpack
from jobs.downloads.catalogue import (
    CORPORA,
    CORPORA_FOLDER,
    MODELS,
    MODELS_FOLDER,
    Archive,
    find_archive,
)
from jobs.downloads.connection import FetchError, read
from jobs.downloads.http import download
from jobs.identity import file_digest
from jobs.models.wespeaker.folders import CONFIG, WEIGHTS
from jobs.storage.atomic import write_text
from sweep.errors import UsageError

Report = Callable[[str, int, int | None], None]
"""Callback with an action, the bytes done, and their total."""

_LISTING_BYTES = 10_000_000


def fetch_corpus(archive: Archive, to: Path, mirror: str | None, report: Report) -> Path:
    """Download a LibriSpeech subset to ``to/NAME``, with the corpus' text files beside it.

    The archive is deleted once it is unpacked.

    Returns:
        The folder of the subset; existing files are left as they are.

    Raises:
        FetchError: it could not be downloaded.
        ArchiveError: the archive is damaged, or holds what it should not.
    """
    target = to / archive.name
    with _exclusive(to, archive) as downloads:
        if not target.exists():
            with _unpacked(archive, downloads, mirror, report) as unpacked:
                found = [path for path in unpacked.glob(f"*/{archive.name}") if path.is_dir()]
                if len(found) != 1:
                    raise FetchError(
                        f"{archive.file} is not the corpus that was expected: found {len(found)} "
                        f"folders CORPUS/{archive.name} in it, expected one; try another mirror"
                    )
                # SPEAKERS.TXT and similar files are in every subset's archive, and identical.
                for text in found[0].parent.glob("*.TXT"):
                    text.replace(to / text.name)
                found[0].rename(target)
    return target


def fetch_model(archive: Archive, to: Path, mirror: str | None, report: Report) -> Path:
    """Download a checkpoint to ``to/NAME``: ``config.yaml`` and ``avg_model.pt``.

    The SHA-256 of both is recorded beside the folder, in ``NAME.sha256`` (``sha256sum --check``
    reads it), on the first download; existing and later files are compared with that record.

    Returns:
        The folder.

    Raises:
        FetchError: it could not be downloaded, or differs from the first download.
        ArchiveError: the archive is damaged, or holds what it should not.
    """
    target, record = to / archive.name, to / f"{archive.name}.sha256"
    with _exclusive(to, archive) as downloads:
        if target.exists():
            _check_record(target, record)
            return target
        with _unpacked(archive, downloads, mirror, report) as unpacked:
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
    """Reserve a folder for unfinished downloads while the block runs.

    A complete or partial archive in it is kept; other files are removed.
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
    archive: Archive, downloads: Path, mirror: str | None, report: Report
) -> Iterator[Path]:
    """Unpack the archive into a folder that is deleted when the block ends.

    The archive is deleted as well, except after an interruption, when it can be reused.
    """
    file = downloads / archive.file
    # Killed during unpacking: the archive is complete, and no server is needed.
    url = str(file) if file.exists() else address_of(archive, mirror)
    download(
        url,
        file,
        size=archive.size,
        md5=archive.md5,
        progress=lambda done, total: report(f"fetching {archive.file}", done, total),
    )
    try:
        with tempfile.TemporaryDirectory(prefix="unpacking-", dir=downloads) as folder:
            content = Path(folder) / "content"
            action = f"unpacking {archive.file}"
            unpack(file, content, progress=lambda done: report(action, done, None))
            yield content
    except (ArchiveError, FetchError):
        file.unlink()
        raise
    file.unlink()


def address_of(archive: Archive, mirror: str | None) -> str:
    """Return the address of an archive: in ``mirror``, at its own address, or from its publisher's
    list.

    Raises:
        FetchError: the list cannot be read, or does not name it.
    """
    if mirror is not None:
        return f"{mirror.rstrip('/')}/{archive.file}"
    if archive.listing is None:
        return f"{archive.base}/{archive.file}"
    try:
        entries = json.loads(read(archive.listing, _LISTING_BYTES))["Data"]
        addresses = {str(entry["Key"]): str(entry["Url"]) for entry in entries}
    except (FetchError, ValueError, KeyError, TypeError) as error:
        raise FetchError(
            f"cannot read the list of addresses {archive.listing}: {error}; try again, or give a "
            f"folder with {archive.file} in it by --mirror"
        ) from error
    if archive.file not in addresses:
        raise FetchError(
            f"{archive.listing} does not name {archive.file}: expected it among its "
            f"{len(addresses)} files; give a folder with it by --mirror"
        )
    return addresses[archive.file]


def _only(unpacked: Path, name: str, archive: Archive) -> Path:
    """Find the file ``name`` in the archive's folder or directly in the archive."""
    # macOS adds a folder __MACOSX with a shadow of every file.
    found = [path for path in (*unpacked.glob(name), *unpacked.glob(f"*/{name}"))
             if path.is_file() and path.parent.name != "__MACOSX"]  # fmt: skip
    if len(found) != 1:
        raise FetchError(
            f"{archive.file} is no WeSpeaker checkpoint: found {len(found)} files {name} in it, "
            "expected one; try another mirror"
        )
    return found[0]


def _record_of(folder: Path, name: str) -> str:
    return "".join(f"{file_digest(folder / file)}  {name}/{file}\n" for file in (CONFIG, WEIGHTS))


def _check_record(folder: Path, record: Path) -> None:
    """Compare a checkpoint with the record of its first download, if there is one.

    Raises:
        FetchError: they differ.
    """
    name = record.name.removesuffix(".sha256")
    if record.exists() and record.read_text() != _record_of(folder, name):
        raise FetchError(
            f"{name} is not what came first: the SHA-256 of its files differs from {record}; "
            f"delete {record.parent / name} and fetch it again, or, if it is meant to have "
            f"changed, delete {record}"
        )


@contextmanager
def progress_on_stderr() -> Iterator[Report]:
    """Show a bar for every action on a terminal, else a line for every tenth."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Bar(*columns, console=console) as bar:
        tasks: dict[str, TaskID] = {}

        def report(action: str, done: int, total: int | None) -> None:
            if action not in tasks:
                tasks[action] = bar.add_task(action, total=total)
            bar.update(tasks[action], completed=done, total=total)

        yield report


class _Lines:
    """Progress without a terminal: a line at the start, and for every tenth of a known whole."""

    def __init__(self) -> None:
        self._last: tuple[str, int] | None = None

    def __call__(self, action: str, done: int, total: int | None) -> None:
        tenth = 10 * done // total if total else 0
        if self._last != (action, tenth):
            self._last = (action, tenth)
            share = f": {10 * tenth} % of {total / 1e6:.1f} MB" if total else ""
            print(f"{action}{share}", file=sys.stderr, flush=True)


def fetch(kind: Literal["corpus", "model"], name: str, to: Path | None, mirror: str | None) -> Path:
    """Download the entry ``name`` of the catalogue, with progress on standard error.

    Args:
        kind: which table of the catalogue.
        name: which of its entries.
        to: the destination folder; by default the catalogue's.
        mirror: address of a folder that has the archive; by default its publisher's.

    Raises:
        UsageError: nothing is called so.
        FetchError: it could not be brought.
        ArchiveError: the archive is damaged, or holds what it should not.
    """
    try:
        archive = find_archive(CORPORA if kind == "corpus" else MODELS, name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    bring = fetch_corpus if kind == "corpus" else fetch_model
    folder = to or (CORPORA_FOLDER if kind == "corpus" else MODELS_FOLDER)
    with progress_on_stderr() as report:
        try:
            return bring(archive, folder, mirror, report)
        except OSError as error:
            raise FetchError(f"cannot write to {folder}: {error}") from error
