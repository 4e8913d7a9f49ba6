"""Plugins meet every surface of the dialect: one that does nothing, and one that changes words both ways."""

from __future__ import annotations

from relay_gemini.dialect import DIALECT
from relay_gemini.examples import EXAMPLES

from relay.testing.conformance import conformance
from relay.testing.round_trip import Loud, Still, round_trip

test_a_plugin_that_does_nothing_conforms = conformance(Still, dialects=[DIALECT])
test_a_plugin_that_changes_words_conforms = conformance(Loud, dialects=[DIALECT], changes=True)
test_words_change_and_every_other_byte_stays = round_trip(DIALECT)


def test_every_surface_has_an_example() -> None:
    assert {surface.name for surface in DIALECT.surfaces} == {example.surface for example in EXAMPLES}
    assert len(EXAMPLES) == len({example.surface for example in EXAMPLES})
