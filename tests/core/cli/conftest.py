"""A folder of its own for each test, with a plugin in a file and a configuration."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

PLUGIN = '''
    """A plugin for tests."""

    from pathlib import Path

    from pydantic import BaseModel, Field

    from relay import Code, Column, Command, Header, Job, Plugin, RelayError, Route, Secret, Settings, Table


    class Make(BaseModel):
        """Make a thing."""

        name: str = Field(description="What it is called; 100% yours.")
        count: int = Field(default=1, ge=1, description="How many.")
        fast: bool = Field(default=False, description="Whether to hurry.")
        tags: list[str] = Field(default=[], description="What it is.")
        labels: dict[str, int] = Field(default={}, description="Figures.")
        key: Secret | None = Field(default=None, description="What opens it.")
        where: Path | None = Field(default=None, description="Where to.")

        model_config = {"arbitrary_types_allowed": True}


    class Broken(Exception):
        pass


    class ToolSettings(Settings):
        greeting: str = Field(default="hello", description="What it says.")


    class Tool(Plugin):
        name = "tool"
        Settings = ToolSettings
        errors = (Code("tool_broken", 503, "The tool is broken."),)
        headers = (Header("x-relay-tool", "What the tool says."),)
        stores = (Table("uses", (Column("id"), Column("email", "whose address", "to say hello")), "13 months"),)
        opened = False

        async def lifespan(self, relay):
            print("open", relay.mode, relay.data.name)
            self.opened = True
            yield
            print("close")

        def routes(self):
            return [Route("GET", "/-/tool/{id}", self.show, "operator")]

        def jobs(self):
            return [Job("tool.sweep", self.sweep, every=30), Job("tool.sum", self.sweep, at="03:30", scope="node")]

        def commands(self):
            return [
                Command("thing", "make", self.make, "operator", Make),
                Command("thing", "open", self.open, "operator", Settings, opened=True),
                Command("thing", "fail", self.fail, "operator", Settings),
            ]

        async def show(self, request):
            """Show a thing."""

        async def sweep(self):
            pass

        async def make(self, taken):
            key = taken.key.open() if taken.key else None
            print(self.settings.greeting, taken.name, taken.count, taken.fast, taken.tags, taken.labels, key, taken.where)
            return 3 if taken.fast else None

        async def open(self, taken):
            print("opened", self.opened)

        async def fail(self, taken):
            raise RelayError("there is nothing to do it with")
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `tool.py` and a `relay.yaml` that uses it."""
    (tmp_path / "tool.py").write_text(dedent(PLUGIN))
    (tmp_path / "relay.yaml").write_text('plugins:\n  - tool: {use: "./tool.py:Tool", greeting: hi}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RELAY_CONFIG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path
