"""Safe unpacking of untrusted archives: nothing is written outside the target folder.

Only regular files and folders are written. Links are refused altogether: no archive that is fetched
here has any, and the link checks of ``tarfile``'s own filter have been bypassed more than once
(CVE-2025-4138, CVE-2025-4517).
"""

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

_BLOCK = 1 << 20
_MAX_RATIO = 20
"""Speech and weights hardly compress: a higher ratio indicates a decompression bomb."""
_MIN_LIMIT = 100_000_000
_MAX_MEMBERS = 2_000_000
_MAX_PADDING = 64 * _BLOCK
"""Bytes that are read after the end of a tar."""
_DAMAGED = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
)


class ArchiveError(ValueError):
    """An archive that is damaged or has unsafe content, and was not unpacked."""


@dataclass(frozen=True)
class _Member:
    name: str
    is_folder: bool
    is_file: bool
    size: int
    """Size declared by the archive; it is checked against the bytes written."""
    open: Callable[[], IO[bytes] | None]


def unpack(
    archive: Path,
    folder: Path,
    *,
    max_bytes: int | None = None,
    progress: Callable[[int], None] = lambda written: None,
) -> None:
    """Unpack a ``.tar.gz``, ``.tar`` or ``.zip`` into ``folder``, which must be empty or absent.

    Args:
        archive: file whose type is detected from its content.
        folder: target folder; if unpacking fails, it is incomplete and should be deleted.
        max_bytes: limit of all files together; by default 20 times the archive, but at least
            100 MB.
        progress: called with the number of bytes written so far.

    Raises:
        ArchiveError: the archive is damaged, neither tar nor zip, or contains a path outside the
            folder, a link, a device, a duplicate name, or more than ``max_bytes``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ArchiveError(
            f"{folder} is not empty: {archive.name} must be unpacked into a new folder"
        )
    limit = max(_MIN_LIMIT, _MAX_RATIO * archive.stat().st_size) if max_bytes is None else max_bytes
    try:
        _unpack(archive, folder, limit, progress)
    except _DAMAGED as error:
        raise ArchiveError(
            f"{archive} is damaged, or neither tar nor zip: {error}; fetch it again"
        ) from error


def _unpack(archive: Path, folder: Path, limit: int, progress: Callable[[int], None]) -> None:
    written = 0
    members = _zip_members if zipfile.is_zipfile(archive) else _tar_members
    for number, member in enumerate(members(archive)):
        parts = _safe_parts(archive, member)
        if number >= _MAX_MEMBERS or written + member.size > limit:
            raise ArchiveError(
                f"{archive.name} unpacks to more than {limit} bytes or {_MAX_MEMBERS} files, and "
                "was not unpacked: expected speech or weights, which hardly compress"
            )
        target = folder.joinpath(*parts)
        try:
            if member.is_folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            written += _write(archive, member, target)
        except (FileExistsError, NotADirectoryError) as error:
            raise ArchiveError(
                f"{archive.name} contains {member.name!r} twice: do not use it"
            ) from error
        progress(written)


def _tar_members(archive: Path) -> Iterator[_Member]:
    """Yield the members in archive order; each must be read before the next."""
    with archive.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if compressed else raw  # type: ignore[assignment]
        with stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for info in tar:
                yield _Member(
                    name=info.name,
                    is_folder=info.isdir(),
                    is_file=info.isreg() and not info.issparse(),
                    size=info.size,
                    open=lambda info=info: tar.extractfile(info),  # type: ignore[misc]
                )
            # tarfile stops before gzip's checksum, the only check that detects a flipped bit.
            for _ in range(_MAX_PADDING // _BLOCK):
                if not stream.read(_BLOCK):
                    break


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            encrypted = bool(info.flag_bits & 1)
            yield _Member(
                name=info.filename,
                is_folder=info.is_dir(),
                is_file=kind in (0, stat.S_IFREG) and not encrypted,
                size=info.file_size,
                open=lambda info=info: packed.open(info),  # type: ignore[misc]
            )


def _safe_parts(archive: Path, member: _Member) -> tuple[str, ...]:
    """Return the parts of a member's path after checking that it stays inside the folder.

    Raises:
        ArchiveError: it does not, or the member is not a regular file or folder.
    """
    path = PurePosixPath(member.name)
    unsafe = path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name
    if unsafe or not path.parts:
        if member.is_folder and not unsafe:
            return ()
        raise ArchiveError(
            f"{archive.name} contains the path {member.name!r}, which leads out of its folder, "
            "and was not unpacked: do not use it"
        )
    if not member.is_folder and not member.is_file:
        raise ArchiveError(
            f"{archive.name} contains {member.name!r}, which is not a plain file (a link, device, "
            "or encrypted), and was not unpacked: expected files and folders"
        )
    return path.parts


def _write(archive: Path, member: _Member, target: Path) -> int:
    """Write one file and return its size.

    Raises:
        ArchiveError: the size differs from the declared one.
    """
    size = 0
    source = member.open()
    assert source is not None
    with source, target.open("xb") as file:
        while block := source.read(_BLOCK):
            size += len(block)
            if size > member.size:
                break
            file.write(block)
    if size != member.size:
        raise ArchiveError(
            f"{archive} is damaged: {member.name!r} is not {member.size} bytes long, as declared; "
            "fetch it again"
        )
    return size
