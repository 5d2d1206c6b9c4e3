"""Locations of files and folders of a run: paths or URLs.

Operations on them are in ``jobs.storage.object_store``.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from jobs.optional_packages import GCSFS, S3FS

LONGEST_NAME = 255
"""Bytes of the name of a file, on all common file systems."""
PROTOCOLS = ("s3", "gs", "file", "memory")
"""``file`` and ``memory`` (of one process) are for tests."""
NEEDS = {"s3": S3FS, "gs": GCSFS}
"""Protocol → the package that it requires."""


class LocationError(ValueError):
    """A URL that cannot be used as a location."""


@dataclass(frozen=True)
class Stat:
    """A store's facts about an object."""

    n_bytes: int
    version: str
    """Changes with the content."""


@dataclass(frozen=True)
class RemotePath:
    """A URL that behaves like a path as far as a run needs it."""

    url: str
    listing: dict[str, Stat] | None = field(default=None, compare=False, repr=False)
    """Contents of a folder ``with_listing`` by name; for a file in it, only itself, with the name
    ""."""

    def __truediv__(self, name: str | Path) -> "RemotePath":
        if self.listing is None:
            return RemotePath(f"{self.url}/{name}")
        found = self.listing.get(str(name))
        return RemotePath(f"{self.url}/{name}", {} if found is None else {"": found})

    def __str__(self) -> str:
        return self.url

    def absolute(self) -> "RemotePath":
        """Return itself: a URL is always absolute."""
        return self

    @property
    def name(self) -> str:
        """The part after the last slash."""
        return self.url.rpartition("/")[2]

    @property
    def parent(self) -> "RemotePath":
        """The part before the last slash."""
        return RemotePath(self.url.rpartition("/")[0])


Location: TypeAlias = Path | RemotePath


def parse_location(text: str | Path) -> Location:
    """Parse a location given by a user: a path or a URL.

    Raises:
        LocationError: a URL of a kind that cannot be used, or with a password in it.
    """
    if isinstance(text, Path) or "://" not in text:
        if any(len(os.fsencode(part)) > LONGEST_NAME for part in Path(text).parts):
            raise LocationError(f"{text}: the name of a folder has at most {LONGEST_NAME} bytes")
        return Path(text)
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise LocationError(f"{text} is not a URL: {error}") from None
    if parts.scheme not in PROTOCOLS:
        raise LocationError(f"{parts.scheme}:// is not known: expected a path, s3:// or gs://")
    if parts.username is not None or parts.query or parts.fragment:
        raise LocationError(
            f"{parts.scheme}:// with a user, a query or a fragment: expected BUCKET/FOLDER alone; "
            "credentials come from the environment"
        )
    if parts.scheme in NEEDS and not (parts.netloc and parts.path.strip("/")):
        raise LocationError(f"{text} names no folder: expected {parts.scheme}://BUCKET/FOLDER")
    missing = NEEDS[parts.scheme].missing() if parts.scheme in NEEDS else None
    if missing is not None:
        raise LocationError(f"{text}: {missing}, on every machine that works")
    return RemotePath(text.rstrip("/"))
