"""A request and its answer for each surface, as they stand on the wire: for tests (see `relay.testing.examples`)."""

from __future__ import annotations

from collections.abc import Mapping

from relay.testing.examples import Example, asks, frames, says

_ASKED = (
    '"system": [{"type": "text", "text": "You are a \\u201chelpful\\u201d assistant.", "cache_control": {"type": "ephemeral"}}],\n'
    '  "messages": [{"role": "user", "content": [{"type": "text", "text": "TEXT"}]}], "x_unknown": [1e2]'
)
_HEAD = '"id":"msg_1nZdL29x","type":"message","role":"assistant","model":"claude-sonnet-4-5"'
_USAGE = '{"input_tokens":25,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":15}'
_THOUGHT = '{"type":"thinking","thinking":"They greet me.","signature":"EqQBCgIYAhIM"}'
_MESSAGE = (
    f'{{{_HEAD},"content":[{_THOUGHT},{{"type":"text","text":"TEXT"}}],"stop_reason":"end_turn","stop_sequence":null,'
    f'"usage":{_USAGE}}}'
)

_MESSAGES = Example(
    "messages",
    asks(f'{{ "model": "MODEL", "max_tokens": 1024, {_ASKED} }}'),
    says(_MESSAGE),
    frames(
        f'event: message_start\ndata: {{"type":"message_start","message":{{{_HEAD},"content":[],"stop_reason":null,'
        f'"stop_sequence":null,"usage":{_USAGE}}}}}\n\n'
        'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
        '{"type":"thinking","thinking":"","signature":""}}\n\n'
        'event: ping\ndata: {"type": "ping"}\n\n'
        'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
        '{"type":"thinking_delta","thinking":"They greet me."}}\n\n'
        'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
        '{"type":"signature_delta","signature":"EqQBCgIYAhIM"}}\n\n'
        'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        'event: content_block_start\ndata: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}\n\n',
        'event: content_block_delta\ndata: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"TEXT"}}\n\n',
        'event: content_block_stop\ndata: {"type":"content_block_stop","index":1}\n\n'
        'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
        '"usage":{"output_tokens":15}}\n\n'
        'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ),
)

_COUNTS = '{"processing":0,"succeeded":1,"errored":0,"canceled":0,"expired":0}'
_BATCH = f'{{"id":"msgbatch_1","type":"message_batch","processing_status":"ended","request_counts":{_COUNTS},"results_url":null}}'
_FILE = '{"id":"file_1","type":"file","filename":"notes.txt","mime_type":"text/plain","size_bytes":1024,"downloadable":false}'
_NOTHING = '{"data":[],"has_more":false,"first_id":null,"last_id":null}'
_MODEL = '{"type":"model","id":"m","display_name":"M","created_at":"2025-02-19T00:00:00Z"}'
_RESULT = (
    f'{{"custom_id":"first","result":{{"type":"succeeded","message":{_MESSAGE}}}}}\n'
    '{"custom_id":"second","result":{"type":"canceled"}}\n'
)


def _stored(surface: str, answer: str, **ids: str) -> Example:
    """A surface that takes no body and tells nobody's words."""
    return Example(surface, asks(""), says(answer), says=False, params=ids)


def _upload(text: str, model: str, stream: bool) -> bytes:
    return (
        '--edge\r\nContent-Disposition: form-data; name="file"; filename="notes.txt"\r\nContent-Type: text/plain\r\n\r\n'
        f"{text}\r\n--edge--\r\n"
    ).encode()


_BATCH_ID: Mapping[str, str] = {"batch_id": "msgbatch_1"}
_FILE_ID: Mapping[str, str] = {"file_id": "file_1"}

EXAMPLES: tuple[Example, ...] = (
    _MESSAGES,
    Example("messages.count_tokens", asks(f'{{"model": "MODEL", {_ASKED}}}'), says('{"input_tokens":14}'), says=False),
    Example(
        "batches.create",
        asks(f'{{"requests": [{{"custom_id": "first", "params": {{"model": "MODEL", "max_tokens": 9, {_ASKED}}}}}]}}'),
        says(_BATCH),
        says=False,
    ),
    _stored("batches.list", _NOTHING),
    _stored("batches.retrieve", _BATCH, **_BATCH_ID),
    _stored("batches.cancel", _BATCH, **_BATCH_ID),
    _stored("batches.delete", '{"id":"msgbatch_1","type":"message_batch_deleted"}', **_BATCH_ID),
    Example("batches.results", asks(""), says(_RESULT), whole_type="application/x-jsonl", params=_BATCH_ID),
    Example("files.create", _upload, says(_FILE), ask_type="multipart/form-data; boundary=edge", says=False),
    _stored("files.list", _NOTHING),
    _stored("files.retrieve", _FILE, **_FILE_ID),
    _stored("files.delete", '{"id":"file_1","type":"file_deleted"}', **_FILE_ID),
    Example("files.content", asks(""), says("any bytes\r\n"), whole_type="text/plain", says=False, params=_FILE_ID),
    _stored("models", f'{{"data":[{_MODEL}],"has_more":false,"first_id":"m","last_id":"m"}}'),
    _stored("models.get", _MODEL, model="m"),
)
