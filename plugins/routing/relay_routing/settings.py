"""Providers and models as a deployer writes them down."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from relay import Deadlines, Retry, Secret, Settings
from relay.values.place import Place
from relay_routing.faults import Faults, close_to
from relay_routing.names import Names

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")  # RFC 9110 §5.6.2, lower case
_PROXY = re.compile(r"https?://(?:[^\s/?#@]+@)?[^\s/?#@]+/?")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
# What frames and addresses the message is the relay's; a deployer's header there would contradict it.
_NOT_HEADERS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive", "expect")
)

Seconds = Annotated[float, Field(gt=0, le=86_400)]
ProviderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


def _header_pairs(headers: dict[str, str]) -> dict[str, str]:
    lower = {name.lower(): value for name, value in headers.items()}
    for name, value in lower.items():
        if _TOKEN.fullmatch(name) is None or name in _NOT_HEADERS:
            raise ValueError(
                f"found the header {name!r}, expected the name of a header that is not the connection's own"
            )
        if _VALUE.fullmatch(value) is None:
            raise ValueError(f"the value of the header {name!r} holds characters that cannot stand there")
    return lower


Headers = Annotated[dict[str, str], AfterValidator(_header_pairs)]


class RetrySettings(Settings):
    """When a target is tried again."""

    tries: int = Field(default=2, ge=1, le=10, description="How often a target is tried in all.")
    statuses: frozenset[int] = Field(default=Retry().statuses, description="Statuses after which it is tried again.")
    base: Seconds = Field(
        default=0.2, description="Seconds before the second try; doubled each time, with full jitter."
    )
    cap: Seconds = Field(default=5.0, description="Most seconds between two tries.")
    retry_after_cap: float = Field(
        default=10.0,
        ge=0,
        description="Most seconds of a provider's Retry-After that are waited; if it asks for more, the next target is taken.",
    )
    hedge_after: Seconds | None = Field(
        default=None,
        description="Seconds without content after which the next target is started beside this one; left out: never.",
    )

    def policy(self) -> Retry:
        return Retry(self.tries, self.statuses, self.base, self.cap, self.retry_after_cap, self.hedge_after)


class DeadlineSettings(Settings):
    """How long a target may take, in seconds."""

    connect: Seconds = Field(default=10.0, description="Seconds to connect.")
    first_byte: Seconds = Field(default=120.0, description="Seconds from the request to the first byte of the answer.")
    silence: Seconds = Field(default=120.0, description="Seconds between two pieces of the answer.")
    total: Seconds = Field(default=900.0, description="Seconds in all.")
    commit_after: Seconds = Field(
        default=30.0,
        description="Seconds after which the answer's head goes to the client though no content has come; then no other target is tried.",
    )

    def policy(self) -> Deadlines:
        return Deadlines(self.connect, self.first_byte, self.silence, self.total, self.commit_after)


class ProviderSettings(Settings):
    """One account at a provider."""

    dialect: str = Field(
        description="The wire format it speaks: `openai`, `anthropic`, `gemini` or another that is installed."
    )
    base_url: str = Field(description="Where it is, as its own SDK takes it.")
    key: Secret | None = Field(default=None, description="The credential; left out: none is sent.")
    headers: Headers = Field(default={}, description="Further headers of every request to it.")
    allow_private: bool = Field(
        default=False, description="It may have a private or local address, and be spoken to without TLS (`http://`)."
    )
    proxy: str | None = Field(default=None, description="The URL of a proxy to reach it through.")
    ca: Place | None = Field(
        default=None, description="A file of certificate authorities (PEM) to trust instead of the system's."
    )
    concurrent: int | None = Field(
        default=None, ge=1, description="Most requests at once, in each worker; left out: no limit."
    )
    retry: RetrySettings = Field(default=RetrySettings(), description="When it is tried again.")
    deadlines: DeadlineSettings = Field(default=DeadlineSettings(), description="How long it may take.")

    @field_validator("base_url")
    @classmethod
    def _is_a_place(cls, base_url: str) -> str:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https"):
            raise ValueError("found no scheme, expected https://…")
        if not parts.hostname:
            raise ValueError("found no host, expected https://host/…")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("found a user, a query or a fragment, expected only scheme, host and path")
        return base_url.rstrip("/")

    @field_validator("proxy")
    @classmethod
    def _is_a_proxy(cls, proxy: str | None) -> str | None:
        if proxy is not None and _PROXY.fullmatch(proxy) is None:
            # It may hold a password: so it is not shown.
            raise ValueError("found something else, expected http://host:port or http://user:password@host:port")
        return proxy


class TargetSettings(Settings):
    """One provider that can answer for a model."""

    provider: str = Field(description="The provider's name.")
    model: str | None = Field(
        default=None,
        min_length=1,
        description="The model's name there; `*` stands for what the pattern's `*` matched; left out: the same name.",
    )
    weight: float = Field(default=1.0, gt=0, description="Its share beside the others of its level.")
    fallback: int = Field(default=0, ge=0, description="Its level: 0 first; a higher one when those below it failed.")
    concurrent: int | None = Field(
        default=None, ge=1, description="Most requests at once for this model there, in each worker."
    )
    retry: RetrySettings | None = Field(default=None, description="What differs from the provider's `retry`.")
    deadlines: DeadlineSettings | None = Field(
        default=None, description="What differs from the provider's `deadlines`."
    )
    headers: Headers = Field(default={}, description="Further headers, beside the provider's.")


class BreakerSettings(Settings):
    """When a failing target is left alone. Each worker decides for itself."""

    failures: int = Field(default=5, ge=1, le=1000, description="So many failures in a row …")
    window: Seconds = Field(default=30.0, description="… within so many seconds open it: the target is skipped …")
    open: Seconds = Field(default=10.0, description="… for so many seconds.")
    half_open: int = Field(default=1, ge=1, description="Then so many requests at once may try whether it works again.")
    jitter: float = Field(
        default=0.2, ge=0, lt=1, description="How far `open` varies, so that workers do not all try at the same moment."
    )


class RoutingSettings(Settings):
    """Which providers there are, and which models they answer for."""

    providers: dict[ProviderName, ProviderSettings] = Field(description="Accounts at providers, by a name of your own.")
    models: dict[str, Annotated[list[TargetSettings], Field(min_length=1)]] = Field(
        default={},
        description="Models by the name clients use, or by a pattern with one `*`; the name itself, then the most specific pattern wins.",
    )
    listed: list[str] = Field(
        default=[], description="Names that match a pattern and are shown in lists of models, as other names are."
    )
    default_provider: dict[str, str] = Field(
        default={},
        description="Per dialect, the provider for requests that name no model (files, batches); left out: its first.",
    )
    breaker: BreakerSettings = Field(default=BreakerSettings(), description="When a failing target is left alone.")

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo) -> Self:
        faults = Faults("routing")
        context: Any = info.context
        self._check_providers(faults, context if isinstance(context, dict) else {})
        for name, targets in self.models.items():
            self._check_model(faults, name, targets)
        patterns = Names({name: None for name in self.models if "*" in name})
        for at, name in enumerate(self.listed):
            if "*" in name or patterns.find(name) is None:
                faults.note(
                    f"found {name!r}, expected a model's name that one of the patterns in `models` matches",
                    "listed",
                    at,
                )
        for dialect, chosen in self.default_provider.items():
            if chosen not in self.providers:
                faults.note(_one_of("provider", chosen, self.providers), "default_provider", dialect)
            elif self.providers[chosen].dialect != dialect:
                spoken = self.providers[chosen].dialect
                faults.note(
                    f"found {chosen!r}, which speaks {spoken}, expected a provider that speaks {dialect}",
                    "default_provider",
                    dialect,
                )
        faults.raise_any()
        return self

    def _check_providers(self, faults: Faults, context: dict[str, Any]) -> None:
        """Here and not with each provider, so that these faults are found together with the others.

        :param context: the rest of the configuration, as far as it is told.
        """
        for name, provider in self.providers.items():
            if "dialects" in context and provider.dialect not in context["dialects"]:
                faults.note(_one_of("dialect", provider.dialect, context["dialects"]), "providers", name, "dialect")
            if not provider.base_url.startswith("http://"):
                continue
            if context.get("plain_text") == "refuse":
                faults.note(
                    "found http://, expected https://, because of `plain_text: refuse`", "providers", name, "base_url"
                )
            elif not provider.allow_private:
                faults.note(
                    "found http://, expected https://; for a provider in your own network set `allow_private: true`",
                    "providers",
                    name,
                    "base_url",
                )

    def _check_model(self, faults: Faults, name: str, targets: list[TargetSettings]) -> None:
        if not name or name != name.strip():
            faults.note(f"found {name!r}, expected a name without spaces around it", "models", name)
        if name.count("*") > 1:
            faults.note(f"found {name!r}, expected a name or a pattern with one `*`", "models", name)
        for at, target in enumerate(targets):
            if target.provider not in self.providers:
                faults.note(_one_of("provider", target.provider, self.providers), "models", name, at, "provider")
            if target.model is not None and target.model.count("*") > ("*" in name):
                expected = "one `*` at most" if "*" in name else f"no `*`, because {name!r} is not a pattern"
                faults.note(f"found {target.model!r}, expected {expected}", "models", name, at, "model")


def _one_of(what: str, found: str, known: Any) -> str:
    names = sorted(known)
    hint = close_to(found, names)
    return f"found the {what} {found!r}, expected one of: {', '.join(names) or 'none is there'}" + (
        f"; did you mean {hint!r}?" if hint else ""
    )
