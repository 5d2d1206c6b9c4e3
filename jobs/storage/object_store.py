"""Files of a run that may lie on an object store: ``s3://``, ``gs://``.

With a plain path every function here is what ``jobs.storage.atomic`` and ``pathlib`` do. An
upload appears
whole or not at all, and once it returned every machine sees it (so S3 and Google Cloud Storage
promise): a manifest that is written last means the same as on a disk. What is read is kept by this
machine's `NearCache`, under the version that the store told of it.

Credentials, region and endpoint are those of the environment (``AWS_…``, an instance's role): no
URL, job or file of a run has any.
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

import fsspec

from jobs.storage import atomic
from jobs.storage.location import Location, RemotePath, Stat
from jobs.storage.node_cache import NearCache

_DIGESTS = ("ETag", "etag", "md5Hash")
"""What S3 and Google Cloud Storage call the digest of an object."""


class StorageError(OSError):
    """An object store did not do what it was asked for; later, it may."""


@dataclass(frozen=True)
class Part:
    """Some bytes of an object, as it was."""

    place: RemotePath
    state: Stat
    start: int
    stop: int
    """After the last."""

    @property
    def key(self) -> tuple[str, ...]:
        """Names it in the near cache."""
        return self.place.url, self.state.version, str(self.start), str(self.stop)


def stat(place: RemotePath) -> Stat:
    """What the store says of an object; of a file of a ``listed`` folder, what it said then.

    Raises:
        FileNotFoundError: there is none.
    """
    if place.listing is not None:
        if "" not in place.listing:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place.url)
        return place.listing[""]
    with _translated(place):
        return _stat_of(_filesystem(place).info(place.url))


def exists(place: Location) -> bool:
    """Whether there is a file."""
    if isinstance(place, Path):
        return place.exists()
    try:
        stat(place)
    except FileNotFoundError:
        return False
    return True


def size(place: Location) -> int:
    """Bytes of a file.

    Raises:
        FileNotFoundError: there is none.
    """
    return place.stat().st_size if isinstance(place, Path) else stat(place).n_bytes


def list_files(folder: RemotePath) -> dict[str, Stat]:
    """All files below ``folder``, at any depth, by their names relative to it."""
    filesystem = _filesystem(folder)
    root = filesystem._strip_protocol(folder.url).rstrip("/")
    with _translated(folder):
        try:
            found = filesystem.find(folder.url, detail=True)
        except FileNotFoundError:
            return {}
    return {name[len(root) + 1 :]: _stat_of(info) for name, info in found.items()}


def listed(folder: RemotePath) -> RemotePath:
    """``folder``, to be looked into many times: what is in it was asked for once."""
    return RemotePath(folder.url, list_files(folder))


def read_bytes(place: Location) -> bytes:
    """A file's content.

    Raises:
        FileNotFoundError: there is none.
    """
    if isinstance(place, Path):
        return place.read_bytes()
    return read_parts([whole(place)])[0]


def read_now(place: RemotePath, start: int | None = None, stop: int | None = None) -> bytes:
    """An object's content, or some bytes of it, as it is now; this machine keeps nothing of it.

    For what changes all the time, such as a lease.

    Raises:
        FileNotFoundError: there is none.
    """
    with _translated(place):
        return bytes(_filesystem(place).cat_file(place.url, start=start, end=stop))


def whole(place: RemotePath) -> Part:
    """All of an object, as it is.

    Raises:
        FileNotFoundError: there is none.
    """
    state = stat(place)
    return Part(place, state, 0, state.n_bytes)


def open_file(place: Location) -> BinaryIO:
    """A file, to be read.

    Raises:
        FileNotFoundError: there is none.
    """
    return place.open("rb") if isinstance(place, Path) else io.BytesIO(read_bytes(place))


@contextmanager
def written(place: Location) -> Iterator[Path]:
    """A path to write to; what was written is at ``place``, whole, when the block succeeded."""
    if isinstance(place, Path):
        with atomic.atomic_path(place) as temporary:
            yield temporary
        return
    with tempfile.TemporaryDirectory(prefix="sweep-upload-") as folder:
        temporary = Path(folder) / place.name
        yield temporary
        upload(temporary, place)


def write_text(place: Location, text: str) -> None:
    """Write ``text``, whole or not at all, as UTF-8."""
    if isinstance(place, Path):
        atomic.write_text(place, text)
        return
    with _translated(place):
        _filesystem(place).pipe_file(place.url, text.encode())


def create(place: RemotePath, data: bytes) -> None:
    """Write what must not be there yet.

    Raises:
        FileExistsError: it is; of several that create it at one time one succeeds.
    """
    with _translated(place):
        _filesystem(place).pipe_file(place.url, data, mode="create")


def upload(path: Path, place: RemotePath) -> None:
    """Copy a file of this machine to the store."""
    with _translated(place):
        _filesystem(place).put_file(str(path), place.url)


def download(place: RemotePath, path: Path) -> None:
    """Copy an object to a file of this machine, atomically; nothing is kept of it elsewhere."""
    with atomic.atomic_path(path) as temporary, _translated(place):
        _filesystem(place).get_file(place.url, str(temporary))


def remove(place: Location) -> None:
    """Delete a file; it may be gone already."""
    if isinstance(place, Path):
        place.unlink(missing_ok=True)
        return
    with _translated(place):
        try:
            _filesystem(place).rm_file(place.url)
        except FileNotFoundError:
            return


def rename(place: Location, name: str) -> Location:
    """Give a file another name in its folder; its new place."""
    if isinstance(place, Path):
        return place.replace(place.with_name(name))
    new = place.parent / name
    with _translated(place):
        _filesystem(place).cp_file(place.url, new.url)
    remove(place)
    return new


def remove_folder(folder: Location) -> None:
    """Delete a folder with all in it; it may be gone already."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    for name in list_files(folder):
        remove(folder / name)


def read_parts(parts: Sequence[Part]) -> list[bytes]:
    """Parts of objects of one store, in their order; what this machine has not is fetched at once.

    Raises:
        FileNotFoundError: an object is gone.
    """
    near = NearCache.of_this_machine()
    found = {part: near.read(*part.key) if part.stop > part.start else b"" for part in parts}
    missing = [part for part, data in found.items() if data is None]
    if missing:
        with _translated(missing[0].place.parent):
            fetched = _filesystem(missing[0].place).cat_ranges(
                [part.place.url for part in missing],
                [part.start for part in missing],
                [part.stop for part in missing],
                on_error="raise",
            )
        keep = near.make_room(sum(map(len, fetched)))
        for part, data in zip(missing, fetched, strict=True):
            found[part] = bytes(data)
            if keep:
                near.keep(bytes(data), *part.key)
    return [data for part in parts if (data := found[part]) is not None]


def forget_part(part: Part) -> None:
    """Drop what this machine keeps of it: it is damaged, here or on the store."""
    NearCache.of_this_machine().forget(*part.key)


def _filesystem(place: RemotePath) -> Any:
    protocol = place.url.partition("://")[0]
    options = {"auto_mkdir": True} if protocol == "file" else {}
    # Other machines write, too: what was listed a minute ago is not what is there.
    return fsspec.filesystem(protocol, use_listings_cache=False, **options)


def _stat_of(info: dict[str, Any]) -> Stat:
    """By content where the store tells a digest, as S3 and Google do; else by times."""
    told = [info[key] for key in _DIGESTS if key in info][:1]
    told = told or [info.get(key) for key in ("ino", "mtime", "created")]
    version = repr([info["size"], *map(str, told)])
    return Stat(int(info["size"]), version)


@contextmanager
def _translated(place: RemotePath) -> Iterator[None]:
    """What a store's client raises, as an ``OSError`` that every process can read.

    Clients have errors of their own, of packages that may not be installed where they end up.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place.url) from error
    except FileExistsError as error:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place.url) from error
    except Exception as error:  # of botocore, aiohttp, gcsfs, …
        if isinstance(error, OSError) and error.errno in atomic.DISK_FULL:
            raise  # this machine's disk
        raise StorageError(f"{place.url}: {type(error).__name__}: {error}") from error
