"""JSON bodies: what the relay and a provider could read differently is refused, everything else passes byte for byte."""

from __future__ import annotations

from typing import Any

import pytest


def code(head: bytes) -> bytes:
    return head.split(b"x-relay-error: ")[1].split(b"\r\n")[0] if b"x-relay-error" in head else b""


BAD = {
    "nothing": b"",
    "not JSON": b"{",
    "single quotes": b"{'model':'m'}",
    "a comment": b'{"model":"m"/**/}',
    "a comma too many": b'{"model":"m",}',
    "two documents": b'{"model":"m"}{"model":"m"}',
    "invalid UTF-8": b'{"model":"m","text":"\xff"}',
    "overlong UTF-8": b'{"model":"m","text":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"model":"m","text":"\xed\xa0\x80"}',
    "UTF-16": '{"model":"m"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"model":"m"}',
    "NaN": b'{"model":"m","n":NaN}',
    "infinity": b'{"model":"m","n":-Infinity}',
    "a number with a plus": b'{"model":"m","n":+1}',
    "a number with a zero before": b'{"model":"m","n":01}',
    "a control character": b'{"model":"m","text":"\x01"}',
    "a NUL behind": b'{"model":"m"}\0',
    "too many brackets": b'{"model":"m","n":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "brackets without an end": b"[" * 100_000,
    "no object": b'["model"]',
    "no model": b'{"text":"m"}',
    "a model that is none": b'{"model":7}',
    "two models": b'{"model":"cheap","text":"x","model":"dear"}',
    "two equal models": b'{"model":"m","model":"m"}',
    "two models, one escaped": b'{"model":"cheap","mod\\u0065l":"dear"}',
    "two models, both escaped": b'{"\\u006dodel":"cheap","mod\\u0065l":"dear"}',
    "two models far apart": b'{"model":"cheap","text":"' + b"x" * 100_000 + b'","model" : "dear"}',
    "an empty model": b'{"model":""}',
    "a line break in a model": b'{"model":"a\\nx-injected: 1"}',
    "a NUL in a model": b'{"model":"a\\u0000"}',
    "a direction mark in a model": b'{"model":"a\\u202eb"}',
    "a long model": b'{"model":"' + b"m" * 257 + b'"}',
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_a_body_that_readers_could_read_differently_is_refused(relay: Any, ask: Any, name: str) -> None:
    status, head, body = await relay.say(ask(BAD[name]))

    assert 400 == status
    assert code(head) in (b"invalid_json", b"bad_request", b"ambiguous_body")
    assert b"injected" not in head + body
    assert body.startswith(b'{"error":{"status":400,"code":')
    assert [] == relay.provider.got
    assert await relay.lives()


@pytest.mark.parametrize("name", [name for name in BAD if name.startswith("two ") and "model" in name])
async def test_a_model_named_twice_is_told_as_what_it_is(relay: Any, ask: Any, name: str) -> None:
    _, head, _ = await relay.say(ask(BAD[name]))

    assert b"ambiguous_body" == code(head)


@pytest.mark.parametrize(
    "body",
    [
        b' {"model" : "m" , "text":"x"} ',
        b'{"mod\\u0065l":"m"}',
        b'{"model":"\\u006d"}',
        b'{"model":"m","tools":[{"model":"other","properties":{"model":{"model":1}}}]}',
        b'{"model":"m","text":"\\"model\\": \\u0065"}',
        b'{"text":"model","model":"m","x":"model"}',
        b'{"model":"m","n":1e999}',
        b'{"model":"m","n":' + b"9" * 5000 + b"}",
        b'{"model":"m","n":0.1000000000000000055511151231257827021181583404541015625}',
        b'{"model":"m","n":' + b"[" * 500 + b"]" * 500 + b"}",
        '{"model":"modèle-模型/v1.5:free@x+y","text":"\\ud83d\\ude00"}'.encode(),
        b'{"model":"' + b"m" * 256 + b'"}',
    ],
)
async def test_a_body_that_is_unusual_passes_byte_for_byte_or_not_at_all(relay: Any, ask: Any, body: bytes) -> None:
    status, _, _ = await relay.say(ask(body))

    if status == 200:
        assert [body] == [got.body for got in relay.provider.got]
    else:
        assert (400, []) == (status, relay.provider.got)
        assert any(mark in body for mark in (b"e999", b"99999"))


async def test_nothing_of_a_refused_body_is_logged_or_said_again(relay: Any, ask: Any) -> None:
    _, head, body = await relay.say(ask(b'{"model":"m","text":"canary-1234'))

    assert b"canary" not in head + body
    assert "canary" not in repr(relay.log)


async def test_what_fails_in_the_relay_itself_is_answered_and_logged_without_a_word_of_it(
    relay: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*given: object) -> None:
        raise ValueError("canary-1234")

    monkeypatch.setattr("relay.engine.intake.Intake.call", fails)

    status, head, body = await relay.say(ask(b'{"model":"m"}'))

    assert (500, b"reply_failed") == (status, code(head))
    assert b'{"error":{"status":500,"code":"reply_failed"' == body[:44]
    assert b"connection: close" in head
    assert "relay_failed" in [event for event, _ in relay.log]
    assert "canary" not in repr(relay.log) + repr(body)
    assert "failed" == (await relay.end()).outcome
