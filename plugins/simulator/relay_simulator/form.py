"""Multipart bodies, read from their bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import BodyPartReader, MultipartReader, StreamReader
from aiohttp.base_protocol import BaseProtocol

from relay_simulator.ask import Document
from relay_simulator.fault import Fault


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form."""

    filename: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """A form: plain fields as text (the last of a name wins; `name[]` gives a list), and files."""

    fields: Document = field(default_factory=dict)
    files: Mapping[str, list[Upload]] = field(default_factory=dict)

    def file(self, *names: str) -> Upload:
        """The first file under one of these names. :raises Fault: 400."""
        for name in names:
            if found := self.files.get(name):
                return found[0]
        raise Fault(
            400, f"Missing required parameter: '{names[0]}'.", code="missing_required_parameter", param=names[0]
        )


async def read_form(content_type: str, body: bytes) -> Form:
    """:raises Fault: 400 for a body that is not the multipart it claims to be."""
    loop = asyncio.get_running_loop()
    # The body is here as a whole: there is nobody who could be told to send more slowly, so its size is the limit.
    stream = StreamReader(BaseProtocol(loop), len(body), loop=loop)
    stream.feed_data(body)
    stream.feed_eof()
    fields: Document = {}
    files: dict[str, list[Upload]] = {}
    try:
        async for part in MultipartReader({"Content-Type": content_type}, stream):
            if not isinstance(part, BodyPartReader) or not part.name:
                raise Fault(400, "The form has a part without a name.")
            data = bytes(await part.read(decode=True))
            if part.filename is not None:
                kind = part.headers.get("Content-Type", "application/octet-stream")
                files.setdefault(part.name.removesuffix("[]"), []).append(Upload(part.filename, kind, data))
            elif part.name.endswith("[]"):
                fields.setdefault(part.name[:-2], []).append(data.decode())
            else:
                fields[part.name] = data.decode()
    except ValueError as wrong:
        raise Fault(400, "The body is not a valid multipart form.") from wrong
    return Form(fields, files)
