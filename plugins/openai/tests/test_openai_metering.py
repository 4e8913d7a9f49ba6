"""Usage of a stream is asked for without the client noticing: TRANSLATION 54."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_openai.dialect import OpenAI

from relay.errors import Refused
from relay.testing.strategies import documents, json_sources
from relay.wire.sse import SseFrame

DIALECT = OpenAI()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b' {"stream": true, "a": 1.0}', b' {"stream_options":{"include_usage":true},"stream": true, "a": 1.0}'),
        (b'{"stream":true,"stream_options": null}', b'{"stream":true,"stream_options": {"include_usage":true}}'),
        (b'{"stream":true,"stream_options": {}}', b'{"stream":true,"stream_options": {"include_usage":true}}'),
        (
            b'{"stream":true,"stream_options": { "include_obfuscation":false}}',
            b'{"stream":true,"stream_options": {"include_usage":true, "include_obfuscation":false}}',
        ),
        (
            b'{"stream":true,"stream_options": {"include_usage" : false }}',
            b'{"stream":true,"stream_options": {"include_usage" : true }}',
        ),
    ],
)
def test_usage_is_asked_for_and_every_other_byte_stays(kit: Any, body: bytes, expected: bytes) -> None:
    for name in ("chat", "completions"):
        assert expected == DIALECT.meter(kit.surface(name), body, orjson.loads(body))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("chat", b'{"stream":true,"stream_options":{"include_usage":true}}'),
        ("chat", b'{"stream":false}'),
        ("chat", b'{"messages":[]}'),
        ("chat", b'{"stream":true,"stream_options":"nonsense"}'),
        ("responses", b'{"stream":true}'),
        ("embeddings", b'{"stream":true}'),
    ],
)
def test_where_it_is_asked_for_or_told_anyway_nothing_is_changed(kit: Any, name: str, body: bytes) -> None:
    assert DIALECT.meter(kit.surface(name), body, orjson.loads(body)) is None


def test_options_that_stand_twice_are_refused(kit: Any) -> None:
    body = b'{"stream":true,"stream_options":{},"stream_option\\u0073":{}}'

    with pytest.raises(Refused) as refused:
        DIALECT.meter(kit.surface("chat"), body, orjson.loads(body))

    assert "ambiguous_body" == refused.value.code


_BODIES = st.dictionaries(
    st.sampled_from(["model", "messages", "stream_options"]),
    st.one_of(documents(), st.dictionaries(st.sampled_from(["include_usage", "b"]), st.booleans())),
).map(lambda body: {**body, "stream": True})


@given(json_sources(_BODIES))
def test_in_any_spelling_only_the_flag_changes(kit: Any, body: bytes) -> None:
    before = orjson.loads(body)

    metered = DIALECT.meter(kit.surface("chat"), body, before)

    if metered is not None:
        after = orjson.loads(metered)
        assert after["stream_options"].pop("include_usage") is True
        options = before.get("stream_options") or {}
        options.pop("include_usage", None)
        assert {**before, "stream_options": options} == after


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('{"id":"c","choices":[],"usage":{"prompt_tokens":1}}', True),
        ('{"id":"c","choices": [], "usage": {"total_tokens": 1}}', True),
        ('{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1}}', False),
        ('{"choices":[],"usage":null}', False),
        ('{"choices":[],"prompt_filter_results":[]}', False),
        ('{"choices":[],"usage":{},"error":{"message":"usage"}}', False),
        ("[DONE]", False),
    ],
)
def test_only_the_chunk_that_was_asked_for_is_taken_out(data: str, expected: bool) -> None:
    assert expected == DIALECT.unmeter(SseFrame(f"data: {data}\n\n".encode()))


def test_a_comment_stays() -> None:
    assert not DIALECT.unmeter(SseFrame(b': "usage"\n\n'))
