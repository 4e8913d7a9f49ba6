"""Retry, fallback, hedging and credentials: the core's own, until the first content from upstream and never after (rule 6)."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from relay import Deadlines, Refused, Retry, Secret, Skip
from relay.testing.play import Play, target
from relay.testing.provider import Script, broken
from relay.wire.sse import sse

SSE: dict[str, Any] = {"content_type": "text/event-stream"}
BUSY = sse(b'{"error":{"status":529,"code":"busy","message":"Busy."}}')
HELLO = sse(b'{"n":0,"text":"hello"}')
END = sse(b'{"stop":"end"}') + sse(b"[END]")


def told(reply: Any) -> list[tuple[str, str, int | None]]:
    return [(each.target.provider, each.outcome, each.status) for each in reply.exchange.attempts]


async def test_a_target_is_tried_again_and_then_the_next_one_is() -> None:
    async with Play(targets=2, retry=Retry(tries=2, base_s=0.0)) as play:
        play.fails(status=500)
        play.breaks(broken("closed"))
        play.answers("At last.")
        reply = await play.ask()

    assert "At last." == reply.text
    assert [("provider1", "failed", 500), ("provider1", "failed", None), ("provider2", "completed", 200)] == told(reply)
    assert [1, 2, 1] == [attempt.tried for attempt in reply.exchange.attempts]
    assert "completed" == reply.exchange.outcome


async def test_a_mistake_of_the_callers_is_not_tried_again() -> None:
    async with Play(targets=2, retry=Retry(tries=2, base_s=0.0)) as play:
        play.fails(status=400, body=b'{"error":{"message":"what?"}}')
        reply = await play.ask()

    assert (400, b'{"error":{"message":"what?"}}', None) == (reply.status, reply.body, reply.error)
    assert 1 == len(reply.sent)
    assert "failed" == reply.exchange.outcome


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_provider_that_refuses_our_credential_is_not_shown_to_the_caller(status: int) -> None:
    async with Play(targets=2) as play:
        play.fails(status=status, body=b"your key sk-1 is wrong")
        reply = await play.ask()

    assert (502, "upstream_credential") == (reply.status, reply.error)
    assert b"sk-1" not in reply.body
    assert ["provider1", "provider2"] == [provider for provider, *_ in told(reply)]


async def test_an_error_inside_a_200_before_any_content_takes_the_next_target() -> None:
    async with Play(targets=2) as play:
        play.replies(b": ping\n\n", BUSY, **SSE)
        play.answers(stream=["well"])
        reply = await play.ask(stream=True)

    assert "well" == reply.text
    assert b"busy" not in reply.body
    assert [("provider1", "failed"), ("provider2", "completed")] == [(who, how) for who, how, _ in told(reply)]


async def test_an_error_inside_a_200_with_no_target_left_is_the_answer_and_the_exchange_failed() -> None:
    async with Play() as play:
        play.replies(BUSY, **SSE)
        reply = await play.ask(stream=True)

    assert (529, "upstream_error") == (reply.status, reply.error)
    assert ("failed", "upstream_error") == (reply.exchange.outcome, reply.exchange.error)


async def test_an_error_after_content_stays_in_the_stream_and_nothing_is_tried_again() -> None:
    async with Play(targets=2) as play:
        play.replies(HELLO, BUSY, **SSE)
        reply = await play.ask(stream=True)

    assert HELLO + BUSY == reply.body
    assert 1 == len(reply.sent)
    assert ("failed", "upstream_error") == (reply.exchange.outcome, reply.exchange.error)
    assert "upstream_error" == reply.exchange.attempts[0].error


@pytest.mark.parametrize(
    ("fault", "code"),
    [("cut", "upstream_failed"), ("silence", "upstream_timeout"), ("protocol", "upstream_invalid")],
)
async def test_a_break_after_content_becomes_an_error_event_in_the_callers_dialect(fault: Any, code: str) -> None:
    async with Play(targets=2) as play:
        play.replies(HELLO, broken(fault), **SSE)
        reply = await play.ask(stream=True)

    assert reply.body.startswith(HELLO)
    assert code == orjson.loads(reply.body[len(HELLO) :].removeprefix(b"data: "))["error"]["code"]
    assert 1 == len(reply.sent)
    assert ("failed", code) == (reply.exchange.outcome, reply.exchange.error)


async def test_a_stream_that_ends_before_it_is_complete_ends_with_an_error_event() -> None:
    async with Play() as play:
        play.replies(HELLO, **SSE)
        reply = await play.ask(stream=True)

    assert "error" == reply.events[-1].kind
    assert "upstream_incomplete" == reply.exchange.error


async def test_a_whole_answer_that_breaks_off_is_tried_again() -> None:
    async with Play(targets=2) as play:
        play.replies(b'{"text":"half', broken("cut"))
        play.answers("whole")
        reply = await play.ask()

    assert "whole" == reply.text


async def test_frames_are_held_until_content_and_at_most_64_kib() -> None:
    gate = asyncio.Event()
    comment = b": " + b"x" * 1022 + b"\n\n"
    async with Play(targets=2) as play:
        play.replies(*[comment] * 64, gate, BUSY, **SSE)
        asking = asyncio.create_task(play.ask(stream=True))
        await asyncio.sleep(0.02)
        gate.set()
        reply = await asking

    assert comment * 64 + BUSY == reply.body
    assert 1 == len(reply.sent)


async def test_the_head_goes_out_after_commit_after_even_without_content() -> None:
    async with Play(targets=[target(1, deadlines=Deadlines(commit_after_s=0.02)), target(2)]) as play:
        play.replies(b": ping\n\n", 0.1, BUSY, **SSE)
        reply = await play.ask(stream=True)

    assert b": ping\n\n" + BUSY == reply.body
    assert 1 == len(reply.sent)


async def test_without_a_target_the_first_skip_is_the_answer(plugin: Any) -> None:
    def skip(_: Any, attempt: Any) -> Skip:
        return Skip("not_today" if attempt.number == 1 else "no_target", retry_after_s=3)

    async with Play(plugin(on_attempt=skip), targets=2) as play:
        reply = await play.ask()

    assert (429, "not_today", "3") == (reply.status, reply.error, reply.header("retry-after"))
    assert ["skipped", "skipped"] == [attempt.outcome for attempt in reply.exchange.attempts]
    assert () == reply.upstream


@pytest.mark.parametrize("skipped", [1, 2])
async def test_a_real_error_of_a_provider_wins_over_a_skip(plugin: Any, skipped: int) -> None:
    def skip(_: Any, attempt: Any) -> Skip | None:
        return Skip("not_today") if attempt.number == skipped else None

    async with Play(plugin(on_attempt=skip), targets=2) as play:
        play.fails(status=503)
        reply = await play.ask()

    assert (503, None) == (reply.status, reply.error)


async def test_without_any_target_nothing_is_offered() -> None:
    async with Play(targets=0) as play:
        reply = await play.ask()

    assert (503, "no_target") == (reply.status, reply.error)


async def test_retry_after_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    async with Play(retry=Retry(tries=2, base_s=0.0)) as play:
        play.fails(status=429, retry_after=2)
        play.answers("now")
        monkeypatch.setattr("relay.engine.attempts.asyncio.sleep", note)
        reply = await play.ask()

    assert "now" == reply.text
    assert 2.0 in waits


async def test_a_retry_after_that_is_too_long_takes_the_next_target_at_once() -> None:
    async with Play(targets=2, retry=Retry(tries=3, base_s=0.0, retry_after_cap_s=5.0)) as play:
        play.fails(status=429, retry_after=60)
        play.answers("elsewhere")
        reply = await play.ask()

    assert ["provider1", "provider2"] == [provider for provider, *_ in told(reply)]


class Rotating:
    def __init__(self, *secrets: str) -> None:
        self.secrets = list(secrets)

    async def current(self) -> Secret:
        return Secret(self.secrets[0])

    async def refreshed(self, stale: Secret) -> Secret | None:
        self.secrets.pop(0)
        return Secret(self.secrets[0]) if self.secrets else None


async def test_a_refused_credential_is_refreshed_once_within_the_same_attempt() -> None:
    async with Play(targets=[target(credential=Rotating("old", "new"))]) as play:
        play.fails(status=401)
        play.answers("welcome")
        reply = await play.ask()

    assert "welcome" == reply.text
    assert ["Bearer old", "Bearer new"] == [sent.header("authorization") for sent in reply.sent]
    assert 1 == len(reply.exchange.attempts)
    assert 0 == play.provider.open


async def test_the_faster_of_two_hedged_targets_answers_and_the_other_is_lost_and_closed_at_once() -> None:
    never = asyncio.Event()
    ends: list[Any] = []

    async with Play(targets=2, retry=Retry(tries=1, hedge_after_s=0.01)) as play:
        play.replies(b": ping\n\n", never, **SSE)
        play.replies(HELLO, 0.0, END, **SSE)
        reply = await play.ask(stream=True)
        ends = [answer.is_released for answer in play.provider.answers]

    assert "hello" == reply.text
    assert [("provider1", "lost", 200), ("provider2", "completed", 200)] == told(reply)
    assert [True, True] == ends
    assert reply.exchange.attempts[1] is reply.exchange.attempt


async def test_the_loser_of_a_race_is_closed_before_the_winner_has_ended(plugin: Any) -> None:
    never, open_ = asyncio.Event(), []

    def on_reply(*_: Any) -> None:
        open_.append([answer.is_released for answer in play.provider.answers])

    async with Play(plugin(on_reply=on_reply), targets=2, retry=Retry(tries=1, hedge_after_s=0.01)) as play:
        play.replies(b": ping\n\n", never, **SSE)
        play.replies(HELLO, 0.0, END, **SSE)
        await play.ask(stream=True)

    assert [[True, False]] == open_


async def test_of_two_hedged_answers_at_the_same_moment_one_is_lost() -> None:
    gate = asyncio.Event()
    async with Play(targets=2, retry=Retry(tries=1, hedge_after_s=0.0)) as play:
        for _ in range(2):
            play.replies(HELLO, 0.0, END, before=[gate], **SSE)
        asking = asyncio.create_task(play.ask(stream=True))
        await asyncio.sleep(0.03)
        gate.set()
        reply = await asking

    assert "hello" == reply.text
    assert ["completed", "lost"] == sorted(attempt.outcome or "" for attempt in reply.exchange.attempts)
    assert 0 == play.provider.open


async def test_a_hedged_target_that_fails_early_is_followed_by_the_next() -> None:
    async with Play(targets=2, retry=Retry(tries=1, hedge_after_s=5.0)) as play:
        play.fails(status=500)
        play.answers("second")
        reply = await play.ask()

    assert "second" == reply.text
    assert ["failed", "completed"] == [attempt.outcome for attempt in reply.exchange.attempts]


async def test_a_refusal_within_a_race_refuses_and_closes_the_other(plugin: Any) -> None:
    def on_attempt(_: Any, attempt: Any) -> None:
        if attempt.number == 2:
            raise Refused("not_today")

    never = asyncio.Event()
    async with Play(plugin(on_attempt=on_attempt), targets=2, retry=Retry(tries=1, hedge_after_s=0.0)) as play:
        play.provider.play(Script(before=(never,)))
        reply = await play.ask()

    assert (429, "not_today") == (reply.status, reply.error)
    assert ["lost", "refused"] == [attempt.outcome for attempt in reply.exchange.attempts]


async def test_what_makes_an_object_is_not_sent_twice_when_it_may_have_arrived() -> None:
    async with Play(targets=2, retry=Retry(tries=3, base_s=0.0)) as play:
        play.breaks(broken("closed", written=True))
        reply = await play.request("things.create", {})

    assert (502, "upstream_failed") == (reply.status, reply.error)
    assert 1 == len(reply.sent)


async def test_what_never_left_is_sent_again() -> None:
    async with Play(targets=2) as play:
        play.breaks(broken("connect", written=False))
        play.replies(b'{"id":"thing_1"}')
        reply = await play.request("things.create", {})

    assert 200 == reply.status
    assert ["thing_1"] == [made.id for made in reply.exchange.created]


async def test_a_large_array_of_pieces_is_not_held_for_its_end() -> None:
    gate = asyncio.Event()
    got: list[int] = []
    async with Play() as play:
        play.replies(b"\x00\x01", gate, b"\x02", content_type="audio/mpeg")
        asking = asyncio.create_task(play.ask())
        await asyncio.sleep(0.02)
        got = [len(play.provider.answers[0]._steps)]
        gate.set()
        reply = await asking

    assert [1] == got
    assert (b"\x00\x01", b"\x02") == reply.pieces
