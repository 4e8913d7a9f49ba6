"""`exchange.ask`: a call of a plugin's own through the whole chain, as a child that ends with its parent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relay import Call, Content, Refused, Usage
from relay.ports import Held
from relay.testing.dialect import PLAIN
from relay.testing.play import Play
from relay.wire.sse import sse

SSE: dict[str, Any] = {"content_type": "text/event-stream"}
HELLO = sse(b'{"n":0,"text":"hello"}')
END = sse(b'{"stop":"end","usage":{"in":1,"out":2}}') + sse(b"[END]")


def own_call(*, stream: bool = True, model: str = "small") -> Call:
    body = b'{"model":"%b","text":"Another question?"}' % model.encode()
    return Call(PLAIN, PLAIN.surfaces[0], body=Content(body), model=model, stream=stream)


async def test_a_childs_reply_can_be_returned_as_ones_own_and_streams_through(plugin: Any) -> None:
    seen: list[tuple[int, str | None]] = []
    gate = asyncio.Event()

    async def ask(exchange: Any) -> Any:
        return await exchange.ask(own_call()) if exchange.depth == 0 else None

    above = plugin("above", on_request=lambda exchange: seen.append((exchange.depth, exchange.call.model)))
    async with Play([above, plugin(on_request=ask)]) as play:
        play.replies(HELLO, gate, END, **SSE)
        asking = asyncio.create_task(play.ask(stream=True))
        await asyncio.sleep(0.01)
        gate.set()
        reply = await asking

    assert (HELLO, END) == reply.pieces
    assert [(0, "m"), (1, "small")] == seen
    assert [b'{"model":"small","text":"Another question?"}'] == list(reply.upstream)
    child, parent = play.exchanges
    assert (parent, child.parent) == (reply.exchange, reply.exchange)
    assert (0, 1) == (len(parent.attempts), len(child.attempts))
    assert ("completed", "completed") == (parent.outcome, child.outcome)
    assert Usage(input=1, output=2, total=3) == child.attempts[0].usage
    assert [None, parent.id] == [line.get("parent") for line in reversed(play.log)]


async def test_a_childs_stages_are_its_own_and_the_parents_come_after_them(plugin: Any) -> None:
    class Mark:
        def __init__(self, mark: str) -> None:
            self.mark = mark

        def feed(self, text: str) -> str:
            return text + self.mark

        def end(self) -> str:
            return ""

    async def ask(exchange: Any) -> Any:
        return await exchange.ask(own_call()) if exchange.depth == 0 else None

    def on_reply(exchange: Any, reply: Any) -> None:
        reply.rewrite(lambda kind: Mark(str(exchange.depth)), "text")

    chain = [plugin("marks", reads_content=True, on_reply=on_reply), plugin(on_request=ask)]
    async with Play(chain) as play:
        play.replies(HELLO, END, **SSE)
        reply = await play.ask(stream=True)

    assert "hello10" == reply.text


async def test_children_are_nested_four_deep_at_most(plugin: Any) -> None:
    depths: list[int] = []

    async def ask(exchange: Any) -> Any:
        depths.append(exchange.depth)
        return await exchange.ask(own_call(stream=False))

    async with Play(plugin(on_request=ask)) as play:
        reply = await play.ask()

    assert (508, "too_deep") == (reply.status, reply.error)
    assert [0, 1, 2, 3, 4] == depths
    assert () == reply.upstream
    assert 5 == len(play.exchanges)


async def test_a_child_that_is_refused_raises_what_it_was_refused_with(plugin: Any) -> None:
    caught: list[Refused] = []

    async def ask(exchange: Any) -> None:
        if exchange.depth:
            raise Refused("not_today", "Not you.", retry_after_s=9)
        try:
            await exchange.ask(own_call())
        except Refused as refused:
            caught.append(refused)

    async with Play(plugin(on_request=ask)) as play:
        reply = await play.ask()

    assert 200 == reply.status
    assert [("not_today", "Not you.", 9)] == [(each.code, each.message, each.retry_after_s) for each in caught]
    assert ["refused", "completed"] == [exchange.outcome for exchange in play.exchanges]


async def test_a_child_whose_provider_fails_is_a_failed_exchange_of_its_own(plugin: Any) -> None:
    statuses: list[int] = []

    async def ask(exchange: Any) -> None:
        if exchange.depth == 0:
            statuses.append((await exchange.ask(own_call(stream=False))).status)

    async with Play(plugin(on_request=ask)) as play:
        play.fails(status=400)
        play.answers("fine")
        reply = await play.ask()

    assert [400] == statuses
    assert "fine" == reply.text
    assert ["failed", "completed"] == [exchange.outcome for exchange in play.exchanges]


async def test_a_child_that_nobody_reads_ends_with_its_parent(plugin: Any) -> None:
    log: list[str] = []

    async def ask(exchange: Any) -> None:
        exchange.on_end(log.append, f"end {exchange.depth}")
        if exchange.depth == 0:
            await exchange.ask(own_call())

    async with Play(plugin(on_request=ask)) as play:
        play.replies(HELLO, asyncio.Event(), **SSE)
        play.answers("fine")
        reply = await play.ask()

    assert "fine" == reply.text
    assert ["end 1", "end 0"] == log
    assert ["interrupted", "completed"] == [exchange.outcome for exchange in play.exchanges]
    assert 0 == play.provider.open


async def test_a_client_that_leaves_ends_the_child_too(plugin: Any) -> None:
    async def ask(exchange: Any) -> Any:
        return await exchange.ask(own_call()) if exchange.depth == 0 else None

    async with Play(plugin(on_request=ask)) as play:
        play.replies(HELLO, asyncio.Event(), **SSE)
        asking = asyncio.create_task(play.ask(stream=True))
        await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    child, parent = play.exchanges
    assert "client_left" == parent.outcome
    assert child.outcome in ("interrupted", "client_left")
    assert 0 == play.provider.open


async def test_an_error_in_a_childs_stream_is_the_parents_failure_too(plugin: Any) -> None:
    async def ask(exchange: Any) -> Any:
        return await exchange.ask(own_call()) if exchange.depth == 0 else None

    async with Play(plugin(on_request=ask)) as play:
        play.replies(HELLO, **SSE)
        reply = await play.ask(stream=True)

    assert ["text", "error"] == [event.kind for event in reply.events]
    assert ["failed", "failed"] == [exchange.outcome for exchange in play.exchanges]


async def test_an_object_that_a_child_made_is_noted_once_for_the_account_that_holds_it(plugin: Any) -> None:
    things = next(surface for surface in PLAIN.surfaces if surface.name == "things.create")

    async def ask(exchange: Any) -> Any:
        return await exchange.ask(Call(PLAIN, things, body=Content(b"{}"))) if exchange.depth == 0 else None

    async with Play(plugin(on_request=ask)) as play:
        play.replies(b'{"id":"thing_1"}')
        reply = await play.request("things.create", {})
        held = await play.gateway.register.find(["thing_1"])

    assert b'{"id":"thing_1"}' == reply.body
    assert [Held("org_play", "provider1", "thing")] == held


async def test_a_child_is_stopped_by_its_own_plugin_and_the_stream_says_so(plugin: Any) -> None:
    async def ask(exchange: Any) -> Any:
        return await exchange.ask(own_call()) if exchange.depth == 0 else None

    def on_reply(exchange: Any, reply: Any) -> None:
        if exchange.depth == 1:
            reply.observe(lambda event: exchange.stop("not_today"), "text")

    async with Play([plugin("stops", reads_content=True, on_reply=on_reply), plugin(on_request=ask)]) as play:
        play.replies(HELLO, asyncio.Event(), **SSE)
        reply = await play.ask(stream=True)

    assert ["text", "error"] == [event.kind for event in reply.events]
    assert ["interrupted", "failed"] == [exchange.outcome for exchange in play.exchanges]


async def test_a_deadline_on_the_way_in_covers_the_children_asked_there(plugin: Any) -> None:
    async def ask(exchange: Any) -> None:
        if exchange.depth == 0:
            await exchange.ask(own_call())

    async with Play(plugin(on_request=ask), way_in_s=0.03) as play:
        play.breaks(asyncio.Event())
        reply = await play.ask()

    assert (504, "deadline") == (reply.status, reply.error)
    assert ["interrupted", "interrupted"] == [exchange.outcome for exchange in play.exchanges]
