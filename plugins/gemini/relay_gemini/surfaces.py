"""The endpoints of the family, and which headers pass. A provider's base URL has no version: it is in each path.

Every operation stands once per version of the API. `v1beta` is the one that is documented and has the plain names; `generate.v1`
is what the Python client calls. https://ai.google.dev/api
"""

from __future__ import annotations

from typing import Literal

from relay.wire.dialect import Surface

Operation = Literal["generate", "generate.stream", "count_tokens", "embed", "embed.batch", "models", "models.get"]

VERSIONS: tuple[tuple[str, str], ...] = (("v1beta", ""), ("v1", ".v1"), ("v1alpha", ".v1alpha"))
_VERBS: tuple[tuple[Operation, str], ...] = (
    ("generate", "generateContent"),
    ("generate.stream", "streamGenerateContent"),
    ("count_tokens", "countTokens"),
    ("embed", "embedContent"),
    ("embed.batch", "batchEmbedContents"),
)


def _surfaces() -> tuple[tuple[Surface, Operation], ...]:
    made: list[tuple[Surface, Operation]] = []
    for version, mark in VERSIONS:
        at = f"/{version}/models"
        for name, verb in _VERBS:
            path = f"{at}/{{model}}:{verb}"
            made.append((Surface(name + mark, "POST", path, model="path", generates=name != "count_tokens"), name))
        made.append(
            (Surface("models" + mark, "GET", at, body="none", model="none", models="all", generates=False), "models")
        )
        one = Surface(
            "models.get" + mark, "GET", at + "/{model:path}", body="none", model="path", models="one", generates=False
        )
        made.append((one, "models.get"))
    return tuple(made)


_MADE = _surfaces()
SURFACES: tuple[Surface, ...] = tuple(surface for surface, _ in _MADE)
OPERATIONS: dict[str, Operation] = {surface.name: operation for surface, operation in _MADE}
"""What the surface of a name does, in whatever version."""

KEY_HEADERS: tuple[str, ...] = ("x-goog-api-key", "authorization")
KEY_QUERY = "key"

PASSES: tuple[str, ...] = ("retry-after", "server-timing", "x-gemini-service-tier", "x-request-id")
"""Headers of an answer that its client may see; nothing that names the deployer's account or the provider's machines."""

DROPS: tuple[str, ...] = (
    "x-goog-api-key",
    "authorization",
    "x-api-key",
    "api-key",
    "cookie",
    # Who pays, and on whose behalf, is not for the client to say.
    "x-goog-user-project",
    "x-goog-iam-",
    "x-goog-authenticated-user-",
    # They change what the request does, or hide the usage in its answer, where nobody looks.
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-goog-fieldmask",
    "x-goog-encode-response-if-executable",
    "origin",
    "referer",
    "sec-",
)
"""Headers of a request that never reach a provider: keys of every family, accounts at the provider, a browser's traces."""
