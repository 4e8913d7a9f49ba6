"""Compressed bodies: any chunking opens alike, nothing opens to more than a piece at once."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.engine.inflate import PIECE, Inflate, Undecodable


@given(st.binary(max_size=2000), st.integers(1, 50), st.sampled_from(["gzip", "deflate"]), st.integers(0, 9))
def test_any_chunking_opens_alike(data: bytes, step: int, encoding: str, level: int) -> None:
    packed = gzip.compress(data, level) if encoding == "gzip" else zlib.compress(data, level)
    inflate = Inflate(encoding)

    out = [piece for at in range(0, len(packed), step) for piece in inflate.feed(packed[at : at + step])]
    inflate.end()

    assert data == b"".join(out)


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 10 * PIECE])
def test_a_bomb_opens_piece_by_piece(size: int) -> None:
    inflate = Inflate("gzip")

    sizes = [len(piece) for piece in inflate.feed(gzip.compress(b"x" * size))]
    inflate.end()

    assert size == sum(sizes)
    assert PIECE >= max(sizes)


@given(st.binary(max_size=100), st.sampled_from(["gzip", "deflate"]))
def test_no_bytes_do_harm(noise: bytes, encoding: str) -> None:
    inflate = Inflate(encoding)

    try:
        list(inflate.feed(noise))
        inflate.end()
    except Undecodable:
        pass


def test_an_empty_body_is_empty_in_any_encoding() -> None:
    inflate = Inflate("gzip")

    assert [] == list(inflate.feed(b""))
    inflate.end()
