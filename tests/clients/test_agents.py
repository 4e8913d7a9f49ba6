"""The command line agents of the three providers, each answered through the relay, with a home folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from .served import ROOT, Served

pytestmark = pytest.mark.all

AGENTS = ROOT / "tests" / "node" / "agents"
SAID = "[[sim say=The relay answers.]]"


def run(home: Path, command: list[str], environment: dict[str, str]) -> str:
    program = AGENTS / "node_modules" / ".bin" / command[0]
    if not program.exists():
        pytest.skip(f"{command[0]} is not installed (npm --prefix tests/node/agents install --no-package-lock)")
    done = subprocess.run(
        [str(program), *command[1:]],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout.decode()


def test_claude_code_is_answered(relay: Served, tmp_path: Path) -> None:
    environment = {
        "ANTHROPIC_BASE_URL": relay.url,
        "ANTHROPIC_API_KEY": relay.keys["one"],
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }

    out = run(tmp_path, ["claude", "-p", SAID, "--output-format", "json", "--model", "claude-sonnet-4-6"], environment)

    # Its own reminders make the simulator call a tool first; the last answer is to that tool's result.
    found = json.loads(out)
    assert not found["is_error"]
    assert "my answer to them is" in found["result"]


def test_codex_is_answered(relay: Served, tmp_path: Path) -> None:
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex" / "config.toml").write_text(
        f'model = "gpt-5"\nmodel_provider = "relay"\n\n[model_providers.relay]\nname = "Relay"\n'
        f'base_url = "{relay.url}/v1"\nenv_key = "RELAY_KEY"\nwire_api = "responses"\n',
        encoding="utf-8",
    )

    out = run(
        tmp_path,
        ["codex", "exec", "--skip-git-repo-check", "--sandbox", "read-only", SAID],
        {"RELAY_KEY": relay.keys["one"]},
    )

    assert "The relay answers." in out


def test_gemini_cli_is_answered(relay: Served, tmp_path: Path) -> None:
    (tmp_path / ".gemini").mkdir()
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    (tmp_path / ".gemini" / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    environment = {
        "GEMINI_API_KEY": relay.keys["one"],
        "GOOGLE_GEMINI_BASE_URL": relay.url,
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }

    out = run(tmp_path, ["gemini", "-p", SAID, "-m", "gemini-2.5-pro"], environment)

    assert "The relay answers." in out
