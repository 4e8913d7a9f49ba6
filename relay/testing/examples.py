"""What a dialect shows of itself to tests: for each surface a request and the answers to it, around a text of the test's own.

A dialect offers them in a module `examples` beside the one its class lives in: `EXAMPLES`, a tuple of `Example`, the first of
them the one that `Play.ask` uses. Those of the plain dialect stand here.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from relay.wire.dialect import Dialect
from relay.wire.sse import sse

JSON = "application/json"
SSE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Example:
    """One surface, as a client asks it and a provider answers it.

    `ask(text, model, stream)` is the request's body; `whole(text)` the body of an answer that says `text`; `stream(texts)` the frames
    of a streamed one that says them one after another, None where the surface does not stream. `says` is False for answers that hold
    no text (a list, a file's metadata): then `text` is ignored.
    """

    surface: str
    ask: Callable[[str, str, bool], bytes]
    whole: Callable[[str], bytes]
    stream: Callable[[Sequence[str]], list[bytes]] | None = None
    whole_type: str = JSON
    stream_type: str = SSE
    ask_type: str = JSON
    says: bool = True
    params: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    stream_query: str | None = None
    """The query of a streamed request, where it differs."""


def examples(dialect: Dialect) -> tuple[Example, ...]:
    """The examples of a dialect. :raises LookupError: it offers none."""
    name = f"{type(dialect).__module__.rpartition('.')[0]}.examples"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise LookupError(f"the dialect '{dialect.name}' offers no examples: there is no module {name}") from None
    found: tuple[Example, ...] = module.EXAMPLES
    return found


def example(dialect: Dialect, surface: str) -> Example:
    """The example of one surface. :raises LookupError: there is none."""
    for each in examples(dialect):
        if each.surface == surface:
            return each
    raise LookupError(f"the dialect '{dialect.name}' has no example of '{surface}'")


def asks(template: str, streamed: str = '"stream":true,') -> Callable[[str, str, bool], bytes]:
    """Requests made of JSON as it stands on the wire, in which `"TEXT"` and `"MODEL"` stand for what is asked and of whom.

    :param streamed: what is put behind the opening brace of a streamed request.
    """

    def ask(text: str, model: str, stream: bool) -> bytes:
        filled = _fill(template, TEXT=text, MODEL=model)
        return filled.replace(b"{", b"{" + streamed.encode(), 1) if stream else filled

    return ask


def says(template: str) -> Callable[[str], bytes]:
    """Whole answers made of JSON in which `"TEXT"` stands for what is said."""
    return lambda text: _fill(template, TEXT=text)


def frames(before: str, each: str, after: str) -> Callable[[Sequence[str]], list[bytes]]:
    """Streams of events, each with its empty line: the first ones, one for each text, and the last, in which `"TEXT"` is all of it."""

    def stream(texts: Sequence[str]) -> list[bytes]:
        middle = [_fill(each, TEXT=text) for text in texts]
        return [*_cut(before.encode()), *middle, *_cut(_fill(after, TEXT="".join(texts)))]

    return stream


def _fill(template: str, **values: str) -> bytes:
    filled = template.encode()
    for name, value in values.items():
        filled = filled.replace(b'"%b"' % name.encode(), orjson.dumps(value))
    return filled


def _cut(wire: bytes) -> list[bytes]:
    return re.findall(rb".+?(?:\r?\n){2}", wire, re.DOTALL)


def _ask(text: str, model: str, stream: bool) -> bytes:
    return orjson.dumps({"model": model, "text": text, **({"stream": True} if stream else {})})


def _whole(text: str) -> bytes:
    return orjson.dumps({"text": text, "usage": {"in": 3, "out": len(text)}, "stop": "end"})


def _stream(texts: Sequence[str]) -> list[bytes]:
    frames = [sse(orjson.dumps({"n": 0, "text": text})) for text in texts]
    frames.append(sse(orjson.dumps({"stop": "end", "usage": {"in": 3, "out": sum(map(len, texts))}})))
    return [*frames, sse(b"[END]")]


def _form(text: str, model: str, stream: bool) -> bytes:
    return (
        b'--edge\r\ncontent-disposition: form-data; name="model"\r\n\r\n%b\r\n'
        b'--edge\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n%b\r\n--edge--\r\n'
    ) % (model.encode(), text.encode())


def _nothing(text: str, model: str, stream: bool) -> bytes:
    return b""


EXAMPLES: tuple[Example, ...] = (
    Example("ask", _ask, _whole, _stream),
    Example("forms", _form, _whole, _stream, ask_type="multipart/form-data; boundary=edge"),
    Example("things.create", lambda *_: b"{}", lambda _: b'{"id":"thing_1"}', says=False),
    Example("things.list", _nothing, lambda _: b'{"data":[]}', says=False),
    Example("models", _nothing, lambda _: b'{"data":[]}', says=False),
)
