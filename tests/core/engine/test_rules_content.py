"""A prompt or an answer is closed to whoever has not declared that it reads content (rule 9)."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from relay import Content, ContentClosed, Refused
from relay.testing.play import Play

WORDS = "the words of a person"


@pytest.mark.parametrize("kind", ["text", "thinking", "tool_args", "vector", "media", "opaque"])
@pytest.mark.parametrize("form", ["observe", "rewrite", "transform", "peek"])
async def test_a_plugin_that_does_not_read_content_names_no_content_kind(plugin: Any, form: str, kind: str) -> None:
    caught: list[Exception] = []

    async def on_reply(_: Any, reply: Any) -> None:
        try:
            if form == "peek":
                await reply.peek(1, kind)
            else:
                getattr(reply, form)(lambda *_: None, kind)
        except (ContentClosed, ValueError) as error:
            caught.append(error)

    async with Play(plugin(on_reply=on_reply)) as play:
        reply = await play.ask()

    assert "An answer." == reply.text
    assert 1 == len(caught)


async def test_a_plugin_that_does_not_read_content_cannot_open_a_call(plugin: Any) -> None:
    caught: list[str] = []

    def on_request(exchange: Any) -> None:
        reaches: list[Callable[[], Any]] = [
            lambda: exchange.call.body.text(subject),
            lambda: exchange.call.body.data(subject),
            lambda: exchange.call.document(subject),
            lambda: exchange.call.rewrite(subject, str.upper, "text"),
            lambda: exchange.call.events("text")[0].value.text(subject),
        ]
        for reach in reaches:
            with pytest.raises(ContentClosed):
                reach()
            caught.append("closed")

    subject = plugin(on_request=on_request)
    async with Play(subject) as play:
        reply = await play.ask(WORDS)

    assert 200 == reply.status
    assert ["closed"] * 5 == caught


async def test_closed_content_tells_its_size_and_nothing_else() -> None:
    content = Content(WORDS)

    assert (len(WORDS), 6) == (content.size, content.tokens)
    for show in (str, "{}".format, pickle.dumps, orjson.dumps):
        with pytest.raises(TypeError):
            show(content)
    assert WORDS not in repr(content) + repr([content]) + repr(copy.deepcopy(content))


async def test_nothing_of_a_conversation_stands_in_the_log_or_in_a_repr(plugin: Any) -> None:
    def on_reply(_: Any, reply: Any) -> None:
        raise ValueError(WORDS)

    async with Play(plugin(on_reply=on_reply)) as play:
        play.answers(WORDS)
        reply = await play.ask(WORDS)

    exchange = reply.exchange
    shown = [exchange, exchange.call, exchange.attempts, exchange.call.body, play.log]
    assert WORDS not in "".join(map(repr, shown))


async def test_a_reader_of_content_rewrites_the_call_and_leaves_every_other_byte(plugin: Any) -> None:
    def on_request(exchange: Any) -> None:
        exchange.call.rewrite(subject, str.upper, "text")

    subject = plugin(reads_content=True, on_request=on_request)
    async with Play(subject) as play:
        reply = await play.request("ask", b'{ "model" : "m", "text":"ab", "x" : [1.0,"text"]}')

    assert (b'{ "model" : "m", "text":"AB", "x" : [1.0,"text"]}',) == reply.upstream


async def test_a_part_of_a_call_that_is_not_understood_refuses_it_unless_it_is_named(plugin: Any) -> None:
    def strict(exchange: Any) -> None:
        exchange.call.rewrite(subject, str.upper, "text")

    def tolerant(exchange: Any) -> None:
        exchange.call.rewrite(subject, str.upper, "text", "opaque")

    replies = []
    for on_request in (strict, tolerant):
        subject = plugin(reads_content=True, on_request=on_request)
        async with Play(subject) as play:
            replies.append(await play.request("ask", {"model": "m", "text": "ab", "riddle": "x"}))

    assert [(400, "not_understood"), (200, None)] == [(reply.status, reply.error) for reply in replies]
    assert [(), (b'{"model":"m","text":"AB","riddle":"x"}',)] == [reply.upstream for reply in replies]


async def test_a_refusal_repeats_nothing_of_the_request(plugin: Any) -> None:
    def refuse(_: Any) -> None:
        raise Refused("not_today")

    async with Play(plugin(on_request=refuse)) as play:
        reply = await play.ask(WORDS)

    assert WORDS.encode() not in reply.body
