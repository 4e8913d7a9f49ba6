"""Forms: every chunking reads alike, and what readers could read differently is not read at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.wire.multipart import FIELD_LIMIT, Form, Malformed, NamedTwice, boundary, fields, replace


def form(*parts: tuple[bytes, bytes], mark: bytes = b"b") -> bytes:
    out = b"".join(b"--%b\r\n%b\r\n\r\n%b\r\n" % (mark, head, value) for head, value in parts)
    return out + b"--%b--\r\n" % mark


def field(name: bytes) -> bytes:
    return b'Content-Disposition: form-data; name="%b"' % name


def file(name: bytes) -> bytes:
    return field(name) + b'; filename="f.wav"\r\nContent-Type: audio/wav'


USUAL = form(
    (field(b"model"), b"whisper"), (file(b"file"), b"\0\r\n--\r\n-b\r\n"), (field(b"language"), "français".encode())
)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('multipart/form-data; boundary="a b"', b"a b"),
        ("Multipart/Form-Data; charset=utf-8; Boundary=abc", b"abc"),
        ("multipart/form-data;boundary=abc; charset=utf-8", b"abc"),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=" + "a" * 71, None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ('multipart/form-data; x="; boundary=a"; boundary=b', None),
        ("multipart/mixed; boundary=abc", None),
        ("application/json", None),
        ("", None),
    ],
)
def test_the_boundary_is_what_every_reader_takes(content_type: str, expected: bytes | None) -> None:
    assert expected == boundary(content_type)


def test_plain_fields_are_read_and_files_passed_by() -> None:
    assert {"model": "whisper", "language": "français"} == fields(USUAL, b"b")


@pytest.mark.parametrize(
    "head",
    [
        b"content-disposition:form-data;name=model",
        b'CONTENT-DISPOSITION: Form-Data; name="model"',
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=model",
        b'Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: 8bit',
        b'Content-Disposition: form-data ; name = "model" ;',
    ],
)
def test_a_field_is_read_in_all_the_ways_clients_write_it(head: bytes) -> None:
    assert {"model": "m"} == fields(form((head, b"m")), b"b")


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_any_chunking_reads_alike(step: int) -> None:
    read = Form(b"b")

    for at in range(0, len(USUAL), step):
        read.feed(USUAL[at : at + step])

    assert {"model": "whisper", "language": "français"} == read.fields
    assert [b"whisper", "français".encode()] == [USUAL[start:end] for _, start, end in read.spans]


@given(st.lists(st.tuples(st.sampled_from(["model", "a", "b"]), st.binary(max_size=40)), max_size=5), st.data())
def test_any_form_in_any_chunking_is_read_as_a_whole(parts: list[tuple[str, bytes]], data: st.DataObject) -> None:
    clean = [(name, value.replace(b"b0undary", b"")) for name, value in parts]
    body = form(*[(field(name.encode()), value) for name, value in clean], mark=b"b0undary")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    read = Form(b"b0undary")

    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        read.feed(body[start:end])

    assert [value for _, value in clean] == [body[start:end] for _, start, end in read.spans]
    assert dict(reversed([(name, value.decode("utf-8", "replace")) for name, value in clean])) == read.fields


BAD = {
    "a longer boundary": b"--b\r\n" + field(b"a") + b"\r\n\r\nx\r\n--bc\r\n" + field(b"model") + b"\r\n\r\nm\r\n--b--\r\n",
    "a boundary behind a bare LF": b"--b\r\n" + field(b"a") + b"\r\n\r\nx\n--b\n" + field(b"model") + b"\n\nm\n--b--\r\n",
    "a boundary within a line": b"--b\r\n" + field(b"a") + b"\r\n\r\nx--b\r\n--b--\r\n",
    "no name": form((b"Content-Disposition: form-data", b"x")),
    "no disposition": form((b"Content-Type: text/plain", b"x")),
    "another disposition": form((b'Content-Disposition: attachment; name="model"', b"x")),
    "two dispositions": form((field(b"a") + b"\r\n" + field(b"model"), b"x")),
    "two names": form((field(b"a") + b'; name="model"', b"x")),
    "a name in other clothes": form((field(b"a") + b"; name*=utf-8''model", b"x")),
    "an escaped name": form((field(b'mod\\"el'), b"x")),
    "a folded line": form((b'Content-Disposition: form-data;\r\n name="model"', b"x")),
    "a bare LF in a part's head": form((b"X: a\n" + field(b"model"), b"x")),
    "an encoded part": form((field(b"model") + b"\r\nContent-Transfer-Encoding: quoted-printable", b"=6d")),
    "a head without an end": b"--b\r\n" + b"X: a\r\n" * 2000,
    "many parts": form(*[(field(b"a%d" % at), b"") for at in range(300)]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("step", [1, 100_000])
def test_what_readers_could_read_differently_is_not_read(name: str, step: int) -> None:
    read = Form(b"b")

    with pytest.raises(Malformed):
        for at in range(0, len(BAD[name]), step):
            read.feed(BAD[name][at : at + step])

    assert "model" not in read.fields


@pytest.mark.parametrize("second", [field(b"model"), file(b"model"), b"Content-Disposition: form-data; name=model"])
def test_a_field_that_decides_may_come_once(second: bytes) -> None:
    read = Form(b"b", once=("model",))

    with pytest.raises(NamedTwice):
        read.feed(form((field(b"model"), b"cheap"), (file(b"file"), b"x" * 100_000), (second, b"dear")))


def test_long_fields_and_files_are_not_held() -> None:
    read = Form(b"b")
    read.feed(b"--b\r\n" + field(b"long") + b"\r\n\r\n")
    for _ in range(10):
        read.feed(b"x" * FIELD_LIMIT)
    held = len(read._held)
    read.feed(b"\r\n--b\r\n" + field(b"model") + b"\r\n\r\nm\r\n--b--")

    assert 100 > held
    assert {"model": "m"} == read.fields


def test_another_value_stands_where_the_field_stood_and_all_else_stays() -> None:
    changed = replace(USUAL, b"b", "model", "whisper-large")

    assert USUAL.replace(b"\r\nwhisper\r\n", b"\r\nwhisper-large\r\n") == changed
    assert USUAL == replace(changed, b"b", "model", "whisper")
    assert USUAL == replace(USUAL, b"b", "file", "x")


def test_what_follows_the_end_is_nothing() -> None:
    read = Form(b"b", once=("model",))
    read.feed(form((field(b"model"), b"m")))
    read.feed(form((field(b"model"), b"other")))

    assert {"model": "m"} == read.fields


@given(st.binary(max_size=300))
def test_no_bytes_do_harm(noise: bytes) -> None:
    for body in (noise, b"--b\r\n" + noise, USUAL[:40] + noise):
        try:
            Form(b"b").feed(body)
        except Malformed:
            pass
