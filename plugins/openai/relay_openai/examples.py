"""A request and its answer for each surface, as they stand on the wire: for tests (see `relay.testing.examples`).

Not here: `realtime`, which is no request and no answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.testing.examples import Example, asks, frames, says

_MODEL = {"model": "m"}


def _object(surface: str, answer: str, request: str = "", *, texts: bool = False, **more: Any) -> Example:
    """A surface that handles stored objects. `texts`: its answer holds somebody's words."""
    ids: Mapping[str, str] = more.pop("ids", {})
    return Example(surface, asks(request), says(answer), says=texts, params=ids, **more)


def _form(fields: str, file: str) -> Any:
    """A multipart request of text fields and a file with the text in it."""

    def ask(text: str, model: str, stream: bool) -> bytes:
        named = [line.split("=", 1) for line in fields.replace("MODEL", model).split()]
        named += [["stream", "true"]] if stream else []
        parts = [f'content-disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in named]
        parts.append(
            f'content-disposition: form-data; name="{file}"; filename="file.bin"\r\n'
            f"content-type: application/octet-stream\r\n\r\n{text}"
        )
        return "".join([*(f"--edge\r\n{part}\r\n" for part in parts), "--edge--\r\n"]).encode()

    return ask


_FORM = "multipart/form-data; boundary=edge"
_MEASURED = '"stream":true,"stream_options":{"include_usage":true},'
_CHUNK = '"id":"chatcmpl-B9MHD","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-2024-08-06"'
_USAGE = '{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29}'
_SPENT = (
    '{"input_tokens":36,"input_tokens_details":{"cached_tokens":0},"output_tokens":87,'
    '"output_tokens_details":{"reasoning_tokens":0},"total_tokens":123}'
)

_CHAT = Example(
    "chat",
    asks(
        '{ "model": "MODEL", "messages": [{"role": "system", "content": "You are a \\u201chelpful\\u201d assistant."},'
        ' {"role": "user", "content": [{"type": "text", "text": "TEXT"}]}], "temperature": 1.0, "x_unknown": [1e2] }',
        _MEASURED,
    ),
    says(
        '{"id":"chatcmpl-B9MBs","object":"chat.completion","created":1741569952,"model":"gpt-4o-2024-08-06",'
        '"choices":[{"index":0,"message":{"role":"assistant","content":"TEXT","refusal":null,"annotations":[]},'
        f'"logprobs":null,"finish_reason":"stop"}}],"usage":{_USAGE},"service_tier":"default"}}\n'
    ),
    frames(
        f'data: {{{_CHUNK},"choices":[{{"index":0,"delta":{{"role":"assistant","content":""}},"finish_reason":null}}]}}\n\n',
        f'data: {{{_CHUNK},"choices":[{{"index":0,"delta":{{"content":"TEXT"}},"logprobs":null,"finish_reason":null}}],'
        '"obfuscation":"x7"}\n\n',
        f'data: {{{_CHUNK},"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],"usage":null}}\n\n'
        f'data: {{{_CHUNK},"choices":[],"usage":{_USAGE}}}\n\ndata: [DONE]\n\n',
    ),
)

_TEXT = '"id":"cmpl-uqkvl","object":"text_completion","created":1589478378,"model":"gpt-3.5-turbo-instruct"'
_COMPLETIONS = Example(
    "completions",
    asks('{"model": "MODEL", "prompt": "TEXT", "max_tokens": 7}', _MEASURED),
    says(
        f'{{{_TEXT},"choices":[{{"text":"TEXT","index":0,"logprobs":null,"finish_reason":"length"}}],"usage":{_USAGE}}}'
    ),
    frames(
        "",
        f'data: {{{_TEXT},"choices":[{{"text":"TEXT","index":0,"logprobs":null,"finish_reason":null}}]}}\n\n',
        f'data: {{{_TEXT},"choices":[{{"text":"","index":0,"logprobs":null,"finish_reason":"length"}}]}}\n\n'
        f'data: {{{_TEXT},"choices":[],"usage":{_USAGE}}}\n\ndata: [DONE]\n\n',
    ),
)

_HEAD = '"id":"resp_67ccd2be","object":"response","created_at":1741476542,"error":null,"model":"gpt-4.1-2025-04-14"'
_PART = '{"type":"output_text","annotations":[],"text":"TEXT"}'
_ITEM = f'{{"type":"message","id":"msg_67ccd2bf","status":"completed","role":"assistant","content":[{_PART}]}}'
_RESPONSE = f'{{{_HEAD},"status":"completed","output":[{_ITEM}],"store":true,"usage":{_SPENT}}}'
_STARTED = f'{{{_HEAD},"status":"in_progress","output":[],"store":true,"usage":null}}'
_AT = '"item_id":"msg_67ccd2bf","output_index":0,"content_index":0'
_RESPONSES = Example(
    "responses",
    asks('{"model": "MODEL", "input": [{"role": "user", "content": [{"type": "input_text", "text": "TEXT"}]}]}'),
    says(_RESPONSE),
    frames(
        f'event: response.created\ndata: {{"type":"response.created","sequence_number":0,"response":{_STARTED}}}\n\n'
        f'event: response.in_progress\ndata: {{"type":"response.in_progress","response":{_STARTED}}}\n\n'
        'event: response.output_item.added\ndata: {"type":"response.output_item.added","output_index":0,"item":'
        '{"id":"msg_67ccd2bf","type":"message","status":"in_progress","role":"assistant","content":[]}}\n\n'
        f'event: response.content_part.added\ndata: {{"type":"response.content_part.added",{_AT},"part":'
        '{"type":"output_text","text":"","annotations":[]}}\n\n',
        f'event: response.output_text.delta\ndata: {{"type":"response.output_text.delta",{_AT},"delta":"TEXT"}}\n\n',
        f'event: response.output_text.done\ndata: {{"type":"response.output_text.done",{_AT},"text":"TEXT"}}\n\n'
        f'event: response.content_part.done\ndata: {{"type":"response.content_part.done",{_AT},"part":{_PART}}}\n\n'
        f'event: response.output_item.done\ndata: {{"type":"response.output_item.done","output_index":0,"item":{_ITEM}}}\n\n'
        f'event: response.completed\ndata: {{"type":"response.completed","sequence_number":9,"response":{_RESPONSE}}}\n\n',
    ),
)

_PICTURES = f'{{"created":1713833628,"data":[{{"b64_json":"iVBORw0KGgo="}}],"usage":{_SPENT}}}'
_PICTURE = frames(
    "",
    'event: image_edit.partial_image\ndata: {"type":"image_edit.partial_image","b64_json":"iVBORw0K","partial_image_index":0}\n\n',
    f'event: image_edit.completed\ndata: {{"type":"image_edit.completed","b64_json":"iVBORw0KGgo=","usage":{_SPENT}}}\n\n',
)
_SPOKEN = (
    '{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":45,'
    '"total_tokens":59}'
)
_MODELS_MADE: tuple[Example, ...] = (
    Example(
        "embeddings",
        asks('{"model": "MODEL", "input": ["TEXT", "and more"], "encoding_format": "float"}'),
        says(
            '{"object":"list","data":[{"object":"embedding","embedding":[0.0023064255,-0.009327292],"index":0}],'
            '"model":"text-embedding-ada-002","usage":{"prompt_tokens":8,"total_tokens":8}}'
        ),
        says=False,
    ),
    Example(
        "moderations",
        asks('{"model": "MODEL", "input": "TEXT"}'),
        says(
            '{"id":"modr-AB8C","model":"omni-moderation","results":[{"flagged":false,"category_scores":{"hate":1e-7}}]}'
        ),
        says=False,
    ),
    Example(
        "rerank",
        asks(
            '{"model": "MODEL", "query": "TEXT", "documents": ["Carson City", "Washington"], "return_documents": true}'
        ),
        says(
            '{"results":[{"index":1,"relevance_score":0.98,"document":{"text":"TEXT"}}],"meta":{"billed_units":{"search_units":1}}}'
        ),
    ),
    Example(
        "images.generations",
        asks('{"model": "MODEL", "prompt": "TEXT", "n": 1}'),
        says('{"created":1713833628,"data":[{"url":"https://images.example/1.png","revised_prompt":"TEXT"}]}'),
    ),
    Example(
        "images.edits", _form("model=MODEL prompt=hat", "image"), says(_PICTURES), _PICTURE, ask_type=_FORM, says=False
    ),
    Example("images.variations", _form("model=MODEL n=1", "image"), says(_PICTURES), ask_type=_FORM, says=False),
    Example(
        "audio.speech",
        asks('{"model": "MODEL", "input": "TEXT", "voice": "alloy"}', '"stream_format":"sse",'),
        lambda text: b"\xff\xf3\x64\xc4" + text.encode(),
        frames(
            "",
            'data: {"type":"speech.audio.delta","audio":"//NkxA=="}\n\n',
            f'data: {{"type":"speech.audio.done","usage":{_SPENT}}}\n\n',
        ),
        whole_type="audio/mpeg",
        says=False,
    ),
    Example(
        "audio.transcriptions",
        _form("model=MODEL response_format=json", "file"),
        says(f'{{"text":"TEXT","usage":{_SPOKEN}}}'),
        frames(
            "",
            'data: {"type":"transcript.text.delta","delta":"TEXT"}\n\n',
            f'data: {{"type":"transcript.text.done","text":"TEXT","usage":{_SPOKEN}}}\n\n',
        ),
        ask_type=_FORM,
    ),
    Example("audio.translations", _form("model=MODEL", "file"), says('{"text":"TEXT"}'), ask_type=_FORM),
    _object(
        "responses.input_tokens",
        '{"object":"response.input_tokens","input_tokens":11}',
        '{"model":"MODEL","input":"TEXT"}',
    ),
    Example("responses.compact", asks('{"model":"MODEL","input":[{"role":"user","content":"TEXT"}]}'), says(_RESPONSE)),
)

_NOTHING = '{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'
_STORED = '{"object":"chat.completion","id":"chatcmpl-1","model":"gpt-4o","choices":[{"index":0,"message":{"content":"TEXT"}}]}'
_FILE = '{"id":"file-1","object":"file","bytes":120000,"created_at":1677610602,"filename":"TEXT","purpose":"batch"}'
_UPLOAD = '{"id":"upload_1","object":"upload","bytes":2147483648,"filename":"TEXT","status":"pending"}'
_BATCH = (
    '{"id":"batch_1","object":"batch","endpoint":"/v1/chat/completions","input_file_id":"file-1","status":"validating"}'
)
_STORE = '{"id":"vs_1","object":"vector_store","name":"TEXT","file_counts":{"total":0}}'
_STORED_FILE = (
    '{"id":"file-1","object":"vector_store.file","vector_store_id":"vs_1","status":"completed","last_error":null}'
)
_STORE_BATCH = '{"id":"vsfb_1","object":"vector_store.file_batch","vector_store_id":"vs_1","status":"in_progress"}'
_CONTAINER = '{"id":"cntr_1","object":"container","name":"TEXT","status":"running"}'
_CONTAINER_FILE = '{"id":"cfile_1","object":"container.file","container_id":"cntr_1","path":"/mnt/data/a.txt"}'
_CONVERSATION = '{"id":"conv_1","object":"conversation","created_at":1741900000,"metadata":{"topic":"demo"}}'
_WORDS = '{"type":"message","id":"msg_1","role":"user","content":[{"type":"input_text","text":"TEXT"}]}'
_WORD_LIST = f'{{"object":"list","data":[{_WORDS}],"has_more":false}}'
_ASKED = '{"items":[{"type":"message","role":"user","content":[{"type":"input_text","text":"TEXT"}]}]}'


def _gone(id: str) -> str:
    return f'{{"id":"{id}","object":"deleted","deleted":true}}'


_COMPLETION, _RESP, _CONV = {"completion_id": "chatcmpl-1"}, {"response_id": "resp_1"}, {"conversation_id": "conv_1"}
_F, _U, _B, _C = {"file_id": "file-1"}, {"upload_id": "upload_1"}, {"batch_id": "batch_1"}, {"container_id": "cntr_1"}
_V: Mapping[str, str] = {"vector_store_id": "vs_1"}
_VB: Mapping[str, str] = {**_V, "batch_id": "vsfb_1"}
_CF: Mapping[str, str] = {**_C, "file_id": "cfile_1"}
_ONE_ITEM: Mapping[str, str] = {**_CONV, "item_id": "msg_1"}

_OBJECTS: tuple[Example, ...] = (
    _object("chat.list", _NOTHING),
    _object("chat.retrieve", _STORED, ids=_COMPLETION, texts=True),
    _object("chat.update", _STORED, '{"metadata":{"foo":"bar"}}', ids=_COMPLETION, texts=True),
    _object("chat.delete", _gone("chatcmpl-1"), ids=_COMPLETION),
    _object("chat.messages", '{"object":"list","data":[{"id":"msg-0","role":"user","content":"TEXT"}]}', ids=_COMPLETION, texts=True),
    _object("responses.retrieve", _RESPONSE, ids=_RESP, texts=True),
    _object("responses.delete", _gone("resp_1"), ids=_RESP),
    _object("responses.cancel", _RESPONSE, ids=_RESP, texts=True),
    _object("responses.input_items", _WORD_LIST, ids=_RESP, texts=True),
    _object("conversations.create", _CONVERSATION, _ASKED),
    _object("conversations.retrieve", _CONVERSATION, ids=_CONV),
    _object("conversations.update", _CONVERSATION, '{"metadata":{"topic":"demo"}}', ids=_CONV),
    _object("conversations.delete", _gone("conv_1"), ids=_CONV),
    _object("conversations.items.create", _WORD_LIST, _ASKED, ids=_CONV, texts=True),
    _object("conversations.items.list", _WORD_LIST, ids=_CONV, texts=True),
    _object("conversations.items.retrieve", _WORDS, ids=_ONE_ITEM, texts=True),
    _object("conversations.items.delete", _CONVERSATION, ids=_ONE_ITEM),
    Example("files.create", _form("purpose=batch", "file"), says(_FILE), ask_type=_FORM),
    _object("files.list", _NOTHING),
    _object("files.retrieve", _FILE, ids=_F, texts=True),
    _object("files.delete", _gone("file-1"), ids=_F),
    _object("files.content", '{"any": "bytes"}\r\n', ids=_F, whole_type="application/octet-stream"),
    _object("uploads.create", _UPLOAD, '{"purpose":"batch","filename":"TEXT","bytes":10,"mime_type":"text/jsonl"}', texts=True),
    Example("uploads.parts", _form("", "data"), says('{"id":"part_1","object":"upload.part","upload_id":"upload_1"}'), ask_type=_FORM,
            says=False, params=_U),
    _object("uploads.complete", f'{{"id":"upload_1","object":"upload","status":"completed","file":{_FILE}}}',
            '{"part_ids":["part_1"],"md5":"d41d8cd9"}', ids=_U),
    _object("uploads.cancel", _UPLOAD, ids=_U, texts=True),
    _object("batches.create", _BATCH, '{"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h"}'),
    _object("batches.list", _NOTHING),
    _object("batches.retrieve", _BATCH, ids=_B),
    _object("batches.cancel", _BATCH, ids=_B),
    _object("vector_stores.create", _STORE, '{"name":"TEXT","file_ids":["file-1"]}', texts=True),
    _object("vector_stores.list", _NOTHING),
    _object("vector_stores.retrieve", _STORE, ids=_V, texts=True),
    _object("vector_stores.update", _STORE, '{"name":"TEXT"}', ids=_V, texts=True),
    _object("vector_stores.delete", _gone("vs_1"), ids=_V),
    _object("vector_stores.search",
            '{"object":"vector_store.search_results.page","data":[{"file_id":"file-1","score":0.95,"content":[{"type":"text","text":"TEXT"}]}]}',
            '{"query":"TEXT","filters":null}', ids=_V, texts=True),
    _object("vector_stores.files.create", _STORED_FILE, '{"file_id":"file-1"}', ids=_V),
    _object("vector_stores.files.list", _NOTHING, ids=_V),
    _object("vector_stores.files.retrieve", _STORED_FILE, ids={**_V, **_F}),
    _object("vector_stores.files.delete", _gone("file-1"), ids={**_V, **_F}),
    _object("vector_stores.files.update", _STORED_FILE, '{"attributes":{"key1":"value1"}}', ids={**_V, **_F}),
    _object("vector_stores.files.content", '{"object":"vector_store.file_content.page","data":[{"type":"text","text":"TEXT"}]}',
            ids={**_V, **_F}, texts=True),
    _object("vector_stores.batches.create", _STORE_BATCH, '{"file_ids":["file-1"]}', ids=_V),
    _object("vector_stores.batches.retrieve", _STORE_BATCH, ids=_VB),
    _object("vector_stores.batches.cancel", _STORE_BATCH, ids=_VB),
    _object("vector_stores.batches.files", _NOTHING, ids=_VB),
    _object("containers.create", _CONTAINER, '{"name":"TEXT"}', texts=True),
    _object("containers.list", _NOTHING),
    _object("containers.retrieve", _CONTAINER, ids=_C, texts=True),
    _object("containers.delete", _gone("cntr_1"), ids=_C),
    _object("containers.files.create", _CONTAINER_FILE, '{"file_id":"file-1"}', ids=_C),
    _object("containers.files.list", _NOTHING, ids=_C),
    _object("containers.files.retrieve", _CONTAINER_FILE, ids=_CF),
    _object("containers.files.delete", _gone("cfile_1"), ids=_CF),
    _object("containers.files.content", "plain bytes", ids=_CF, whole_type="application/binary"),
    _object("models", '{"object":"list","data":[{"id":"m","object":"model","created":1686935002,"owned_by":"organization"}]}'),
    _object("models.get", '{"id":"m","object":"model","created":1686935002,"owned_by":"openai"}', ids=_MODEL),
)  # fmt: skip

EXAMPLES: tuple[Example, ...] = (_CHAT, _COMPLETIONS, _RESPONSES, *_MODELS_MADE, *_OBJECTS)
