"""The plugin list as a whole, through files that list plugins of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from relay.config import Configuration

Read = Callable[..., Configuration]
Wrong = Callable[..., list[str]]

HEAD = """
from relay import Code, Column, Command, Header, Job, Plugin, Route, Settings, Table
from relay.ports import Models, SharedState, Targets
"""


@pytest.fixture
def listing(tmp_path: Path) -> Callable[..., str]:
    """A configuration that lists plugins with these class bodies, each in a file of its own; line 2 is the first one's."""

    def listing(**bodies: str) -> str:
        lines = ["plugins:"]
        for name, body in bodies.items():
            indented = "\n    ".join(body.splitlines())
            (tmp_path / f"{name}.py").write_text(f"{HEAD}\nclass It(Plugin):\n    name = {name!r}\n    {indented}\n")
            lines.append(f'  - {name}: {{use: "./{name}.py:It"}}')
        return "\n".join(lines)

    return listing


@pytest.mark.parametrize(
    "bodies, problems",
    [
        ({"a": "after = ('b',)", "b": ""}, ["2:5: a must stand below 'b' (line 3)"]),
        ({"a": "", "b": "before = ('a',)"}, ["3:5: b must stand above 'a' (line 2)"]),
        ({"a": "after = ('a', 'c')", "b": "before = ('d',)"}, []),
        ({"a": "", "b": "after = ('a',)", "c": "", "d": ""}, []),
        ({"a": "needs = (Models, SharedState)"}, ["2:5: a needs a plugin that provides Models, and none is listed"]),
        ({"a": "needs = (Models,)", "b": "provides = (Models,)"}, []),
        (
            {"a": "provides = (Models, Targets)", "b": "provides = (Models,)"},
            ["3:5: b provides Models, as 'a' does (line 2); keep one"],
        ),
        ({"a": "provides = (SharedState,)"}, ["2:5: a provides SharedState, which the relay provides itself"]),
    ],
)
def test_order_and_ports(
    listing: Callable[..., str], read: Read, wrong: Wrong, bodies: dict[str, str], problems: list[str]
) -> None:
    text = listing(**bodies)

    assert problems == (wrong(text) if problems else [] if read(text) else ["not read"])


def _route(path: str, method: str = "GET", permission: str = "public") -> str:
    return f"Route({method!r}, {path!r}, print, {permission!r}),"


@pytest.mark.parametrize(
    "path, problem",
    [
        ("/-/a/x", None),
        ("/-/a", None),
        ("/console/a/x", None),
        ("/console", None),
        ("/api/v1/things/{id}", None),
        ("/pricing", None),
        ("/", None),
        ("/-/b/x", "lies outside '/-/a/'"),
        ("/-/health/live", "lies outside '/-/a/'"),
        ("/-/", "lies outside '/-/a/'"),
        ("/console/b/x", "lies outside '/console/a/'"),
        ("/api/v2/things", "lies outside '/api/v1/<noun>'"),
        ("/api/v1", "lies outside '/api/v1/<noun>'"),
        ("/v1/chat", "lies where the surfaces are; a plugin's are below '/-/a/'"),
        ("/v1beta", "lies where the surfaces are; a plugin's are below '/-/a/'"),
        ("/tongue/x", "lies where the surfaces are; a plugin's are below '/-/a/'"),
        ("/v9/x", "lies where the surfaces are; a plugin's are below '/-/a/'"),
        ("x", "must begin with '/'"),
        ("", "must begin with '/'"),
    ],
)
def test_a_plugin_has_its_own_space_of_paths(
    listing: Callable[..., str], read: Read, wrong: Wrong, install: object, path: str, problem: str | None
) -> None:
    install.dialect("tongue", "/v9/things")  # type: ignore[attr-defined]
    text = listing(a=f"def routes(self): return [{_route(path)}]", b="")

    found = wrong(text) if problem else [] if read(text) else ["not read"]

    assert ([f"2:5: a: the route GET {path} {problem}"] if problem else []) == found


@pytest.mark.parametrize(
    "first, second, problem",
    [
        (_route("/x/{id}"), _route("/x/{other}"), "b: the route GET /x/{other} is taken by 'a' (line 2)"),
        (_route("/x"), _route("/x", method="POST"), None),
        (_route("/api/v1/keys"), _route("/api/v1/keys/new"), "b: the route GET /api/v1/keys/new: '/api/v1/keys' belongs to 'a' (line 2)"),
        ("", _route("/-/b/x", permission=""), "b: the route GET /-/b/x has no permission; name one, or say 'public'"),
        ("", _route("/-/b/x") * 2, "b: the route GET /-/b/x is taken by 'b' (line 3)"),
    ],
)  # fmt: skip
def test_routes_of_two_plugins(
    listing: Callable[..., str], read: Read, wrong: Wrong, first: str, second: str, problem: str | None
) -> None:
    text = listing(a=f"def routes(self): return [{first}]", b=f"def routes(self): return [{second}]")

    assert ([f"3:5: {problem}"] if problem else []) == (wrong(text) if problem else [] if read(text) else ["not read"])


@pytest.mark.parametrize(
    "body, problem",
    [
        ("def jobs(self): return [Job('sweep', print)]", "the job 'sweep' needs one of 'every' and 'at'"),
        ("def jobs(self): return [Job('sweep', print, every=1, at='03:30')]", "the job 'sweep' needs one of 'every' and 'at'"),
        ("def jobs(self): return [Job('sweep', print, every=0)]", "the job 'sweep' runs every 0 seconds; that must be more than 0"),
        (
            "def jobs(self): return [Job('sweep', print, at='24:00')]",
            "the job 'sweep' runs at '24:00'; that must be a time of day such as 03:30",
        ),
        ("def jobs(self): return [Job('sweep', print, every=1)] * 2", "the job 'sweep' is declared twice"),
        ("def jobs(self): return [Job('sweep', print, every=1, permission='')]", "the job 'sweep' has no permission"),
        (
            "def commands(self): return [Command('serve', 'x', print, 'operator', Settings)]",
            "the command 'serve x': 'serve' is the relay's own word",
        ),
        ("def commands(self): return [Command('x', 'y', print, '', Settings)]", "the command 'x y' has no permission"),
        ("def commands(self): return [Command('x', 'y', print, 'o', Settings)] * 2", "the command 'x y' is taken by 'a' (line 2)"),
        ("errors = (Code('not_found', 404, 'x'),)", "the error code 'not_found' is taken by the relay itself"),
        ("errors = (Code('mine', 404, 'x'), Code('mine', 403, 'y'))", "the error code 'mine' is taken by 'a' (line 2)"),
        ("errors = (Code('mine', 200, 'x'),)", "the error code 'mine' has the status 200; that is no error"),
        ("headers = (Header('x-mine', 'x'),)", "the header 'x-mine' must be 'x-relay-…', in lower case"),
        ("headers = (Header('x-relay-id', 'x'),)", "the header 'x-relay-id' is taken by the relay itself"),
    ],
)  # fmt: skip
def test_what_a_plugin_declares_is_checked(listing: Callable[..., str], wrong: Wrong, body: str, problem: str) -> None:
    assert [f"2:5: a: {problem}"] == wrong(listing(a=body))


def test_two_plugins_cannot_have_one_command_code_or_header(listing: Callable[..., str], wrong: Wrong) -> None:
    body = """errors = (Code('full', 429, 'x'),)
headers = (Header('x-relay-left', 'x'),)
def commands(self): return [Command('key', 'make', print, 'operator', Settings)]"""

    assert [
        "3:5: b: the command 'key make' is taken by 'a' (line 2)",
        "3:5: b: the error code 'full' is taken by 'a' (line 2)",
        "3:5: b: the header 'x-relay-left' is taken by 'a' (line 2)",
    ] == wrong(listing(a=body, b=body))


def test_a_plugin_that_fails_when_it_is_asked_is_a_problem_at_its_line(
    listing: Callable[..., str], wrong: Wrong
) -> None:
    assert ["2:5: a.routes() failed: ZeroDivisionError: division by zero"] == wrong(
        listing(a="def routes(self): yield 1 / 0")
    )


def test_nothing_is_said_about_missing_providers_when_a_plugin_could_not_be_loaded(
    listing: Callable[..., str], wrong: Wrong
) -> None:
    text = listing(a="needs = (Models,)") + "\n  - routin:"

    assert ["3:5: no plugin named 'routin' is installed"] == wrong(text)
