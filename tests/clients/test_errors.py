"""Whatever goes wrong arrives as the exception that the official client raises for it, with Relay's code readable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors

from .served import Served

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")


Clients = dict[tuple[str, str], Any]
"""By dialect and key. They do not try again by themselves."""


class Dialect:
    """A client of one provider, asked in one way."""

    def __init__(self, name: str, relay: Served, clients: Clients) -> None:
        self.name = name
        self._relay = relay
        self._clients = clients
        self.model = {"openai": "gpt", "anthropic": "claude", "gemini": "gemini"}[name]

    def ask(self, text: str, *, model: str = "once", key: str = "one", stream: bool = False) -> None:
        model = f"{self.model}-{model}"
        secret = self._relay.keys.get(key, key)
        client = self._client(secret)
        if self.name == "gemini":
            ask = client.models.generate_content_stream if stream else client.models.generate_content
            answer = ask(model=model, contents=text)
        elif self.name == "anthropic":
            answer = client.messages.create(model=model, max_tokens=50, messages=_said(text), stream=stream)
        else:
            answer = client.chat.completions.create(model=model, messages=_said(text), stream=stream)
        if stream:
            list(answer)

    def _client(self, secret: str) -> Any:
        client = self._clients.get((self.name, secret))
        if client is None:
            if self.name == "openai":
                client = openai.OpenAI(base_url=f"{self._relay.url}/v1", api_key=secret, max_retries=0)
            elif self.name == "anthropic":
                client = anthropic.Anthropic(base_url=self._relay.url, api_key=secret, max_retries=0)
            else:
                client = genai.Client(api_key=secret, http_options={"base_url": self._relay.url})
            self._clients[self.name, secret] = client
        return client


def _said(text: str) -> Any:
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    made: Clients = {}
    yield made
    for client in made.values():
        client.close()


@pytest.fixture(params=["openai", "anthropic", "gemini"])
def dialect(request: pytest.FixtureRequest, relay: Served, clients: Clients) -> Dialect:
    return Dialect(request.param, relay, clients)


def raised(do: Callable[[], None]) -> tuple[type[Exception], int | None, str | None, Any]:
    """The class of the exception, its status, Relay's code in its body, and the answer."""
    try:
        do()
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        return type(error), error.status_code, _code(error.body), error.response
    except (openai.APIError, anthropic.APIError) as error:
        return type(error), None, _code(error.body), None
    except errors.APIError as error:
        return type(error), error.code, _code(error.details), error.response
    raise AssertionError("nothing was raised")


def _code(body: Any) -> str | None:
    """Where each dialect has room for a code of its own."""
    if not isinstance(body, dict):
        return None
    error = body.get("error", body)
    if isinstance(details := error.get("details"), dict):
        code: str | None = details.get("error_code")
        return code
    if isinstance(details, list):
        return next((each["reason"] for each in details if "reason" in each), None)
    return error.get("code") if isinstance(error.get("code"), str) else None


def expected(dialect: Dialect, name: str) -> type[Exception]:
    """The class that a client has for it; Google's has two."""
    if dialect.name == "gemini":
        is_ours = name in ("InternalServerError", "OverloadedError", "DeadlineExceededError", "ServiceUnavailableError")
        return errors.ServerError if is_ours else errors.ClientError
    found: type[Exception] = getattr(openai if dialect.name == "openai" else anthropic, name)
    return found


def test_a_bad_key_is_an_authentication_error(dialect: Dialect) -> None:
    kind, status, code, _ = raised(lambda: dialect.ask("Hi", key="rk_live_nobody"))

    assert (expected(dialect, "AuthenticationError"), 401, "invalid_key") == (kind, status, code)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/chat/completions", {}),
        ("/v1/messages", {"anthropic-version": "2023-06-01"}),
        ("/v1/models/gemini-once:generateContent", {}),
    ],
)
def test_no_key_is_a_401(relay: Served, path: str, headers: dict[str, str]) -> None:
    body = {"contents": []} if "gemini" in path else {"model": "gpt-once", "max_tokens": 1, "messages": []}

    answer = httpx2.post(relay.url + path, json=body, headers=headers)

    assert 401 == answer.status_code
    assert "no_key" == answer.headers["x-relay-error"]


def test_a_key_from_another_network_is_a_permission_error(dialect: Dialect) -> None:
    kind, status, code, _ = raised(lambda: dialect.ask("Hi", key="far"))

    assert (expected(dialect, "PermissionDeniedError"), 403, "address_not_allowed") == (kind, status, code)


def test_a_key_for_other_models_is_a_permission_error(dialect: Dialect) -> None:
    kind, status, code, _ = raised(lambda: dialect.ask("Hi", key="narrow", model="once"))

    assert (expected(dialect, "PermissionDeniedError"), 403, "model_not_allowed") == (kind, status, code)


def test_a_key_for_other_operations_is_a_permission_error(relay: Served) -> None:
    with (
        openai.OpenAI(base_url=f"{relay.url}/v1", api_key=relay.keys["narrow"], max_retries=0) as client,
        pytest.raises(openai.PermissionDeniedError) as error,
    ):
        client.files.list()

    assert "surface_not_allowed" == error.value.code


def test_an_unknown_model_is_not_found(dialect: Dialect) -> None:
    dialect.model = "mystery"

    kind, status, code, answer = raised(lambda: dialect.ask("Hi", model="1"))

    assert (expected(dialect, "NotFoundError"), 404) == (kind, status)
    assert code == ("model_not_found" if dialect.name == "openai" else "unknown_model")
    assert answer is not None
    assert "unknown_model" == answer.headers["x-relay-error"]


def test_a_misspelt_model_is_answered_with_the_nearest(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Did you mean 'gpt-4o-mini'"):
        openai_client.chat.completions.create(model="gbt-4o-mini", messages=[{"role": "user", "content": "Hi"}])


def test_a_path_that_is_none_is_not_found(relay: Served) -> None:
    with (
        openai.OpenAI(base_url=f"{relay.url}/v1", api_key=relay.keys["one"]) as client,
        pytest.raises(openai.NotFoundError) as error,
    ):
        client.fine_tuning.jobs.list()

    assert "not_found" == error.value.code


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/chat/completions", {}),
        ("/v1/messages", {"anthropic-version": "2023-06-01"}),
        ("/v1/models/gemini-once:generateContent", {"x-goog-api-client": "test"}),
    ],
)
def test_a_body_that_is_not_json_is_a_400(relay: Served, path: str, headers: dict[str, str]) -> None:
    headers = {**headers, "authorization": f"Bearer {relay.keys['one']}", "content-type": "application/json"}

    answer = httpx2.post(relay.url + path, content=b'{"model": ', headers=headers)

    assert 400 == answer.status_code
    assert "invalid_json" == answer.headers["x-relay-error"]
    assert "error" in answer.json()


def test_a_request_without_a_model_is_a_bad_request(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        openai_client.post("/chat/completions", body={"messages": []}, cast_to=object)

    assert "bad_request" == error.value.code


def test_a_request_that_is_too_large_is_told_so(dialect: Dialect) -> None:
    text = "x" * (33 * 1024 * 1024)

    kind, status, code, _ = raised(lambda: dialect.ask(text))

    assert (413, "too_large") == (status, code)
    if dialect.name == "anthropic":
        assert anthropic.RequestTooLargeError is kind


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (502, "InternalServerError"),
        (503, "InternalServerError"),
        (504, "InternalServerError"),
        (529, "InternalServerError"),
    ],
)
def test_the_providers_own_error_comes_through(dialect: Dialect, status: int, name: str, stream: bool) -> None:
    kind, found, _, answer = raised(lambda: dialect.ask(f"[[sim status={status}]]", stream=stream))

    assert status == found
    assert issubclass(kind, expected(dialect, name))
    assert answer is not None
    assert "x-relay-id" in answer.headers


@pytest.mark.parametrize("status", [401, 403])
def test_that_the_provider_refuses_the_relays_own_key_is_not_the_callers_fault(dialect: Dialect, status: int) -> None:
    kind, found, code, _ = raised(lambda: dialect.ask(f"[[sim status={status}]]"))

    assert (502, "upstream_credential") == (found, code)
    assert issubclass(kind, expected(dialect, "InternalServerError"))


def test_a_rate_limit_says_when_to_try_again(dialect: Dialect) -> None:
    kind, status, _, answer = raised(lambda: dialect.ask("[[sim status=429 retry_after=7]]"))

    assert (expected(dialect, "RateLimitError"), 429) == (kind, status)
    assert answer is not None
    assert "7" == answer.headers["retry-after"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_hangs_up_is_a_bad_gateway(dialect: Dialect, stream: bool) -> None:
    kind, status, _, answer = raised(lambda: dialect.ask("[[sim cut]]", stream=stream))

    assert 502 == status
    assert issubclass(kind, expected(dialect, "InternalServerError"))
    assert answer is not None
    assert "x-relay-error" in answer.headers


@pytest.mark.parametrize("stream", [False, True])
def test_a_silent_provider_is_a_timeout(dialect: Dialect, stream: bool) -> None:
    kind, status, _, _ = raised(lambda: dialect.ask("[[sim silent]]", model="hurry", stream=stream))

    assert 504 == status
    assert issubclass(kind, expected(dialect, "InternalServerError"))


def test_an_error_inside_a_stream_is_raised_while_reading(dialect: Dialect) -> None:
    kind, _, _, _ = raised(lambda: dialect.ask("[[sim events=9 error_in_stream=5]]", stream=True))

    assert issubclass(kind, (openai.APIError, anthropic.APIError, errors.APIError))


def test_a_stream_that_the_provider_cuts_is_an_error_and_not_an_answer(dialect: Dialect) -> None:
    kind, _, _, _ = raised(lambda: dialect.ask("[[sim events=9 cut=5]]", stream=True))

    assert issubclass(kind, (openai.APIError, anthropic.APIError, errors.APIError))


def test_an_error_inside_a_stream_of_a_response_is_raised_while_reading(openai_client: openai.OpenAI) -> None:
    stream = openai_client.responses.create(model="gpt-once", input="[[sim events=9 error_in_stream=5]]", stream=True)

    with pytest.raises(openai.APIError, match="The simulator failed"):
        list(stream)


def test_a_client_that_tries_again_by_itself_gets_its_answer(relay: Served) -> None:
    with openai.OpenAI(base_url=f"{relay.url}/v1", api_key=relay.keys["one"]) as client:
        answer = client.chat.completions.create(
            model="gpt-once",
            messages=[{"role": "user", "content": "[[sim status=503 times=1 say=the second time]] retry"}],
        )

    assert "the second time" == answer.choices[0].message.content
