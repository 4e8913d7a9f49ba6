"""Embeddings that depend on the text alone: unit vectors, equal for equal texts."""

from __future__ import annotations

import hashlib
import math
import struct

_MOST = 16_384


def vector(text: str, dimensions: int) -> list[float]:
    """`dimensions` numbers, made of hashes, of length 1, each exact in 32 bits."""
    dimensions = max(1, min(dimensions, _MOST))
    digest = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(dimensions * 2)
    raw = [whole / 32768 for whole in struct.unpack(f"<{dimensions}h", digest)]
    length = math.sqrt(sum(number * number for number in raw)) or 1.0
    packed = struct.pack(f"<{dimensions}f", *(number / length for number in raw))
    return list(struct.unpack(f"<{dimensions}f", packed))


def packed(numbers: list[float]) -> bytes:
    """The numbers as little-endian 32-bit floats."""
    return struct.pack(f"<{len(numbers)}f", *numbers)
