"""Files with random damage: what disks, networks and half-finished copies make of them."""

import random


def damaged(data: bytes, random_: random.Random) -> bytes:
    """``data`` after one to three random injuries, half of them near its start: in its header."""
    for _ in range(random_.choice((1, 1, 1, 2, 3))):
        injury = random_.choice((_flip, _flip, _flip, _cut, _overwrite, _remove, _repeat, _number))
        data = injury(data, random_)
    return data


def _place(data: bytes, random_: random.Random) -> int:
    near_start = random_.random() < 0.5
    return random_.randrange(max(1, min(len(data), 128) if near_start else len(data)))


def _flip(data: bytes, random_: random.Random) -> bytes:
    if not data:
        return data
    changed, at = bytearray(data), _place(data, random_)
    changed[at] ^= 1 << random_.randrange(8)
    return bytes(changed)


def _cut(data: bytes, random_: random.Random) -> bytes:
    return data[: _place(data, random_)]


def _overwrite(data: bytes, random_: random.Random) -> bytes:
    """A block of zeros, of ones, or of noise, as a lost page or sector leaves it."""
    at, length = _place(data, random_), random_.choice((1, 4, 64, 512, 4096))
    length = min(length, len(data) - at)
    block = random_.choice((bytes(length), b"\xff" * length, random_.randbytes(length)))
    return data[:at] + block + data[at + length :]


def _remove(data: bytes, random_: random.Random) -> bytes:
    at = _place(data, random_)
    return data[:at] + data[at + random_.choice((1, 4, 512)) :]


def _repeat(data: bytes, random_: random.Random) -> bytes:
    at, length = _place(data, random_), random_.choice((1, 4, 512))
    return data[: at + length] + data[at:]


def _number(data: bytes, random_: random.Random) -> bytes:
    """A number at the edge of its range, where the header may have a size or a count."""
    at, size = _place(data, random_), random_.choice((2, 4, 8))
    value = random_.choice(
        (0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), 2 ** (8 * size - 1) - 1)
    )
    edge = value.to_bytes(size, random_.choice(("little", "big")))
    return data[:at] + edge + data[at + size :]
