"""Arrays in one compressed ``.npz`` without pickles, with a checksum over all of them.

The archive's own checksums find damaged bytes; that in the array ``sum`` finds an array that was
changed and written again. Files without it were written before there were checksums.
"""

import hashlib
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.storage.regular_files import DamagedFile

SUM = "sum"
Arrays = dict[str, npt.NDArray[Any]]
_DAMAGE = (
    LookupError, ValueError, TypeError, AttributeError, ArithmeticError, EOFError, RuntimeError,
    SyntaxError, struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError,
)  # fmt: skip
"""Errors that zipfile and numpy raise for damaged archives and arrays in memory."""


def save_npz(path: Path, arrays: Mapping[str, npt.ArrayLike]) -> None:
    """Write ``arrays`` and their checksum to ``path``."""
    converted = {name: np.asarray(values) for name, values in arrays.items()}
    np.savez_compressed(path, **converted, sum=np.array(_digest(converted)))  # type: ignore[arg-type]


def load_npz(data: bytes) -> tuple[Arrays, bool]:
    """Read the arrays of an archive.

    Returns:
        The arrays, and whether they had a checksum.

    Raises:
        DamagedFile: the archive is damaged, or its checksum is wrong.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            arrays = {
                # A member is read as a whole, so that its bytes are checked before its header is
                # believed.
                name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name)))
                for name in archive.namelist()
            }
        found = arrays.pop(SUM, None)
        if found is not None and str(found[()]) != _digest(arrays):
            raise DamagedFile("its checksum is wrong: something changed it after it was written")
    except DamagedFile:
        raise
    except _DAMAGE as error:
        raise DamagedFile(f"{type(error).__name__}: {error}") from error
    return arrays, found is not None


def _digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {values.dtype.str} {arrays[name].shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
