from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.testing.strategies import chunkings, sse_streams
from relay.wire.framing import Frame, FrameTooLarge
from relay.wire.sse import SseFrame, SseFramer, sse

Seen = tuple[bytes, bytes | None, str | None, bool]


def frames_of(chunks: list[bytes]) -> list[Frame]:
    framer = SseFramer()
    return [frame for chunk in chunks for frame in framer.feed(chunk)] + framer.end()


def seen(frames: list[Frame]) -> list[Seen]:
    return [(frame.raw, frame.data, frame.name, frame.complete) for frame in frames]


def events_by_the_standard(stream: bytes) -> list[tuple[bytes, str | None]]:
    """What WHATWG's parser dispatches, written from its text and byte by byte, to compare with."""
    stream = stream.removeprefix(b"\xef\xbb\xbf")
    events: list[tuple[bytes, str | None]] = []
    data, name, line = b"", b"", b""
    at = 0
    while at < len(stream):
        byte = stream[at : at + 1]
        at += 1
        if byte not in (b"\r", b"\n"):
            line += byte
            continue
        if byte == b"\r" and stream[at : at + 1] == b"\n":
            at += 1
        if not line:
            if data:
                events.append((data[:-1], name.decode(errors="replace") or None))
            data, name = b"", b""
        elif not line.startswith(b":"):
            field, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            if field == b"data":
                data += value + b"\n"
            elif field == b"event":
                name = value
        line = b""
    return events


@given(st.data(), sse_streams())
def test_any_chunking_of_a_stream_gives_the_same_frames(data: st.DataObject, stream: bytes) -> None:
    whole = frames_of([stream])

    pieces = frames_of(data.draw(chunkings(stream)))

    assert seen(whole) == seen(pieces)


@given(st.one_of(sse_streams(), st.binary(max_size=60), st.text("\r\n:data ", max_size=40).map(str.encode)))
def test_no_byte_of_a_stream_is_lost(stream: bytes) -> None:
    frames = frames_of([stream])

    assert stream == b"".join(frame.raw for frame in frames)
    assert all(frame.complete for frame in frames[:-1])


@given(st.one_of(sse_streams(), st.text("\r\n:daevnt x", max_size=40).map(str.encode)))
@example(b"data\n\n")
@example(b"data:\n\ndata:\ndata\n\n")
@example(b"data: a\r\r\ndata: b\n\r")
def test_events_are_those_of_the_standard(stream: bytes) -> None:
    frames = frames_of([stream])

    dispatched = [(frame.data, frame.name) for frame in frames if frame.complete and frame.data is not None]
    assert events_by_the_standard(stream) == dispatched


@given(sse_streams())
def test_a_payload_replaced_by_itself_leaves_every_byte(stream: bytes) -> None:
    for frame in frames_of([stream]):
        if frame.data is not None:
            assert frame.raw == frame.with_data(frame.data).raw


@given(
    sse_streams(),
    st.lists(st.binary(max_size=8).map(lambda part: part.replace(b"\r", b"")), max_size=3).map(b"\n".join),
)
@example(b"data\rdata\n\n", b"")
def test_a_replaced_payload_is_what_a_reader_finds(stream: bytes, payload: bytes) -> None:
    for frame in frames_of([stream]):
        if frame.data is not None and frame.complete:
            changed = frame.with_data(payload)

            assert [(payload, frame.name)] == events_by_the_standard(b"\n" + changed.raw)
            assert [payload] == [again.data for again in frames_of([b"\n" + changed.raw]) if again.data is not None]


@given(st.data(), sse_streams())
def test_the_boundary_is_where_the_last_complete_event_ends(data: st.DataObject, stream: bytes) -> None:
    cut = data.draw(st.integers(0, len(stream)))
    head = stream[:cut]

    boundary = SseFramer.boundary(head)

    passed = events_by_the_standard(head[:boundary])
    assert events_by_the_standard(head) == passed
    assert events_by_the_standard(stream) == passed + events_by_the_standard(
        (b"\n" if boundary else b"") + stream[boundary:]
    )


@pytest.mark.parametrize(
    "buffer, expected",
    [
        (b"", 0),
        (b"data: a", 0),
        (b"data: a\n", 0),
        (b"data: a\r\n", 0),
        (b"data: a\n\n", 9),
        (b"data: a\r\n\r\n", 11),
        (b"data: a\r\n\r", 10),
        (b"data: a\r\r", 9),
        (b"data: a\r\n\n", 10),
        (b"data: a\n\r\n", 10),
        (b"data: a\n\ndata: b\r\n", 9),
        (b"data: a\r\n\r\ndata: b\n", 11),
        (b"data: a\r\rdata: b\n\ndata: c", 18),
    ],
)
def test_the_boundary_knows_every_line_end(buffer: bytes, expected: int) -> None:
    assert expected == SseFramer.boundary(buffer)


def test_every_byte_around_a_replaced_payload_stays() -> None:
    raw = b': note\r\nid: 7\r\nevent:delta\r\ndata:{"a":1}\r\nretry: 3\r\n\r\n'
    [frame] = frames_of([raw])

    changed = frame.with_data(b'{"a":2}')

    assert raw.replace(b'{"a":1}', b'{"a":2}') == changed.raw
    assert b'{"a":2}' == changed.data
    assert "delta" == changed.name


def test_several_data_lines_are_replaced_by_one() -> None:
    [frame] = frames_of([b'data: {"a":\n: between\ndata: 1}\nid: 7\n\n'])

    changed = frame.with_data(b'{"a":2}')

    assert {"a": 1} == frame.document()
    assert b'data: {"a":2}\n: between\nid: 7\n\n' == changed.raw


def test_a_comment_has_no_payload_to_replace() -> None:
    [frame] = frames_of([b": keep-alive\n\n"])

    assert frame.data is None
    with pytest.raises(ValueError, match="no data line"):
        frame.with_data(b"{}")


def test_a_blank_line_that_ends_no_event_comes_out_at_once() -> None:
    framer = SseFramer()

    frames = [frame for chunk in (b"data: a\n\n", b"\n", b"\n", b"data: b\n\n") for frame in framer.feed(chunk)]

    assert [b"data: a\n\n", b"\n", b"\n", b"data: b\n\n"] == [frame.raw for frame in frames]
    assert [b"a", None, None, b"b"] == [frame.data for frame in frames]


def test_a_byte_order_mark_belongs_to_the_stream_and_not_to_its_first_event() -> None:
    frames = frames_of([b"\xef", b"\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n"])

    assert [None, b"a", None] == [frame.data for frame in frames]


def test_a_stream_cut_in_the_middle_of_an_event_shows_it() -> None:
    frames = frames_of([b"data: a\n\ndata: {"])

    assert [True, False] == [frame.complete for frame in frames]
    assert b"data: {" == frames[-1].raw


def test_an_event_comes_out_with_the_chunk_that_ends_it() -> None:
    framer = SseFramer()

    assert [] == framer.feed(b"data: a\r\n\r")
    assert 10 == framer.pending
    assert [b"data: a\r\n\r\n"] == [frame.raw for frame in framer.feed(b"\n")]
    assert 0 == framer.pending


def test_an_event_larger_than_the_limit_is_refused() -> None:
    framer = SseFramer(limit=100)
    framer.feed(b"data: " + b"x" * 90)

    with pytest.raises(FrameTooLarge) as refused:
        framer.feed(b"x" * 10)

    assert (106, 100) == (refused.value.held, refused.value.limit)


def test_a_large_event_in_small_chunks_costs_what_its_size_is() -> None:
    framer = SseFramer()
    for _ in range(20_000):
        framer.feed(b"x" * 200)

    frames = framer.feed(b"\n\n")

    assert [4_000_002] == [len(frame.raw) for frame in frames]


@pytest.mark.parametrize(
    "expected, data, event, id",
    [
        (b"data: {}\n\n", b"{}", None, None),
        (b"event: delta\nid: 7\ndata: {}\n\n", b"{}", "delta", "7"),
        (b"data: a\ndata: b\n\n", b"a\r\nb", None, None),
        (b"data: \n\n", b"", None, None),
    ],
)
def test_an_event_is_written(expected: bytes, data: bytes, event: str | None, id: str | None) -> None:
    assert expected == sse(data, event, id)


@pytest.mark.parametrize("event, id", [("a\nb", None), ("a\rb", None), (None, "a\nb"), (None, "a\0b")])
def test_a_field_cannot_smuggle_a_line_into_an_event(event: str | None, id: str | None) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        sse(b"{}", event, id)


def test_a_frame_does_not_print_its_payload() -> None:
    frame = SseFrame(b'data: {"secret": tru}\n\n')

    with pytest.raises(ValueError) as refused:
        frame.document()

    assert "secret" not in repr(frame) + repr(refused.value)
    assert refused.value.__context__ is None


def test_a_document_is_parsed_once() -> None:
    frame = SseFrame(b"data: [1]\n\n")

    assert [1] == frame.document()
    assert frame.document() is frame.document()
