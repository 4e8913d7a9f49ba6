"""What clients are known to send, beyond what their documentation says."""

from __future__ import annotations

import httpx2

from .served import Served

ANTHROPIC = {"anthropic-version": "2023-06-01"}


def asked(text: str = "Hi") -> dict[str, object]:
    return {"model": "claude-sonnet-4-6", "max_tokens": 50, "messages": [{"role": "user", "content": text}]}


def test_a_head_request_to_the_root_is_answered_without_a_body(relay: Served) -> None:
    answer = httpx2.head(relay.url + "/")

    assert answer.status_code < 500
    assert b"" == answer.content


def test_a_beta_query_goes_through(relay: Served) -> None:
    answer = httpx2.post(
        f"{relay.url}/v1/messages?beta=true", json=asked(), headers={**ANTHROPIC, "x-api-key": relay.keys["one"]}
    )

    assert 200 == answer.status_code
    assert ["beta"] == relay.arrived(answer.headers["request-id"])["query"]


def test_several_beta_flags_go_through(relay: Served) -> None:
    headers = [
        *ANTHROPIC.items(),
        ("x-api-key", relay.keys["one"]),
        ("anthropic-beta", "oauth-2025-04-20,interleaved-thinking-2025-05-14"),
        ("anthropic-beta", "fine-grained-tool-streaming-2025-05-14"),
    ]

    answer = httpx2.post(f"{relay.url}/v1/messages", json=asked(), headers=headers)

    arrived = relay.arrived(answer.headers["request-id"])
    assert 200 == answer.status_code
    assert "anthropic-beta" in arrived["headers"]
    assert "x-api-key" not in arrived["headers"]


def test_adaptive_thinking_and_a_long_turn_go_through(relay: Served) -> None:
    body = {**asked("x" * 76_000), "thinking": {"type": "adaptive"}, "context_management": {"edits": []}}

    answer = httpx2.post(
        f"{relay.url}/v1/messages?beta=true", json=body, headers={**ANTHROPIC, "x-api-key": relay.keys["one"]}
    )

    assert 200 == answer.status_code


def test_tools_that_only_agents_use_go_through(relay: Served) -> None:
    # In a schema a property may have the name of a member.
    schema = {"type": "object", "properties": {"type": {"type": "string"}, "id": {"type": "string"}}}
    tool = {"type": "function", "name": "find", "parameters": schema}
    body = {
        "model": "gpt-5",
        "input": "Hi",
        "tools": [{"type": "web_search"}, {"type": "namespace", "name": "shell", "tools": [tool]}, tool],
        "client_metadata": {"session": "a"},
    }

    answer = httpx2.post(
        f"{relay.url}/v1/responses", json=body, headers={"authorization": f"Bearer {relay.keys['one']}"}
    )

    assert 200 == answer.status_code


def test_a_response_may_have_a_prompt_template_instead_of_input_and_model(relay: Served) -> None:
    body = {"prompt": {"id": "pmpt_1", "variables": {}}, "model": "gpt-4o-mini"}

    answer = httpx2.post(
        f"{relay.url}/v1/responses", json=body, headers={"authorization": f"Bearer {relay.keys['one']}"}
    )

    assert 200 == answer.status_code


def test_both_spellings_of_a_gemini_member_go_through_with_the_key_in_the_query(relay: Served) -> None:
    body = {
        "contents": [{"role": "user", "parts": [{"text": "[[sim say=both]]"}]}],
        "system_instruction": {"parts": [{"text": "Be brief"}]},
        "generationConfig": {"maxOutputTokens": 20},
    }

    answer = httpx2.post(f"{relay.url}/v1beta/models/gemini-2.5-pro:generateContent?key={relay.keys['one']}", json=body)

    assert "both" == answer.json()["candidates"][0]["content"]["parts"][0]["text"]
    assert relay.keys["one"] not in relay.log.read_text(encoding="utf-8")


def test_a_gemini_stream_without_events_is_a_json_array(relay: Served) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "[[sim say=one two three]]"}]}]}

    answer = httpx2.post(
        f"{relay.url}/v1beta/models/gemini-2.5-pro:streamGenerateContent",
        json=body,
        headers={"x-goog-api-key": relay.keys["one"]},
    )

    said = "".join(part["text"] for piece in answer.json() for part in piece["candidates"][0]["content"]["parts"])
    assert "one two three" == said


def test_a_model_name_cannot_change_the_path(relay: Served) -> None:
    answer = httpx2.post(
        f"{relay.url}/v1beta/models/gemini-2.5-pro%2F..%2Fx:generateContent",
        json={"contents": []},
        headers={"x-goog-api-key": relay.keys["one"]},
    )

    assert 400 <= answer.status_code < 500
    assert "invalid_path" == answer.headers["x-relay-error"]


def test_every_answer_carries_the_relays_id(relay: Served) -> None:
    for answer in (
        httpx2.get(f"{relay.url}/v1/models"),
        httpx2.get(f"{relay.url}/v1/nowhere"),
        httpx2.post(
            f"{relay.url}/v1/embeddings",
            json={"model": "text-embedding-3-small", "input": "a"},
            headers={"authorization": f"Bearer {relay.keys['one']}"},
        ),
    ):
        assert answer.headers["x-relay-id"].startswith("exc_")
