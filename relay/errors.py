"""One tree of errors, and one registry of the codes that an API client can meet.

RelayError
├── ConfigurationError      the configuration cannot be used; carries every problem with its place
├── Refused                 a request is refused, from any hook, with a registered code
├── StreamBroken            a reply ended before it was whole; carries the code its reader sees
└── ContentClosed           somebody tried to open content without having declared that it reads it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


class RelayError(Exception):
    """The root of everything Relay raises on purpose."""


@dataclass(frozen=True, slots=True)
class Code:
    """What an API client meets when Relay refuses: a stable code, its HTTP status, and what it means.

    `meaning` is the sentence the client reads when the refusal gives none of its own; the documentation prints it too.
    """

    code: str
    status: int
    meaning: str


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in a configuration, and where: `file:line:column: message` (line and column count from 1)."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ConfigurationError(RelayError):
    """The configuration cannot be used. `problems` are all that were found, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


class Refused(RelayError):
    """A request is refused: raise it from any hook.

    :param code: a code of the core or one the plugin lists in `errors`; its status is the answer's.
    :param message: one sentence for the client. It never holds content, keys, addresses or upstream's words.
    :param retry_after_s: seconds until it is worth trying again; becomes `Retry-After`.
    :param headers: further headers of the answer.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        retry_after_s: float | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        self.headers = headers


class StreamBroken(RelayError):
    """A reply ended before it was whole. `code` is the registered code of the error event that its reader gets."""

    def __init__(self, code: str, message: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


class ContentClosed(RelayError, PermissionError):
    """Content was opened by something that has not declared `reads_content`."""


CORE_CODES: tuple[Code, ...] = (
    Code("bad_request", 400, "The request cannot be understood."),
    Code("invalid_json", 400, "The body is not valid JSON."),
    Code("ambiguous_body", 400, "The body names a member twice that decides where the request goes."),
    Code("not_understood", 400, "A part of the request is not understood by a plugin that must read all of it."),
    Code("invalid_path", 400, "The path or the model name in it holds characters that cannot stand there."),
    Code("unknown_host", 400, "The Host header names a host this relay does not answer for."),
    Code("plain_text_refused", 403, "Plain HTTP is refused here: use https."),
    Code("not_found", 404, "There is nothing at this path."),
    Code("method_not_allowed", 405, "This path does not answer this method."),
    Code("object_not_found", 404, "There is no such object."),
    Code("request_timeout", 408, "The request was not sent in time."),
    Code("too_large", 413, "The body is larger than this relay accepts."),
    Code("unsupported_encoding", 415, "The content encoding of the body is not supported."),
    Code("expectation_failed", 417, "Of all expectations only 100-continue is understood."),
    Code("upgrade_required", 426, "This path speaks WebSocket only."),
    Code("head_too_large", 431, "The request's head is larger than this relay accepts."),
    Code("plugin_failed", 500, "A part of the relay failed. Nothing was sent to a provider."),
    Code("reply_failed", 500, "A part of the relay failed while the answer was on its way."),
    Code("upstream_failed", 502, "The provider could not be reached or broke off."),
    Code("upstream_refused", 502, "The provider's address is not allowed."),
    Code("upstream_invalid", 502, "The provider's answer could not be understood."),
    Code("upstream_incomplete", 502, "The provider's answer ended before it was complete."),
    Code("upstream_too_large", 502, "The provider's answer is larger than this relay accepts."),
    Code("upstream_credential", 502, "The provider does not accept this relay's credential."),
    Code("object_elsewhere", 400, "The model is not offered by the provider account that holds the named objects."),
    Code("upstream_error", 502, "The provider reported an error while it was answering."),
    Code("no_target", 503, "No provider can take this request at the moment."),
    Code("surface_not_offered", 501, "The chosen provider does not offer this operation."),
    Code("not_ready", 503, "The relay is starting or stopping."),
    Code("upstream_timeout", 504, "The provider did not answer in time."),
    Code("deadline", 504, "The relay did not get ready to send the request in time."),
    Code("stopped", 503, "The answer was stopped by the relay."),
    Code("too_deep", 508, "Requests made by plugins are nested too deeply."),
)
