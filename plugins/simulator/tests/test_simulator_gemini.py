"""Google's own client talks to the provider."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google import genai
from google.genai import types

from plugins.simulator.tests.conftest import Running

CITY = types.Schema(type="OBJECT", properties={"city": types.Schema(type="STRING")}, required=["city"])
WEATHER = types.Tool(function_declarations=[types.FunctionDeclaration(name="get_weather", parameters=CITY)])
MODEL = "gemini-2.5-pro"

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)  # the client's own


async def test_content_is_generated_with_its_usage(gemini_client: genai.client.AsyncClient) -> None:
    answer: Any = await gemini_client.models.generate_content(
        model=MODEL, contents="[[sim cached=100 reasoning=50 say=12345678]]"
    )

    usage = answer.usage_metadata
    assert ("12345678", "STOP") == (answer.text, answer.candidates[0].finish_reason)
    assert (111, 100, 2, 50, 163) == (
        usage.prompt_token_count,
        usage.cached_content_token_count,
        usage.candidates_token_count,
        usage.thoughts_token_count,
        usage.total_token_count,
    )


async def test_a_stream_tells_what_the_whole_answer_says(gemini_client: genai.client.AsyncClient) -> None:
    whole = await gemini_client.models.generate_content(model=MODEL, contents="Grüße, 世界")

    chunks: list[Any] = [
        chunk async for chunk in await gemini_client.models.generate_content_stream(model=MODEL, contents="Grüße, 世界")
    ]

    assert whole.text == "".join(chunk.text or "" for chunk in chunks)
    assert whole.usage_metadata == chunks[-1].usage_metadata
    assert "STOP" == chunks[-1].candidates[0].finish_reason
    assert all(chunk.usage_metadata for chunk in chunks)


async def test_without_sse_a_stream_is_one_json_array(simulator: Running) -> None:
    asked = {"contents": [{"parts": [{"text": "Hello"}]}]}

    async with simulator.post(f"/gemini/v1beta/models/{MODEL}:streamGenerateContent", asked) as response:
        chunks = await response.json()
    async with simulator.post(f"/gemini/v1/models/{MODEL}:streamGenerateContent?alt=sse", asked) as response:
        lines = (await response.read()).split(b"\r\n\r\n")

    events = [json.loads(line.removeprefix(b"data: ")) for line in lines if line]
    assert [chunk["candidates"] for chunk in chunks] == [event["candidates"] for event in events]
    assert len(chunks) > 2


async def test_a_tool_is_called_and_its_result_answered(gemini_client: genai.client.AsyncClient) -> None:
    config = types.GenerateContentConfig(
        tools=[WEATHER], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    asked = types.Content(role="user", parts=[types.Part(text="Bern [[sim tool=get_weather reasoning=5]]")])
    first: Any = await gemini_client.models.generate_content(model=MODEL, contents=[asked], config=config)
    result = types.Part.from_function_response(name="get_weather", response={"sky": "blue"})
    turns = [asked, first.candidates[0].content, types.Content(role="user", parts=[result])]

    after = await gemini_client.models.generate_content(model=MODEL, contents=turns, config=config)

    assert ("get_weather", {"city": "Bern"}) == (first.function_calls[0].name, first.function_calls[0].args)
    assert first.candidates[0].content.parts[0].thought_signature
    assert after.text
    assert not after.function_calls


async def test_thoughts_are_shown_when_they_are_asked_for(gemini_client: genai.client.AsyncClient) -> None:
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    )

    answer: Any = await gemini_client.models.generate_content(model=MODEL, contents="Hello", config=config)

    assert [True, None] == [part.thought for part in answer.candidates[0].content.parts]
    assert 16 == answer.usage_metadata.thoughts_token_count


async def test_a_structured_answer_fits_its_schema(gemini_client: genai.client.AsyncClient) -> None:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=CITY)

    answer: Any = await gemini_client.models.generate_content(model=MODEL, contents="Bern", config=config)

    assert {"city": "Bern"} == json.loads(answer.text)


async def test_candidates_are_counted_and_a_refusal_has_no_words(gemini_client: genai.client.AsyncClient) -> None:
    config = types.GenerateContentConfig(candidate_count=2, system_instruction="Be brief.")

    two: Any = await gemini_client.models.generate_content(model=MODEL, contents="Hello", config=config)
    refused: Any = await gemini_client.models.generate_content(model=MODEL, contents="[[sim refuse]]")

    assert [None, 1] == [candidate.index or None for candidate in two.candidates]
    assert ("SAFETY", None) == (refused.candidates[0].finish_reason, refused.text)


async def test_tokens_are_counted_and_texts_embedded(gemini_client: genai.client.AsyncClient) -> None:
    counted = await gemini_client.models.count_tokens(model=MODEL, contents="12345")
    config = types.EmbedContentConfig(output_dimensionality=32)
    embedded: Any = await gemini_client.models.embed_content(
        model="gemini-embedding-001", contents=["a", "b"], config=config
    )

    assert 2 == counted.total_tokens
    assert [32, 32] == [len(one.values) for one in embedded.embeddings]
    assert embedded.embeddings[0].values != embedded.embeddings[1].values


async def test_one_text_is_embedded(simulator: Running) -> None:
    asked = {"content": {"parts": [{"text": "a"}]}, "output_dimensionality": 8}

    async with simulator.post("/gemini/v1beta/models/gemini-embedding-001:embedContent", asked) as response:
        answer = await response.json()

    assert 8 == len(answer["embedding"]["values"])
    assert 1 == answer["usageMetadata"]["totalTokenCount"]


async def test_models_are_listed(gemini_client: genai.client.AsyncClient) -> None:
    names = [model.name async for model in await gemini_client.models.list(config={"page_size": 2})]

    assert f"models/{MODEL}" in names
    assert 4 == len(names)
    assert "models/any-name" == (await gemini_client.models.get(model="any-name")).name


async def test_a_wrong_key_is_a_bad_request_as_at_google(simulator: Running) -> None:
    client = genai.Client(api_key="wrong", http_options={"base_url": f"{simulator.url}/gemini"})

    with pytest.raises(genai.errors.ClientError) as refused:
        await client.aio.models.generate_content(model=MODEL, contents="Hello")

    await client.aio.aclose()
    client.close()
    assert (400, "INVALID_ARGUMENT") == (refused.value.code, refused.value.status)


async def test_an_error_names_its_status_and_its_delay(simulator: Running) -> None:
    asked = {"contents": [{"parts": [{"text": "[[sim status=429 retry_after=1.5]]"}]}]}

    async with simulator.post(f"/gemini/v1beta/models/{MODEL}:generateContent", asked) as response:
        error = (await response.json())["error"]

    assert (429, "RESOURCE_EXHAUSTED", "1.5s") == (error["code"], error["status"], error["details"][0]["retryDelay"])
