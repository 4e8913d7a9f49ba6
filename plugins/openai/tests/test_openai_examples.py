"""Plugins meet every surface of the dialect: one that does nothing, and one that changes words both ways."""

from __future__ import annotations

import pytest
from relay_openai.dialect import DIALECT
from relay_openai.examples import EXAMPLES

from relay.testing.conformance import conformance
from relay.testing.round_trip import Loud, Still, round_trip

test_a_plugin_that_does_nothing_conforms = conformance(Still, dialects=[DIALECT])
# Six hundred tests, of which the round trip says the most important.
test_a_plugin_that_changes_words_conforms = pytest.mark.all(conformance(Loud, dialects=[DIALECT], changes=True))
test_words_change_and_every_other_byte_stays = round_trip(DIALECT)


def test_every_surface_but_the_realtime_one_has_an_example() -> None:
    assert {surface.name for surface in DIALECT.surfaces} - {"realtime"} == {example.surface for example in EXAMPLES}
    assert len(EXAMPLES) == len({example.surface for example in EXAMPLES})
