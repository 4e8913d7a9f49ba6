from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.testing.strategies import chunkings, json_arrays, json_sources
from relay.wire.array import ArrayFramer
from relay.wire.framing import Frame, FrameTooLarge


def frames_of(chunks: list[bytes]) -> list[Frame]:
    framer = ArrayFramer()
    return [frame for chunk in chunks for frame in framer.feed(chunk)] + framer.end()


def seen(frames: list[Frame]) -> list[Any]:
    return [(frame.raw, frame.data, frame.name, frame.complete) for frame in frames]


MEAN = st.one_of(
    json_arrays(),
    json_sources(),
    st.text('{}[]":,\\ a1\n', max_size=40).map(str.encode),
    st.binary(max_size=20),
)


@given(st.data(), MEAN)
def test_any_chunking_of_an_array_gives_the_same_frames(data: st.DataObject, stream: bytes) -> None:
    whole = frames_of([stream])

    pieces = frames_of(data.draw(chunkings(stream)))

    assert seen(whole) == seen(pieces)
    assert stream == b"".join(frame.raw for frame in whole)


@given(json_arrays())
def test_the_frames_of_an_array_are_its_elements(stream: bytes) -> None:
    frames = frames_of([stream])

    assert orjson.loads(stream) == [frame.document() for frame in frames if frame.data is not None]
    assert all(frame.complete for frame in frames)


@given(json_arrays())
def test_an_element_replaced_by_itself_leaves_every_byte(stream: bytes) -> None:
    for frame in frames_of([stream]):
        if frame.data is not None:
            assert frame.raw == frame.with_data(frame.data).raw


@given(st.data(), json_arrays())
def test_a_cut_array_shows_it(data: st.DataObject, stream: bytes) -> None:
    closed = stream.rindex(b"]")
    cut = data.draw(st.integers(stream.index(b"[") + 1, closed))

    frames = frames_of([stream[:cut]])

    assert not frames[-1].complete
    assert all(frame.complete for frame in frames[:-1])


def test_an_element_comes_out_with_the_chunk_that_ends_it() -> None:
    framer = ArrayFramer()
    chunks = [b'[{"a', b'":"}]\\', b'""', b"}", b"\n,\n", b'{"b":2}\r\n', b"]", b"\n"]

    raws = [[frame.raw for frame in framer.feed(chunk)] for chunk in chunks]

    assert [[], [], [], [b'[{"a":"}]\\""}'], [], [b'\n,\n{"b":2}'], [b"\r\n]"], []] == raws
    assert [(b"\n", None, None, True)] == seen(framer.end())


def test_every_byte_around_a_replaced_element_stays() -> None:
    first, second, _ = frames_of([b'[ {"a":1}\n,\n{"b":2}\n]'])

    assert b'[ {"c":3}' == first.with_data(b'{"c":3}').raw
    assert b"\n,\n[]" == second.with_data(b"[]").raw
    assert b"[]" == second.with_data(b"[]").data


def test_punctuation_has_no_payload_to_replace() -> None:
    [frame] = frames_of([b"[]"])

    assert frame.data is None
    with pytest.raises(ValueError, match="no payload"):
        frame.with_data(b"{}")


def test_a_body_that_is_no_array_is_one_element() -> None:
    error, rest = frames_of([b' {"error":', b'{"code":404}}', b"\n"])

    assert (b'{"error":{"code":404}}', True) == (error.data, error.complete)
    assert (b"\n", None) == (rest.raw, rest.data)


def test_an_element_larger_than_the_limit_is_refused() -> None:
    framer = ArrayFramer(limit=100)

    with pytest.raises(FrameTooLarge):
        for _ in range(20):
            framer.feed(b'[{"a":"')

    assert framer.pending <= 107


def test_a_large_element_in_small_chunks_costs_what_its_size_is() -> None:
    framer = ArrayFramer()
    framer.feed(b'[{"image":"')
    for _ in range(20_000):
        framer.feed(b"x" * 200)

    [frame] = framer.feed(b'"}')

    assert 4_000_000 == len(frame.document()["image"])
