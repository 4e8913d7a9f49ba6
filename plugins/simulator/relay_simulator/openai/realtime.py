"""Realtime: a session over a WebSocket in which turns are answered, each with its own usage."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from relay import Usage
from relay_simulator.ask import Ask, Document, mapping, objects, weigh
from relay_simulator.endpoint import Endpoint
from relay_simulator.fault import ClientLeft, Fault
from relay_simulator.figures import consumed, tokens, told, total
from relay_simulator.openai.asked import tool_name
from relay_simulator.openai.turn import Turn, of_turn
from relay_simulator.script import read_script, without_script
from relay_simulator.serving import Serving
from relay_simulator.speech import compose

_LARGEST_MESSAGE = 16 << 20
_SOUND_BYTES_PER_TOKEN = 4800
"""100 ms of 16 bits at 24 kHz."""


async def connect(serving: Serving) -> web.StreamResponse:
    """GET /v1/realtime"""
    socket = web.WebSocketResponse(protocols=("realtime",), max_msg_size=_LARGEST_MESSAGE)
    if not socket.can_prepare(serving.request):
        raise Fault(400, "This endpoint speaks WebSocket.", code="upgrade_required")
    await socket.prepare(serving.request)
    serving.status = 101
    session = Session(serving, socket)
    try:
        await session.run()
    except ConnectionError as gone:
        raise ClientLeft from gone
    finally:
        await session.stop()
    serving.outcome = "cut" if session.was_cut else "completed"
    return socket


class Session:
    """One connection: what was said in it, and the answer that is being given."""

    def __init__(self, serving: Serving, socket: web.WebSocketResponse) -> None:
        self._serving = serving
        self._socket = socket
        self._items: list[Document] = []
        self.was_cut = False
        """Did the connection end within an answer?"""
        self._sound = 0
        self._words = 0
        self._turn: asyncio.Task[None] | None = None
        self._settings: Document = {
            "type": "realtime",
            "object": "realtime.session",
            "id": serving.mint("sess_"),
            "model": serving.model or "gpt-realtime",
            "output_modalities": ["audio"],
            "tools": [],
            "tool_choice": "auto",
        }
        self._does: dict[str, Callable[[Document], Awaitable[None]]] = {
            "session.update": self._update,
            "conversation.item.create": self._add,
            "conversation.item.retrieve": self._retrieve,
            "conversation.item.delete": self._delete,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "response.create": self._respond,
            "response.cancel": self._cancel,
        }

    async def run(self) -> None:
        """Until the client closes."""
        await self._send("session.created", session=self._settings)
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                await self._wrong(Fault(400, "Only text messages are understood."), None)
                continue
            said: Any = None
            try:
                said = orjson.loads(message.data)
                does = self._does.get(said["type"])
                if does is None:
                    raise Fault(400, f"Invalid value: '{said['type']}'.", code="invalid_value", param="type")
                await does(said)
            except (orjson.JSONDecodeError, KeyError, TypeError):
                await self._wrong(Fault(400, "The message is no event.", code="invalid_json"), None)
            except Fault as fault:
                await self._wrong(fault, said.get("event_id"))

    async def stop(self) -> None:
        """End the answer that is being given, if there is one."""
        if self._turn is not None:
            self._turn.cancel()
            with contextlib.suppress(asyncio.CancelledError):  # it was cancelled before it had begun
                await self._turn

    async def _send(self, kind: str, **fields: Any) -> None:
        data = orjson.dumps({"type": kind, "event_id": self._serving.mint("event_"), **fields})
        await self._socket.send_str(data.decode())
        self._serving.events += 1
        self._serving.bytes += len(data)

    async def _wrong(self, fault: Fault, event_id: Any) -> None:
        error = {"type": "invalid_request_error", "code": fault.code, "message": fault.message, "param": fault.param}
        await self._send("error", error={**error, "event_id": event_id})

    async def _update(self, said: Document) -> None:
        self._settings = {**self._settings, **mapping(said, "session"), "id": self._settings["id"]}
        await self._send("session.updated", session=self._settings)

    async def _add(self, said: Document) -> None:
        item = said.get("item")
        if not isinstance(item, dict) or not isinstance(item.get("type"), str):
            raise Fault(
                400, "Missing required parameter: 'item.type'.", code="missing_required_parameter", param="item.type"
            )
        await self._keep({"id": self._serving.mint("item_"), "object": "realtime.item", "status": "completed", **item})

    async def _keep(self, item: Document) -> None:
        before = self._items[-1]["id"] if self._items else None
        self._items.append(item)
        await self._send("conversation.item.added", previous_item_id=before, item=item)
        await self._send("conversation.item.done", previous_item_id=before, item=item)

    async def _retrieve(self, said: Document) -> None:
        await self._send("conversation.item.retrieved", item=self._item(said))

    async def _delete(self, said: Document) -> None:
        item = self._item(said)
        self._items.remove(item)
        await self._send("conversation.item.deleted", item_id=item["id"])

    def _item(self, said: Document) -> Document:
        found = next((item for item in self._items if item["id"] == said.get("item_id")), None)
        if found is None:
            raise Fault(404, "There is no such item.", code="item_not_found", param="item_id")
        return found

    async def _append(self, said: Document) -> None:
        sound = said.get("audio")
        if not isinstance(sound, str):
            raise Fault(400, "Missing required parameter: 'audio'.", code="missing_required_parameter", param="audio")
        self._sound += len(sound) * 3 // 4

    async def _commit(self, said: Document) -> None:
        if not self._sound:
            raise Fault(400, "The buffer is empty.", code="input_audio_buffer_commit_empty")
        content = [{"type": "input_audio", "transcript": f"{self._sound} bytes of sound", "bytes": self._sound}]
        item = {"id": self._serving.mint("item_"), "object": "realtime.item", "type": "message", "status": "completed"}
        before = self._items[-1]["id"] if self._items else None
        self._sound = 0
        await self._send("input_audio_buffer.committed", item_id=item["id"], previous_item_id=before)
        await self._keep({**item, "role": "user", "content": content})

    async def _clear(self, said: Document) -> None:
        self._sound = 0
        await self._send("input_audio_buffer.cleared")

    async def _cancel(self, said: Document) -> None:
        if self._turn is None or self._turn.done():
            raise Fault(400, "There is no active response to cancel.", code="response_cancel_not_active")
        self._turn.cancel()

    async def _respond(self, said: Document) -> None:
        if self._turn is not None and not self._turn.done():
            raise Fault(
                400, "Conversation already has an active response.", code="conversation_already_has_active_response"
            )
        turn, consumption = self._compose({**self._settings, **mapping(said, "response")})
        self._turn = asyncio.create_task(self._tell(turn, consumption))

    def _compose(self, settings: Document) -> tuple[Turn, Usage]:
        serving = self._serving
        heard = [item for item in self._items if item.get("role") == "user"]
        text = "".join(_heard(part) for part in objects(heard[-1], "content")) if heard else ""
        serving.script = read_script(text, serving.model, serving.request.headers)
        sound = sum(part.get("bytes", 0) for item in heard for part in objects(item, "content"))
        said = [[item.get(name) for name in ("content", "arguments", "output")] for item in self._items]
        choice = settings.get("tool_choice")
        ask = Ask(
            text=without_script(text),
            prompt_bytes=weigh(said, settings.get("instructions"), settings.get("tools"))[0],
            tools={tool_name(tool): mapping(tool, "parameters") for tool in objects(settings, "tools")},
            answered=bool(self._items) and self._items[-1].get("type") == "function_call_output",
            forced="*" if choice == "required" else tool_name(choice) if isinstance(choice, dict) else None,
            forbidden=choice == "none",
        )
        speech = compose(ask, serving.script)
        consumption = consumed(ask, serving.script, [speech.size], 0)
        heard_tokens = -(-sound // _SOUND_BYTES_PER_TOKEN)
        is_spoken = "audio" in settings["output_modalities"] and not speech.calls
        consumption = Usage(
            input=consumption.input,
            cache_read=consumption.cache_read,
            audio_input=heard_tokens,
            output=0 if is_spoken else consumption.output,
            audio_output=consumption.output if is_spoken else 0,
        )
        return of_turn(serving, speech, is_spoken), consumption

    async def _tell(self, turn: Turn, consumption: Usage) -> None:
        """Give an answer, and bill for as much of it as went out."""
        response: Document = {
            "object": "realtime.response",
            "id": self._serving.mint("resp_"),
            "output": [],
            "usage": None,
        }
        reported = None
        self._words = 0
        try:
            status = await self._events(turn, response)
            if status != "completed":
                consumption = _part(consumption, self._words)
            figures = told(consumption, self._serving.script)
            usage = _usage(figures) if figures else None
            item = {**turn.item, "status": "completed" if status == "completed" else "incomplete"}
            self._items.append(item)
            done = {**response, "status": status, "output": [item], "usage": usage}
            if status == "failed":
                done["status_details"] = {"type": "failed", "error": {"type": "server_error", "code": "server_error"}}
            await self._send("response.done", response=done)
            reported = usage
        except (ConnectionError, ClientLeft):
            self.was_cut = True
            consumption = _part(consumption, self._words)
        self._serving.bill(consumption, reported)

    async def _events(self, turn: Turn, response: Document) -> str:
        """Send the events of an answer at the script's pace. Returns its status: it can be cancelled, or fail on request."""
        serving, script = self._serving, self._serving.script
        try:
            await self._send("response.created", response={**response, "status": "in_progress"})
            if script.status is not None:
                return "failed"
            for at, (kind, fields, words) in enumerate(turn.events):
                if script.pace and at:
                    await serving.wait(script.pace)
                if at == script.cut:
                    raise serving.leave()
                if at == script.error_in_stream:
                    return "failed"
                await self._send(kind, response_id=response["id"], output_index=0, **fields)
                self._words += words
        except asyncio.CancelledError:
            return "cancelled"
        return "completed"


def _heard(part: Document) -> str:
    return str(part.get("text") or part.get("transcript") or "")


def _part(usage: Usage, words: int) -> Usage:
    """The usage of a turn of which only so many bytes of words went out."""
    spoken = tokens(words)
    return replace(usage, output=min(usage.output, spoken), audio_output=min(usage.audio_output, spoken))


def _usage(usage: Usage) -> Document:
    read = {
        "text_tokens": usage.input + usage.cache_read,
        "audio_tokens": usage.audio_input,
        "cached_tokens": usage.cache_read,
    }
    read["cached_tokens_details"] = {"text_tokens": usage.cache_read, "audio_tokens": 0}  # type: ignore[assignment]
    return {
        "total_tokens": total(usage),
        "input_tokens": usage.input + usage.cache_read + usage.audio_input,
        "output_tokens": usage.output + usage.audio_output,
        "input_token_details": read,
        "output_token_details": {"text_tokens": usage.output, "audio_tokens": usage.audio_output},
    }


ENDPOINTS = (Endpoint("GET", "/v1/realtime", "realtime", connect),)
