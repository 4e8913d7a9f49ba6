"""The official clients for Node. Each script in `tests/node/` runs once and tells what it found as one line of JSON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from .served import ROOT, Served

NODE = ROOT / "tests" / "node"


def run(relay: Served, script: str) -> Any:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed (Debian: apt-get install nodejs npm)")
    if not (NODE / "node_modules").is_dir():
        pytest.skip("Node is not installed (its packages: npm --prefix tests/node install --no-package-lock)")
    environment = {"PATH": os.environ["PATH"], "RELAY_URL": relay.url, "RELAY_KEY": relay.keys["one"]}
    done = subprocess.run([node, str(NODE / script)], env=environment, capture_output=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def openai(relay: Served) -> Any:
    return run(relay, "openai.mjs")


@pytest.fixture(scope="module")
def anthropic(relay: Served) -> Any:
    return run(relay, "anthropic.mjs")


def kinds(errors: Any) -> dict[str, tuple[str, int | None]]:
    return {name: (error["kind"], error["status"]) for name, error in errors.items()}


def check_that_it_was_cut(relay: Served, aborted: Any) -> None:
    assert aborted["seen"]
    assert "cut" == relay.served(aborted["request"], "cut")["outcome"]
    assert "client_left" == relay.exchange(aborted["exchange"])["outcome"]


def test_openai_for_node_chats_and_streams(openai: Any) -> None:
    assert {"text": "A runner.", "usage": True} == openai["chat"]
    assert "數據 in pieces" == openai["stream"]


def test_openai_for_node_calls_tools_and_parses(openai: Any) -> None:
    assert ["city"] == openai["tool"] == openai["streamedTool"] == openai["parsed"]


def test_openai_for_node_embeds(openai: Any) -> None:
    assert [16, 16] == openai["embeddings"]


def test_openai_for_node_makes_responses(openai: Any) -> None:
    expected = {"text": "once", "kept": True, "first": "response.created", "last": "response.completed"}
    assert expected == openai["responses"]


def test_openai_for_node_stores_files(openai: Any) -> None:
    assert {"content": "{}\n", "listed": True, "deleted": True} == openai["files"]


def test_openai_for_node_speaks_and_hears(openai: Any) -> None:
    assert "150000 bytes" in openai["audio"]["text"]
    assert openai["audio"]["bytes"] > 1000


def test_openai_for_node_lists_models(openai: Any) -> None:
    assert "gpt-4o-mini" in openai["models"]


def test_openai_for_node_raises_the_right_errors(openai: Any) -> None:
    expected = {
        "key": ("AuthenticationError", 401),
        "model": ("NotFoundError", 404),
        "object": ("NotFoundError", 404),
        "request": ("BadRequestError", 400),
        "limit": ("RateLimitError", 429),
        "server": ("InternalServerError", 503),
        "hangUp": ("InternalServerError", 502),
        "inStream": ("APIError", None),
    }

    assert expected == kinds(openai["errors"])
    assert "invalid_key" == openai["errors"]["key"]["code"]
    assert "model_not_found" == openai["errors"]["model"]["code"]
    assert "object_not_found" == openai["errors"]["object"]["code"]


def test_openai_for_node_cancels(relay: Served, openai: Any) -> None:
    check_that_it_was_cut(relay, openai["aborted"])


def test_anthropic_for_node_answers_and_streams(anthropic: Any) -> None:
    assert {"text": "A runner.", "stop": "end_turn"} == anthropic["message"]
    assert {"text": "數據 in pieces", "final": "數據 in pieces"} == anthropic["stream"]


def test_anthropic_for_node_calls_tools_and_counts(anthropic: Any) -> None:
    assert [["city"], ["city"]] == anthropic["tools"]
    assert anthropic["counted"] > 0


def test_anthropic_for_node_stores_files_and_lists_models(anthropic: Any) -> None:
    assert {"listed": True, "deleted": True} == anthropic["files"]
    assert "claude-sonnet-4-6" in anthropic["models"]


def test_anthropic_for_node_raises_the_right_errors(anthropic: Any) -> None:
    expected = {
        "key": ("AuthenticationError", 401),
        "model": ("NotFoundError", 404),
        "object": ("NotFoundError", 404),
        "limit": ("RateLimitError", 429),
        "overloaded": ("OverloadedError", 529),
        "hangUp": ("InternalServerError", 502),
        "inStream": ("APIError", None),
    }

    assert expected == kinds(anthropic["errors"])
    assert "invalid_key" == anthropic["errors"]["key"]["body"]["error"]["details"]["error_code"]


def test_anthropic_for_node_cancels(relay: Served, anthropic: Any) -> None:
    check_that_it_was_cut(relay, anthropic["aborted"])
