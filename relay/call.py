"""A call: what is asked, closed, with every text in its place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import orjson

from relay.errors import ContentClosed, Refused
from relay.values.content import CORE, Content
from relay.values.content import Reader as ContentReader
from relay.wire import lens, multipart
from relay.wire.dialect import Dialect, Surface
from relay.wire.vocabulary import TEXT_KINDS, Event, Kind, Path, only_known


class Call:
    """What is asked: surface, model, parameters, headers and the body, closed. `attempt.call` is a copy for one target."""

    __slots__ = (
        "_document",
        "body",
        "dialect",
        "headers",
        "model",
        "params",
        "query",
        "stream",
        "surface",
        "upload",
        "upload_size",
    )

    def __init__(
        self,
        dialect: Dialect,
        surface: Surface,
        *,
        params: Mapping[str, str] | None = None,
        query: str = "",
        headers: Sequence[tuple[str, str]] = (),
        body: Content | None = None,
        document: Any = None,
        model: str | None = None,
        stream: bool = False,
        upload: AsyncIterator[bytes] | None = None,
        upload_size: int | None = None,
    ) -> None:
        self.dialect = dialect
        self.surface = surface
        self.params: Mapping[str, str] = params or {}
        self.query = query
        self.headers = tuple(headers)
        self.body = body if body is not None else Content(b"")
        self.model = model
        self.stream = stream
        self.upload = upload
        """What follows `body` when the request is streamed (multipart): then there is one attempt only."""
        self.upload_size = upload_size
        """How many bytes of it there are, if the client said so."""
        self._document = document

    @property
    def replayable(self) -> bool:
        """Can it be sent again? A streamed upload cannot."""
        return self.upload is None

    def document(self, reader: ContentReader) -> Any:
        """The JSON body, parsed once. It is shared: do not change it. :raises ContentClosed: reader reads no content."""
        if not reader.reads_content:
            raise ContentClosed("a call's document is opened only by what declares reads_content")
        if self._document is None and self.surface.body == "json" and self.body.size:
            self._document = orjson.loads(self.body.data(CORE))
        return self._document

    def events(self, *kinds: Kind) -> list[Event]:
        """The texts of the call, each with its place; their words stay closed."""
        only_known(kinds)
        document = self.document(CORE)
        return [] if document is None else list(self.dialect.read_call(self.surface, document, kinds))

    def rewrite(self, reader: ContentReader, fn: Callable[[str], str], *kinds: Kind) -> int:
        """Replace strings wherever they stand; every other byte stays. Returns how many were changed.

        `tool_args` are given as JSON source and must come back as JSON source.

        :raises Refused: `ambiguous_body`: a member stands twice, and only one of them can be seen; `not_understood`: a part of the
            call could hold text and is not understood, and `opaque` was not named.
        """
        if not reader.reads_content:
            raise ContentClosed("a call is rewritten only by what declares reads_content")
        only_known(kinds, TEXT_KINDS | {"opaque"})
        changes: dict[Path, bytes] = {}
        body = self.body.data(CORE)
        if self.surface.body == "json" and body:
            try:
                lens.refuse_doubles(body)
            except lens.DuplicateKey:
                raise Refused("ambiguous_body", "An object of the body names a member twice.") from None
        for event in self.events(*{*kinds, "opaque"}):
            if event.kind == "opaque":
                if "opaque" not in kinds:
                    raise Refused("not_understood")
            elif isinstance(event.value, Content):
                before = lens.source(body, event.where).decode() if event.source else event.value.text(CORE)
                after = fn(before)
                if after != before:
                    changes[event.where] = after.encode() if event.source else lens.string(after)
        if changes:
            self.body = Content(lens.replace(body, changes))
            self._document = None
        return len(changes)

    def renamed(self, model: str | None) -> Call:
        """A copy that asks for another model, everything else as it is."""
        copy = Call(
            self.dialect,
            self.surface,
            params=self.params,
            query=self.query,
            headers=self.headers,
            body=self.body,
            document=self._document,
            model=self.model,
            stream=self.stream,
            upload=self.upload,
            upload_size=self.upload_size,
        )
        if model is None or model == self.model:
            return copy
        copy.model = model
        if self.surface.body == "json" and self.body.size:
            body = self.dialect.rename(self.surface, self.body.data(CORE), self.document(CORE), model)
            copy.body, copy._document = Content(body), None
        elif self.surface.body == "multipart" and (boundary := multipart.boundary(self._header("content-type"))):
            copy.body = Content(multipart.replace(self.body.data(CORE), boundary, "model", model))
        return copy

    def _header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")
