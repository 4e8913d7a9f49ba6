"""What holds for every dialect: texts can be changed in place on every surface, both ways, and no other byte changes.

    from relay.testing.round_trip import round_trip

    test_words_change_and_every_other_byte_stays = round_trip(DIALECT)

It goes over the dialect's examples; each surface and form is a test of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from relay.exchange import Exchange, Reply
from relay.plugin import Plugin
from relay.testing.conformance import ANSWER, QUESTION, Case
from relay.testing.examples import examples
from relay.wire.dialect import Dialect


class Still(Plugin):
    """Overrides no hook."""

    name = "still"


class Loud(Plugin):
    """Upper-cases the words of the suite, asked and answered, and leaves all others: so what must come out can be said."""

    name = "loud"
    reads_content = True

    async def on_request(self, exchange: Exchange) -> None:
        exchange.call.rewrite(self, _Upper().feed, "text", "opaque")

    async def on_reply(self, exchange: Exchange, reply: Reply) -> None:
        reply.rewrite(lambda kind: _Upper(), "text", "opaque")


class _Upper:
    def feed(self, text: str) -> str:
        for words in (QUESTION, *ANSWER):
            text = text.replace(words, words.upper())
        return text

    def end(self) -> str:
        return ""


def round_trip(dialect: Dialect) -> Callable[..., Awaitable[None]]:
    """A parametrised test that plays `Loud` over all examples of `dialect`; assign it to a name that begins with `test_`."""
    cases = [
        pytest.param(Case(Loud, {}, {}, dialect, example, form, False, True), id=f"{example.surface}-{form}")
        for example in examples(dialect)
        for form in (("whole", "stream") if example.stream is not None else ("whole",))
    ]

    @pytest.mark.parametrize("case", cases)
    async def test_round_trip(case: Case) -> None:
        example, is_stream = case.example, case.form == "stream"
        async with case.play() as play:
            case.answer(play)
            reply = await case.ask(play)

        loud = [words.upper() for words in ANSWER] if example.says else ANSWER
        told = example.stream(loud) if is_stream and example.stream is not None else [example.whole("".join(loud))]
        assert b"".join(told) == reply.body
        # The words of a form stand in its file, and files are nobody's text.
        asked = QUESTION if example.ask_type.startswith("multipart") else QUESTION.upper()
        assert (example.ask(asked, "m", is_stream),) == reply.upstream

    return test_round_trip
