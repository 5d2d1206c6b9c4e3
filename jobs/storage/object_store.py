"""File operations on a disk or an object store (``s3://``, ``gs://``).

With a plain path every function does what ``jobs.storage.atomic`` and ``pathlib`` do. On a store,
an upload is atomic and visible to every machine once it returns (guaranteed by S3 and Google Cloud
Storage), so a manifest that is written last means the same as on a disk. Objects that are read are
kept in this machine's `NodeCache`, keyed by the version that the store reports.

Credentials, region and endpoint come from the environment (``AWS_…``, an instance's role); URLs,
jobs and files of a run contain none.
"""

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from jobs.storage import atomic
from jobs.storage.location import Location, RemotePath, Stat
from jobs.storage.node_cache import NodeCache
from jobs.storage.regular_files import open_regular, read_regular

_DIGESTS = ("ETag", "etag", "md5Hash")
"""Names of an object's digest in the metadata of S3 and Google Cloud Storage."""


class StorageError(OSError):
    """A request to an object store failed; it may succeed later."""


@dataclass(frozen=True)
class Part:
    """A byte range of an object in one of its versions."""

    place: RemotePath
    state: Stat
    start: int
    stop: int
    """Offset after the last byte."""

    @property
    def key(self) -> tuple[str, ...]:
        """Key of the part in the node cache."""
        return self.place.url, self.state.version, str(self.start), str(self.stop)


def stat(place: RemotePath) -> Stat:
    """Return size and version of an object, from the listing of a folder ``with_listing``.

    Raises:
        FileNotFoundError: there is none.
    """
    if place.listing is not None:
        if "" not in place.listing:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place.url)
        return place.listing[""]
    with _os_errors(place):
        return _stat_of(_filesystem(place).info(place.url))


def exists(place: Location) -> bool:
    """Return whether a file exists."""
    if isinstance(place, Path):
        return place.exists()
    try:
        stat(place)
    except FileNotFoundError:
        return False
    return True


def size(place: Location) -> int:
    """Return the size of a file in bytes.

    Raises:
        FileNotFoundError: there is none.
    """
    return place.stat().st_size if isinstance(place, Path) else stat(place).n_bytes


def list_files(folder: RemotePath) -> dict[str, Stat]:
    """Return all files below ``folder``, at any depth, keyed by their path relative to it."""
    filesystem = _filesystem(folder)
    root = filesystem._strip_protocol(folder.url).rstrip("/")
    with _os_errors(folder):
        try:
            found = filesystem.find(folder.url, detail=True)
        except FileNotFoundError:
            return {}
    return {name[len(root) + 1 :]: _stat_of(info) for name, info in found.items()}


def with_listing(folder: RemotePath) -> RemotePath:
    """List ``folder`` once and return it with the listing, for many look-ups."""
    return RemotePath(folder.url, list_files(folder))


def read_bytes(place: Location) -> bytes:
    """Read the content of a file.

    Raises:
        FileNotFoundError: there is none.
        DamagedFile: it is a folder, a pipe or a device.
    """
    if isinstance(place, Path):
        return read_regular(place)
    return read_parts([whole_object(place)])[0]


def read_uncached(place: RemotePath, start: int | None = None, stop: int | None = None) -> bytes:
    """Read an object, or some of its bytes, bypassing the node cache.

    It is for objects that change often, such as a lease.

    Raises:
        FileNotFoundError: there is none.
    """
    with _os_errors(place):
        return bytes(_filesystem(place).cat_file(place.url, start=start, end=stop))


def whole_object(place: RemotePath) -> Part:
    """Return the current version of an object as one part.

    Raises:
        FileNotFoundError: there is none.
    """
    state = stat(place)
    return Part(place, state, 0, state.n_bytes)


def open_file(place: Location) -> BinaryIO:
    """Open a file for reading; an object is read into memory.

    Raises:
        FileNotFoundError: there is none.
        DamagedFile: it is a folder, a pipe or a device.
    """
    return open_regular(place) if isinstance(place, Path) else io.BytesIO(read_bytes(place))


@contextmanager
def atomic_path(place: Location) -> Iterator[Path]:
    """Yield a temporary path whose file is moved or uploaded to ``place`` if the block succeeds."""
    if isinstance(place, Path):
        with atomic.atomic_path(place) as temporary:
            yield temporary
        return
    with tempfile.TemporaryDirectory(prefix="sweep-upload-") as folder:
        temporary = Path(folder) / place.name
        yield temporary
        upload(temporary, place)


def write_text(place: Location, text: str) -> None:
    """Write ``text`` atomically, as UTF-8."""
    if isinstance(place, Path):
        atomic.write_text(place, text)
        return
    with _os_errors(place):
        _filesystem(place).pipe_file(place.url, text.encode())


def create(place: RemotePath, data: bytes) -> None:
    """Create an object that must not exist yet.

    Raises:
        FileExistsError: it exists; of several concurrent calls exactly one succeeds.
    """
    with _os_errors(place):
        _filesystem(place).pipe_file(place.url, data, mode="create")


def upload(path: Path, place: RemotePath) -> None:
    """Copy a local file to the store."""
    with _os_errors(place):
        _filesystem(place).put_file(str(path), place.url)


def download(place: RemotePath, path: Path) -> None:
    """Copy an object to a local file, atomically, bypassing the node cache."""
    with atomic.atomic_path(path) as temporary, _os_errors(place):
        _filesystem(place).get_file(place.url, str(temporary))


def remove(place: Location) -> None:
    """Delete a file if it exists."""
    if isinstance(place, Path):
        place.unlink(missing_ok=True)
        return
    with _os_errors(place):
        try:
            _filesystem(place).rm_file(place.url)
        except FileNotFoundError:
            return


def rename(place: Location, name: str) -> Location:
    """Rename a file within its folder; return its new location."""
    if isinstance(place, Path):
        return place.replace(place.with_name(name))
    new = place.parent / name
    with _os_errors(place):
        _filesystem(place).cp_file(place.url, new.url)
    remove(place)
    return new


def remove_folder(folder: Location) -> None:
    """Delete a folder and its content if it exists."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    for name in list_files(folder):
        remove(folder / name)


def read_parts(parts: Sequence[Part]) -> list[bytes]:
    """Read parts of objects of one store, in order; all that are not cached are fetched together.

    Raises:
        FileNotFoundError: an object is gone.
    """
    cache = NodeCache.of_this_machine()
    found = {part: cache.read(*part.key) if part.stop > part.start else b"" for part in parts}
    missing = [part for part, data in found.items() if data is None]
    if missing:
        with _os_errors(missing[0].place.parent):
            fetched = _filesystem(missing[0].place).cat_ranges(
                [part.place.url for part in missing],
                [part.start for part in missing],
                [part.stop for part in missing],
                on_error="raise",
            )
        keep = cache.make_room(sum(map(len, fetched)))
        for part, data in zip(missing, fetched, strict=True):
            found[part] = bytes(data)
            if keep:
                cache.keep(bytes(data), *part.key)
    return [data for part in parts if (data := found[part]) is not None]


def forget_part(part: Part) -> None:
    """Remove a part that turned out to be damaged from the node cache."""
    NodeCache.of_this_machine().forget(*part.key)


def _filesystem(place: RemotePath) -> Any:
    protocol = place.url.partition("://")[0]
    options = {"auto_mkdir": True} if protocol == "file" else {}
    # Other machines write as well, so a cached listing could be out of date.
    import fsspec  # verbs that read a run on a disk do without

    return fsspec.filesystem(protocol, use_listings_cache=False, **options)


def _stat_of(info: dict[str, Any]) -> Stat:
    """Identify the version by the digest if the store reports one (S3, Google), else by times."""
    digests = [info[key] for key in _DIGESTS if key in info][:1]
    digests = digests or [info.get(key) for key in ("ino", "mtime", "created")]
    version = repr([info["size"], *map(str, digests)])
    return Stat(int(info["size"]), version)


@contextmanager
def _os_errors(place: RemotePath) -> Iterator[None]:
    """Convert errors of a store's client to ``OSError``.

    Clients raise types of their own, which a process without their package could not unpickle.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place.url) from error
    except FileExistsError as error:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place.url) from error
    except Exception as error:  # botocore, aiohttp, gcsfs, … share no base class
        if isinstance(error, OSError) and error.errno in atomic.DISK_FULL:
            raise  # this machine's disk is full
        raise StorageError(f"{place.url}: {type(error).__name__}: {error}") from error
