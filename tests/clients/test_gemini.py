"""Google's client for Python."""

from __future__ import annotations

from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from .served import Served

# The client inherits from aiohttp's session, which aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

MODEL = "gemini-2.5-pro"
WEATHER = types.FunctionDeclaration(
    name="get_weather",
    parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
TOOLS: list[Any] = [types.Tool(function_declarations=[WEATHER])]


class Place(BaseModel):
    name: str
    inhabitants: int


def test_content_is_generated(gemini_client: genai.Client) -> None:
    answer = gemini_client.models.generate_content(
        model=MODEL,
        contents="[[sim say=Briefly.]]",
        config=types.GenerateContentConfig(system_instruction="Be brief", temperature=0.2, max_output_tokens=50),
    )

    assert "Briefly." == answer.text
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata.prompt_token_count or 0) > 0


def test_content_is_streamed(gemini_client: genai.Client) -> None:
    pieces = list(gemini_client.models.generate_content_stream(model=MODEL, contents="[[sim say=數據 in pieces]]"))

    assert len(pieces) > 1
    assert "數據 in pieces" == "".join(piece.text or "" for piece in pieces)
    assert pieces[-1].usage_metadata is not None


async def test_the_asynchronous_client_generates_and_streams(gemini_client: genai.Client) -> None:
    answer = await gemini_client.aio.models.generate_content(model=MODEL, contents="[[sim say=whole]]")
    stream = await gemini_client.aio.models.generate_content_stream(model=MODEL, contents="[[sim say=in pieces]]")
    pieces = [piece.text or "" async for piece in stream]

    assert "whole" == answer.text
    assert "in pieces" == "".join(pieces)


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
def test_every_version_of_the_api_is_served(relay: Served, version: str) -> None:
    options = types.HttpOptions(base_url=relay.url, api_version=version)

    with genai.Client(api_key=relay.keys["one"], http_options=options) as client:
        answer = client.models.generate_content(model=MODEL, contents="[[sim say=here]]")

    assert "here" == answer.text


@pytest.mark.parametrize("streamed", [False, True])
def test_a_function_is_called_and_its_result_answered(gemini_client: genai.Client, streamed: bool) -> None:
    config = types.GenerateContentConfig(
        tools=TOOLS, automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    asked = "[[sim tool=get_weather]] Is it sunny in Taipei?"
    make = gemini_client.models.generate_content_stream if streamed else gemini_client.models.generate_content

    first: Any = make(model=MODEL, contents=asked, config=config)
    calls = [call for piece in (first if streamed else [first]) for call in piece.function_calls or []]
    second = gemini_client.models.generate_content(
        model=MODEL,
        contents=[
            types.Content(role="user", parts=[types.Part(text=asked)]),
            types.Content(role="model", parts=[types.Part(function_call=calls[0])]),
            types.Content(
                role="user", parts=[types.Part.from_function_response(name="get_weather", response={"t": 27})]
            ),
        ],
        config=config,
    )

    assert ["get_weather"] == [call.name for call in calls]
    assert ["city"] == list(calls[0].args)
    assert second.text


def test_the_client_calls_functions_by_itself(gemini_client: genai.Client) -> None:
    asked = []

    def get_weather(city: str) -> str:
        """The weather in a city"""
        asked.append(city)
        return "27 degrees"

    answer = gemini_client.models.generate_content(
        model=MODEL,
        contents="[[sim tool=get_weather]] Is it sunny in Taipei?",
        config=types.GenerateContentConfig(tools=[get_weather]),
    )

    assert 1 == len(asked)
    assert answer.text


def test_an_answer_is_parsed_into_the_users_own_model(gemini_client: genai.Client) -> None:
    answer = gemini_client.models.generate_content(
        model=MODEL,
        contents="Taipei",
        config=types.GenerateContentConfig(response_mime_type="application/json", response_schema=Place),
    )

    assert isinstance(answer.parsed, Place)


def test_several_texts_are_embedded(gemini_client: genai.Client) -> None:
    answer = gemini_client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])

    assert answer.embeddings is not None
    assert 2 == len(answer.embeddings)
    assert answer.embeddings[0].values != answer.embeddings[1].values


def test_tokens_are_counted(gemini_client: genai.Client) -> None:
    counted = gemini_client.models.count_tokens(model=MODEL, contents="How many are these?")

    assert (counted.total_tokens or 0) > 0


def test_the_models_a_key_may_use_are_listed(relay: Served) -> None:
    with genai.Client(api_key=relay.keys["narrow"], http_options={"base_url": relay.url}) as client:
        listed = [model.name for model in client.models.list()]
        one = client.models.get(model=MODEL)
        with pytest.raises(errors.ClientError) as raised:
            client.models.get(model="gpt-4o")

    assert f"models/{MODEL}" in listed
    assert "models/gpt-4o" not in listed
    assert f"models/{MODEL}" == one.name
    assert 403 == raised.value.code
