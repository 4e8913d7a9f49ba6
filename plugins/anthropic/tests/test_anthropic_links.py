"""Addresses in answers lead to the relay and not past it."""

from __future__ import annotations

from typing import Any

import pytest
from relay_anthropic.dialect import DIALECT

from relay.wire.dialect import Links

AT = "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results"
HERE = "/v1/messages/batches/msgbatch_1/results"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"id": "msgbatch_1", "results_url": AT}, {("results_url",): HERE}),
        ({"data": [{"id": "a"}, {"id": "msgbatch_1", "results_url": AT}]}, {("data", 1, "results_url"): HERE}),
        ({"id": "msgbatch_1", "results_url": None}, {}),
        ({"results_url": AT}, {}),
        ({"data": ["x", None]}, {}),
        ([], {}),
    ],
)
def test_the_address_of_a_batchs_results_is_a_path_of_the_relay(document: Any, expected: Any) -> None:
    assert isinstance(DIALECT, Links)
    assert expected == dict(DIALECT.links(document))


def test_every_answer_that_can_hold_an_address_is_looked_at() -> None:
    assert isinstance(DIALECT, Links)

    names = {surface.name for surface in DIALECT.surfaces}

    assert DIALECT.linked <= names
