"""The conformance suite passes good plugins and catches bad ones."""

from __future__ import annotations

import pytest

from relay import Exchange, Plugin, Reply, Settings
from relay.testing.conformance import CHECKS, QUESTION, Case, conformance
from relay.testing.dialect import PLAIN
from relay.testing.examples import example, examples


class Quiet(Plugin):
    """Overrides every hook and does nothing."""

    name = "quiet"

    async def on_request(self, exchange: Exchange) -> Reply | None:
        return None

    async def on_reply(self, exchange: Exchange, reply: Reply) -> Reply | None:
        reply.observe(lambda event: None, "usage")
        reply.watch(lambda size: None)
        return None


class Whisper:
    """Gives a text back a letter late."""

    def __init__(self) -> None:
        self.held = ""

    def feed(self, text: str) -> str:
        text = self.held + text
        self.held = text[-1:]
        return text[:-1]

    def end(self) -> str:
        rest, self.held = self.held, ""
        return rest


class Reader(Plugin):
    """Reads all and changes nothing."""

    name = "reader"
    reads_content = True

    class Settings(Settings):
        kind: str

    async def on_reply(self, exchange: Exchange, reply: Reply) -> Reply | None:
        reply.rewrite(lambda kind: Whisper(), self.settings.kind, "opaque")
        return None


class Answering(Plugin):
    name = "answering"

    async def on_request(self, exchange: Exchange) -> Reply | None:
        return Reply(200, [("content-type", "application/json")], b'{"text":"mine"}')


test_a_quiet_plugin_conforms = conformance(Quiet)
test_a_reader_conforms = conformance(Reader, settings={"kind": "text"})
test_a_plugin_that_answers_conforms = conformance(Answering, answers=True)


class Meddling(Plugin):
    name = "meddling"

    async def on_request(self, exchange: Exchange) -> Reply | None:
        exchange.call.body = type(exchange.call.body)(b'{"model":"m","text":"other"}')
        return None


class Telling(Plugin):
    name = "telling"
    reads_content = True

    async def on_request(self, exchange: Exchange) -> Reply | None:
        exchange.values["words"] = exchange.call.body.text(self)  # type: ignore[index]
        return None


class Swallowing(Plugin):
    """Turns whatever becomes of the exchange into an answer of its own."""

    name = "swallowing"

    async def on_reply(self, exchange: Exchange, reply: Reply) -> Reply | None:
        return Reply(200, [("content-type", "application/json")], b'{"text":"all is well"}')


class Doubling(Plugin):
    """Makes the ends of those below run twice."""

    name = "doubling"

    async def on_reply(self, exchange: Exchange, reply: Reply) -> Reply | None:
        exchange._ends += exchange._ends
        return None


@pytest.mark.parametrize(
    ("bad", "caught_by"),
    [
        (Meddling, "_keeps_bytes"),
        (Telling, "_leaks_nothing"),
        (Swallowing, "_refusals_are_in_the_callers_dialect"),
        (Doubling, "_answers"),
    ],
)
async def test_a_bad_plugin_is_caught(bad: type[Plugin], caught_by: str) -> None:
    case = Case(bad, {}, {}, PLAIN, example(PLAIN, "ask"), "whole", False, False)
    check = next(check for check in CHECKS if check.__name__ == caught_by)

    with pytest.raises(AssertionError):
        await check(case)


def test_a_question_is_told_in_the_example_of_every_surface_that_says_something() -> None:
    asked = {each.surface: each.ask(QUESTION, "m", False) for each in examples(PLAIN) if each.says}

    assert {"ask", "forms"} == set(asked)
    assert all(QUESTION.encode() in body for body in asked.values())
