"""What stands in a MATLAB file of version 5 to 7, looked at before SciPy reads it: SciPy trusts it to the last byte.

A file is a header of 128 bytes and variables, each an element: its type and number of bytes (4 bytes each), then its
content, which may be one compressed element. A variable's content are elements again: flags, dimensions, name, numbers.
Source: MathWorks, "MAT-File Format", version 5.
"""

import math
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

MATRIX, COMPRESSED = 14, 15
INT32, UINT32, TEXTS = 5, 6, (1, 2, 16)  # types of dimensions, of flags, of names
SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # bytes of a number of each type
NUMERIC = range(6, 16)  # classes: double, single, and integers of 8 to 64 bits
OPAQUE = 17  # a class, of objects such as strings and tables: they have no dimensions
COMPLEX = 0x08  # a flag
DENSEST = 1032  # bytes that zlib makes of one, at most
HEAD = 4096  # bytes of a variable that hold all before its numbers


class Element(NamedTuple):
    """One element: its type, its number of bytes, where its content begins, and where the next element does."""

    kind: int
    size: int
    start: int
    end: int


def list_arrays(path: str | Path) -> list[str]:
    """The names of the real numeric arrays of the file; raises `ValueError` where it says what cannot be."""
    length = Path(path).stat().st_size
    with open(path, "rb") as file:
        order = {b"IM": "<", b"MI": ">"}.get(file.read(128)[126:])
        if order is None:
            raise ValueError("no byte order in its header")
        at, names = 128, []
        while at < length:
            file.seek(at)
            outer = element(file.read(8), 0, order)
            if outer.kind not in (MATRIX, COMPRESSED) or at + 8 + outer.size > length:
                raise ValueError(f"no variable at byte {at}")
            content = file.read(min(outer.size, HEAD))
            room = outer.size
            if outer.kind == COMPRESSED:
                content = zlib.decompressobj().decompress(content, HEAD)
                inner = element(content, 0, order)
                content, room = content[8:], min(inner.size, DENSEST * outer.size)
                if inner.kind != MATRIX or inner.size > room:
                    raise ValueError(f"no variable at byte {at}")
            names += read_name(content, room, order)
            at += 8 + outer.size
    return names


def read_name(content: bytes, room: int, order: str) -> list[str]:
    """The name of a variable that is a real numeric array, in a list that is empty for all others.

    `content` are its first bytes, `room` how many there are in all.
    """
    flags = element(content, 0, order)
    if flags.kind != UINT32 or flags.size != 8 or len(content) < flags.end:
        raise ValueError("a variable without flags")
    word = struct.unpack_from(order + "I", content, flags.start)[0]
    if word & 0xFF == OPAQUE:
        return []
    dimensions = element(content, flags.end, order)
    name = element(content, dimensions.end, order)
    right = dimensions.kind == INT32 and dimensions.size % 4 == 0 and 8 <= dimensions.size <= 4 * 32
    if not right or name.kind not in TEXTS:
        raise ValueError("a variable without dimensions or name")
    if len(content) < dimensions.end:
        raise ValueError("cut off within a variable")
    shape = struct.unpack_from(f"{order}{dimensions.size // 4}i", content, dimensions.start)
    if word & 0xFF not in range(1, 19) or min(shape) < 0:
        raise ValueError(f"a variable of class {word & 0xFF} and shape {shape}")
    if word & 0xFF not in NUMERIC or word >> 8 & COMPLEX:
        return []
    numbers = element(content, name.end, order)
    if numbers.kind not in SIZES or numbers.size != math.prod(shape) * SIZES[numbers.kind] or numbers.size > room:
        raise ValueError(f"a variable of shape {shape} with {numbers.size} bytes of numbers")
    return [content[name.start : name.start + name.size].decode("latin-1")]


def element(content: bytes, at: int, order: str) -> Element:
    """The element that begins at a byte. Up to 4 bytes stand in the tag itself, their number in its upper half."""
    if len(content) < at + 8:
        raise ValueError("cut off within a variable")
    kind, size = struct.unpack_from(order + "II", content, at)
    if kind >> 16:
        kind, size = kind & 0xFFFF, kind >> 16
        if size > 4:
            raise ValueError(f"{size} bytes in a tag that holds 4")
        return Element(kind, size, at + 4, at + 8)
    return Element(kind, size, at + 8, at + 8 + -(-size // 8) * 8)
