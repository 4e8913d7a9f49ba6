from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.testing.strategies import chunkings
from relay.wire.framing import Frame, FrameTooLarge, PieceFramer, WholeFramer


@given(st.data(), st.binary(max_size=60))
def test_a_whole_body_is_one_frame_at_its_end(data: st.DataObject, body: bytes) -> None:
    framer = WholeFramer()

    early = [frame for chunk in data.draw(chunkings(body)) for frame in framer.feed(chunk)]
    held = framer.pending
    frames = framer.end()

    assert [] == early
    assert len(body) == held
    assert [body] * bool(body) == [frame.raw for frame in frames]
    assert [body] * bool(body) == [frame.data for frame in frames]
    assert [] == framer.end()


def test_a_body_larger_than_the_limit_is_refused() -> None:
    framer = WholeFramer(limit=10)
    framer.feed(b"x" * 10)

    with pytest.raises(FrameTooLarge, match="more than 10 bytes"):
        framer.feed(b"x")


@given(st.data(), st.binary(max_size=60))
def test_every_piece_is_a_frame(data: st.DataObject, body: bytes) -> None:
    framer = PieceFramer()
    chunks = data.draw(chunkings(body))

    frames = [frame for chunk in chunks for frame in framer.feed(chunk)] + framer.end()

    assert [chunk for chunk in chunks if chunk] == [frame.data for frame in frames]
    assert 0 == framer.pending


def test_a_frame_with_another_payload_is_another_frame() -> None:
    frame = Frame(b'{"a":1}')
    assert {"a": 1} == frame.document()

    changed = frame.with_data(b'{"a":2}')

    assert {"a": 2} == changed.document()
    assert {"a": 1} == frame.document()


def test_a_frame_does_not_print_its_payload() -> None:
    assert "<Frame 6 bytes, cut>" == repr(Frame(b"secret", complete=False))
