"""A request and its answer for each surface, as they stand on the wire: for tests (see `relay.testing.examples`)."""

from __future__ import annotations

from collections.abc import Iterator

from relay.testing.examples import Example, asks, frames, says
from relay_gemini.surfaces import VERSIONS

_ASKED = (
    '{ "system_instruction": {"parts": [{"text": "You are a \\u201chelpful\\u201d assistant."}]},\n'
    '  "contents": [{"role": "user", "parts": [{"text": "TEXT"}]}], "generationConfig": {"temperature": 1.0}, "safetySettings": [] }'
)
_USAGE = '{"promptTokenCount": 4,"candidatesTokenCount": 7,"totalTokenCount": 31,"thoughtsTokenCount": 20}'
_LAST = f'"usageMetadata": {_USAGE},"modelVersion": "gemini-2.5-flash","responseId": "mAitaLmkHPPlz7IP"'
_THOUGHT = '{"text": "They greet me.","thought": true}'
_WHOLE = (
    '{\n  "candidates": [{"content": {"parts": ['
    + _THOUGHT
    + ',{"text": "TEXT","thoughtSignature": "Cq4BAdHtim8="}],"role": "model"},"finishReason": "STOP","index": 0}],\n  '
    + _LAST
    + "\n}\n"
)


def _chunk(part: str, more: str = "", last: str = '"modelVersion": "gemini-2.5-flash"') -> str:
    candidate = f'{{"content": {{"parts": [{part}],"role": "model"}},{more}"index": 0}}'
    return f'data: {{"candidates": [{candidate}],{last}}}\r\n\r\n'


_STREAM = frames(_chunk(_THOUGHT), _chunk('{"text": "TEXT"}'), _chunk('{"text": ""}', '"finishReason": "STOP",', _LAST))
_VECTOR = '{"values": [0.013168517, -0.00871193]}'
_MODEL = '{"name": "models/m","displayName": "M","inputTokenLimit": 1048576,"supportedGenerationMethods": ["generateContent"]}'
_TO_EMBED = '{"model": "models/m", "content": {"parts": [{"text": "TEXT"}]}, "taskType": "RETRIEVAL_QUERY"}'
_HERE = {"model": "m"}


def _examples(mark: str) -> Iterator[Example]:
    """Those of one version of the API; `mark` stands at the end of its surfaces' names."""
    ask = asks(_ASKED, "")
    yield Example(f"generate{mark}", ask, says(_WHOLE), params=_HERE)
    # Without `alt=sse` a stream is one array, whose entries come one by one.
    yield Example(f"generate.stream{mark}", ask, says(f"[{_WHOLE}]"), _STREAM, params=_HERE, stream_query="alt=sse")
    yield Example(f"count_tokens{mark}", ask, says('{"totalTokens": 31}'), says=False, params=_HERE)
    yield Example(f"embed{mark}", asks(_TO_EMBED), says(f'{{"embedding": {_VECTOR}}}'), says=False, params=_HERE)
    yield Example(
        f"embed.batch{mark}",
        asks(f'{{"requests": [{_TO_EMBED}]}}'),
        says(f'{{"embeddings": [{_VECTOR}]}}'),
        says=False,
        params=_HERE,
    )
    yield Example(f"models{mark}", asks(""), says(f'{{"models": [{_MODEL}]}}'), says=False)
    yield Example(f"models.get{mark}", asks(""), says(_MODEL), says=False, params=_HERE)


EXAMPLES: tuple[Example, ...] = tuple(example for _, mark in VERSIONS for example in _examples(mark))
