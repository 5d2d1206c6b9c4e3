"""Read the study's own embeddings: a list of dicts, pickled into an ``.npy`` file.

Loading a pickle can run arbitrary code. The unpickler here accepts only the names of an array, its
dtype and a number, and replaces them by stand-ins, so that not even numpy code runs before the
values are checked.

Legend: U utterances, D width of the embedding.
"""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

KEYS = ("path", "embedding", "label")
DEEPEST = 6
"""Deepest nesting: an array of dicts of arrays of numbers; a pickled array counts twice."""
_NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
_UNREADABLE = (
    pickle.UnpicklingError, ValueError, TypeError, AttributeError, EOFError, IndexError, KeyError,
    OverflowError, MemoryError, RecursionError,
)  # fmt: skip


@dataclass(frozen=True)
class StudyEmbeddings:
    """The embeddings and labels of the study's task 2."""

    paths: tuple[str, ...]
    """U paths of the audio."""
    embeddings: npt.NDArray[np.float32]
    """(U, D)"""
    labels: npt.NDArray[np.float64]
    """(U,)"""


def read_study_embeddings(path: Path) -> StudyEmbeddings:
    """Read an ``.npy`` file of dicts with the keys ``path``, ``embedding`` and ``label``.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is something else, or it holds more than arrays, lists, dicts, text
            and numbers; no code of it was run.
    """
    with path.open("rb") as file:
        try:
            _check_header(file)
            entries = _plain(_Unpickler(file).load())
            return _joined(entries)
        except _UNREADABLE as error:
            raise ValueError(
                f"{path} is not a file of the study's embeddings: expected an .npy with dicts of "
                f"{', '.join(KEYS)}, and nothing but arrays, text and numbers in them; found: "
                f"{error or type(error).__name__}"
            ) from error


def _check_header(file: IO[bytes]) -> None:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f".npy format {version}")
    read = np.lib.format.read_array_header_1_0
    if version == (2, 0):
        read = np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if not dtype.hasobject:
        raise ValueError(f"an array of {dtype}, shape {shape}; np.load reads that")


class _Dtype:
    """A pickled ``numpy.dtype``: its code and byte order."""

    def __init__(self, code: object, align: object = False, copy: object = False) -> None:
        self.code = str(code).lstrip("<>|=")
        self.order = "="
        if self.code not in _NUMBERS and not self.is_object:
            raise pickle.UnpicklingError(f"values of the type {code!r}")

    @property
    def is_object(self) -> bool:
        return self.code in ("O", "O8")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, *structure = state
        if order not in ("<", ">", "|", "=") or any(field is not None for field in structure[:3]):
            raise pickle.UnpicklingError("a structured dtype")
        self.order = str(order)

    def numbers(self, data: object) -> npt.NDArray[Any]:
        """Decode (n,) values from raw bytes."""
        if not isinstance(data, bytes):
            raise pickle.UnpicklingError("an array without bytes")
        return np.frombuffer(data, dtype=np.dtype(f"{self.order}{self.code}"))


class _Array:
    """A pickled array: its shape, dtype, order and values."""

    def __init__(self, subtype: object, shape: object, code: object) -> None:
        if subtype != _NDARRAY:
            raise pickle.UnpicklingError("a subclass of numpy.ndarray")
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def value(self, depth: int) -> Any:
        _, shape, dtype, fortran, data = self.state
        if not isinstance(dtype, _Dtype):
            raise pickle.UnpicklingError("an array without a dtype")
        if dtype.is_object:
            return _plain(data, depth + 1)
        return dtype.numbers(data).reshape(shape, order="F" if fortran else "C")


class _Scalar:
    """A pickled numpy number."""

    def __init__(self, dtype: object, data: object) -> None:
        if not isinstance(dtype, _Dtype) or dtype.is_object:
            raise pickle.UnpicklingError("a number without a dtype")
        self.dtype, self.data = dtype, data

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a number with a state")

    def value(self) -> float:
        return float(self.dtype.numbers(self.data).item())


_NDARRAY = "numpy.ndarray"
"""Stands for the class in a pickle; a string cannot be called."""
_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Dtype,
    **{
        (f"numpy.{core}.multiarray", name): stand_in
        for core in ("core", "_core")
        for name, stand_in in (("_reconstruct", _Array), ("scalar", _Scalar))
    },
}


class _Unpickler(pickle.Unpickler):
    """Refuses every name except those that arrays of numbers are pickled with."""

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")
        return _KNOWN[module, name]


def _plain(value: Any, depth: int = 0) -> Any:
    """Replace stand-ins in ``value`` by numpy values."""
    if depth > DEEPEST:
        raise ValueError("values nested deeper than a list of dicts of arrays")
    if isinstance(value, _Array):
        return value.value(depth)
    if isinstance(value, _Scalar):
        return value.value()
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, str | int | float):
        return value
    raise ValueError(f"a {type(value).__name__}")


def _joined(entries: Any) -> StudyEmbeddings:
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise ValueError("not a list of dicts")
    for row, one in enumerate(entries):
        missing = [key for key in KEYS if key not in one]
        if missing:
            raise ValueError(f"entry {row} has no {', '.join(missing)}")
        if not isinstance(one["path"], str):
            raise ValueError(f"the path of entry {row} is not text")
    vectors = [np.asarray(one["embedding"], dtype=np.float32) for one in entries]
    return StudyEmbeddings(
        paths=tuple(one["path"] for one in entries),
        embeddings=_stacked(vectors),
        labels=np.array([float(one["label"]) for one in entries], dtype=np.float64),
    )


def _stacked(vectors: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Stack vectors of one width as rows; (1, D), a batch of one, counts as a vector."""
    rows = [vector.reshape(-1) if vector.ndim == 2 and len(vector) == 1 else vector
            for vector in vectors]  # fmt: skip
    shapes = sorted({row.shape for row in rows})
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise ValueError(f"embeddings of the shapes {', '.join(map(str, shapes))}")
    return np.stack(rows) if rows else np.empty((0, 0), dtype=np.float32)
