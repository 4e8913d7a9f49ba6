"""Whole files: what a good one becomes, and everything that is wrong with a bad one, at once and in place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.config import Configuration, load
from relay.errors import ConfigurationError
from relay.values.secret import Secret

Read = Callable[..., Configuration]
Wrong = Callable[..., list[str]]

LIMITER = """
    from typing import Literal
    from pydantic import Field
    from relay import Code, Plugin, Route, Secret, Settings

    class Rule(Settings):
        match: str = Field(description="m")
        weight: float = Field(default=1.0, gt=0)

    class Account(Settings):
        url: str
        key: Secret | None = None

    class LimiterSettings(Settings):
        requests_per_minute: int = 60
        scope: Literal["key", "organisation"] = "key"
        rules: list[Rule] = []
        accounts: dict[str, Account] = {}
        either: str | list[str] | Rule = "x"
        keys: tuple[Secret, ...] = ()
        labels: dict[str, str] = {}

    class It(Plugin):
        name = "limiter"
        Settings = LimiterSettings
        after = ("door",)
"""
DOOR = """
    from relay import Plugin, Secret, Settings

    class DoorSettings(Settings):
        key: Secret

    class It(Plugin):
        name = "door"
        Settings = DoorSettings
"""


@pytest.fixture(autouse=True)
def _plugins(install: Any) -> None:
    install.plugin("limiter", LIMITER)
    install.plugin("door", DOOR)
    install.dialect("long", "/v1/a", "/v1/b")
    install.dialect("short", "/v2/a")


BROKEN = """\
mode: comercial
listen: [127.0.0.1:8080, "localhost"]
listen: 127.0.0.1:9090
workers: none
limits:
  head_bytes: 16 kilos
  body_seconds: -1
  conections: 5
database: {url: "postgres://relay:hunter2@db/relay"}
redis: {url: {env: REDIS_URL}}
secrets:
  master: [{env: MASTER}, {file: missing.key}]
trusted_proxies: [10.0.0.1/8]
tls: {cert: relay.crt}
log: {format: xml}
dialects: [long, shrot]
opertor_listen: 127.0.0.1:8081
plugins:
  - limiter:
      requests_per_minit: 5
      scope: organization
      rules:
        - {match: a, weight: 0}
        - {weight: much}
        - match
      accounts:
        one: {url: 5, key: sk-abc}
        two: {key: {env: TWO}}
      either: {match: 1}
  - door: {key: {env: DOOR, optional: true}}
  - limiter:
  - dor:
  - 7
  - {a: 1, b: 2}
  - door2: {use: "./nothing.py:It"}
"""


def test_a_file_full_of_mistakes_tells_all_of_them_with_their_places(wrong: Wrong, tmp_path: Path) -> None:
    found = wrong(BROKEN, {"EMPTY": "", "MASTER": "m"})

    assert [
        "1:7: mode: expected one of 'standard', 'commercial', found 'comercial'; did you mean 'commercial'?",
        "2:26: listen[]: expected an address such as 127.0.0.1:8080, [::1]:8080 or unix:/path",
        "3:1: 'listen' is given twice (first in line 2)",
        "4:10: workers: expected a whole number, found 'none'",
        "6:15: limits.head_bytes: expected a size such as 512, 16KiB, 32MiB or 1GiB",
        "7:17: limits.body_seconds: expected more than 0, found the number -1",
        "8:3: limits: unknown setting 'conections'; did you mean 'connections'?",
        "9:17: database.url: expected a secret as {env: NAME} or {file: path}, found text",
        "10:20: redis.url: the environment variable 'REDIS_URL' is not set; set it, or add `optional: true`",
        f"12:34: secrets.master[]: there is no file '{tmp_path}/missing.key'; make it, or add `optional: true`",
        "13:19: trusted_proxies[]: expected a network such as 10.0.0.0/8 (with no bits set behind its prefix), found '10.0.0.1/8'",
        "14:1: tls: the setting 'key' is missing",
        "15:15: log.format: expected one of 'json', 'text', found 'xml'",
        "16:18: no dialect named 'shrot' is installed; did you mean 'short'?",
        "17:1: unknown setting 'opertor_listen'; did you mean 'operator_listen'?",
        "20:7: limiter: unknown setting 'requests_per_minit'; did you mean 'requests_per_minute'?",
        "21:14: limiter.scope: expected one of 'key', 'organisation', found 'organization'; did you mean 'organisation'?",
        "23:30: limiter.rules[].weight: expected more than 0, found the number 0",
        "24:11: limiter.rules[]: the setting 'match' is missing",
        "24:20: limiter.rules[].weight: expected a number, found 'much'",
        "25:11: limiter.rules[]: expected a mapping of settings, found text",
        "27:20: limiter.accounts.one.url: expected text, found the number 5",
        "27:28: limiter.accounts.one.key: expected a secret as {env: NAME} or {file: path}, found text",
        "28:9: limiter.accounts.two: the setting 'url' is missing",
        "28:26: limiter.accounts.two.key: the environment variable 'TWO' is not set; set it, or add `optional: true`",
        "29:23: limiter.either.match: expected text, found the number 1",
        "30:5: door: the setting 'key' is missing",
        "31:5: the plugin 'limiter' is listed twice (first in line 19)",
        "32:5: no plugin named 'dor' is installed; did you mean 'door'?",
        "33:5: an entry names one plugin: `- name`, or `- name:` with its settings indented below it",
        "34:5: an entry names one plugin: `- name`, or `- name:` with its settings indented below it",
        f"35:18: there is no file '{tmp_path}/nothing.py'",
    ] == found


def test_no_message_repeats_what_may_be_a_secret(wrong: Wrong) -> None:
    found = "\n".join(wrong(BROKEN, {"MASTER": "m", "REDIS_URL": "redis://:hunter3@x"}))

    assert "hunter2" not in found
    assert "hunter3" not in found
    assert "sk-abc" not in found


def test_each_problem_is_printed_with_file_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"

    with pytest.raises(ConfigurationError) as raised:
        load(path, environ={}, text="plugins: [audti]\nworkers: x")

    assert (
        f"{path}:1:11: no plugin named 'audti' is installed; known are door, limiter\n"
        f"{path}:2:10: workers: expected a whole number, found 'x'"
    ) == str(raised.value)


def test_a_good_file_becomes_a_configuration(read: Read, tmp_path: Path) -> None:
    (tmp_path / "master").write_text("file's secret\n\n")

    configuration = read(
        """
        listen: 0.0.0.0:80
        workers: {env: WORKERS}
        log: {level: {env: LEVEL, optional: true}}
        limits: {body_bytes: 1MiB, drain_seconds: 2m}
        secrets: {master: [{file: master}, {env: OLD, optional: true}, {env: OLDER}]}
        dialects: [short]
        plugins:
          - door: {key: {env: DOOR}}
          - limiter
        """,
        {"WORKERS": "3", "DOOR": "open", "OLDER": "older", "LEVEL": ""},
    )

    core = configuration.core
    assert ("0.0.0.0:80",) == core.listen
    assert 3 == core.workers
    assert "info" == core.log.level
    assert (2**20, 120.0) == (core.limits.body_bytes, core.limits.drain_seconds)
    assert (Secret("file's secret\n"), Secret("older")) == core.secrets.master
    assert tmp_path / ".relay" == core.data
    assert [("door", 9, 5), ("limiter", 10, 5)] == [(one.name, one.line, one.column) for one in configuration.chain]
    assert Secret("open") == configuration.chain[0].plugin.settings.key
    assert 60 == configuration.chain[1].plugin.settings.requests_per_minute
    assert ["short", "long"] == list(configuration.dialects)
    assert ("short",) == core.dialects
    assert {"env:WORKERS", "env:DOOR", "env:OLD", "env:OLDER", "env:LEVEL", f"file:{tmp_path}/master"} == set(
        configuration.sources
    )


def test_without_dialects_all_are_served_the_one_with_the_most_surfaces_first(read: Read) -> None:
    assert ("long", "short") == read("plugins: []").core.dialects


def test_an_optional_reference_that_leads_nowhere_leaves_the_setting_out(read: Read) -> None:
    configuration = read(
        """
        database: {url: {file: nothing, optional: true}}
        plugins:
          - limiter:
              requests_per_minute: {env: NONE, optional: true}
              keys: [{env: NONE, optional: true}, {env: A}, {env: NONE, optional: true}, {env: B}]
        """,
        {"A": "a", "B": "b"},
    )

    limiter = configuration.chain[0].plugin.settings
    assert configuration.core.database.url is None
    assert 60 == limiter.requests_per_minute
    assert (Secret("a"), Secret("b")) == limiter.keys


def test_a_mapping_that_looks_like_a_reference_stays_one_where_a_mapping_is_wanted(read: Read) -> None:
    configuration = read("plugins: [{limiter: {labels: {env: production}}}]")

    assert {"env": "production"} == configuration.chain[0].plugin.settings.labels


def test_an_alias_of_a_reference_is_a_secret_here_and_text_there(read: Read) -> None:
    configuration = read(
        "plugins: [{limiter: {keys: [&x {env: X}], labels: {a: *x}, either: *x}}]",
        {"X": "value"},
    )

    limiter = configuration.chain[0].plugin.settings
    assert (Secret("value"),) == limiter.keys
    assert {"a": "value"} == limiter.labels
    assert "value" == limiter.either


@pytest.mark.parametrize(
    "given_value, problem",
    [
        ("{env: EMPTY}", "is empty; set it, or add `optional: true`"),
        ("{env: [x]}", "'env' takes a variable, as text"),
        ("{file: .}", "cannot be read: Is a directory"),
        ("{file: blank}", "is empty"),
        ("{file: binary}", "cannot be read: it is not UTF-8 text"),
        ("{env: X, optional: maybe}", "'optional' is true or false"),
        ("{env: X, file: y}", "expected a secret as {env: NAME} or {file: path}, found a mapping"),
        ("5", "expected a secret as {env: NAME} or {file: path}, found the number 5"),
    ],
)
def test_a_secret_that_leads_nowhere_says_why(wrong: Wrong, tmp_path: Path, given_value: str, problem: str) -> None:
    (tmp_path / "blank").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    found = wrong(f"plugins: [{{door: {{key: {given_value}}}}}]", {"EMPTY": ""})

    assert 1 == len(found)
    assert found[0].startswith("1:")
    assert found[0].endswith(problem)


def test_the_value_of_a_variable_that_does_not_fit_is_not_told(wrong: Wrong) -> None:
    found = wrong("workers: {env: W}\nplugins: []", {"W": "hunter2"})

    assert ["1:10: workers: expected a whole number, found the value of the variable 'W'"] == found


@pytest.mark.parametrize(
    "text, problem",
    [
        ("", "1:1: the list of `plugins` is missing; `plugins: []` for none"),
        ("- auth", "1:1: expected settings such as `listen: 127.0.0.1:8080` and a list of `plugins`"),
        ("plugins: {auth: }", "1:10: plugins: expected a list, each entry `- name:` with its settings below"),
        ("plugin: []\nplugins: []", "1:1: unknown setting 'plugin'; did you mean 'plugins'?"),
        ("plugins: [{limiter: 5}]", "1:21: limiter: expected a mapping of settings"),
        ("plugins: []\nlisten: []", "2:9: listen: expected at least 1 entry, found an empty list"),
        ("plugins: []\nhosts: ['http://x']", "2:9: hosts[]: expected a host name such as api.example.org, without scheme, port or path"),
        ("plugins: []\ndialects: [long, long]", "2:11: dialects: 'long' is listed twice"),
        ("plugins: []\nlog:\n  level:", "3:3: log.level: expected one of 'debug', 'info', 'warning', 'error', found nothing"),
        ("plugins: []\noperator_listen: 127.0.0.1:8080", "2:1: operator_listen: '127.0.0.1:8080' is already in `listen`"),
        ("plugins: [{limiter: {either: 5}}]", "1:30: limiter.either: expected text, a list or a mapping of settings, found the number 5"),
        ("plugins: [{limiter: {either: [x, 5]}}]", "1:34: limiter.either[]: expected text, found the number 5"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_problem(wrong: Wrong, text: str, problem: str) -> None:
    found = wrong(text)

    assert [problem] == found


def test_plain_text_that_nobody_could_avoid_is_a_problem(wrong: Wrong, read: Read) -> None:
    refused = (
        "2:1: plain_text: every request would be refused; give `tls`, or `trusted_proxies` that speak https to clients"
    )

    assert [refused] == wrong("plugins: []\nplain_text: refuse")
    assert "refuse" == read("plugins: []\nplain_text: refuse\ntrusted_proxies: [10.0.0.1]").core.plain_text
    assert "refuse" == read("plugins: []\nplain_text: refuse\ntls: {cert: a, key: b}").core.plain_text


def test_a_dialect_may_be_named_by_a_variable(read: Read) -> None:
    assert ("short",) == read("plugins: []\ndialects: [{env: SPEAK}]", {"SPEAK": "short"}).core.dialects


def test_commercial_mode_demands_secrets(wrong: Wrong) -> None:
    assert [
        "1:1: secrets.keys: commercial mode demands one; give a list of secrets",
        "1:1: secrets.master: commercial mode demands one; give a list of secrets",
    ] == wrong("mode: commercial\nplugins: []")


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml:1:1: the configuration cannot be read: No such file"):
        load(tmp_path / "none.yaml")


def test_a_file_that_is_not_utf_8_is_a_problem_where_it_is_not(tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    path.write_bytes(b"plugins: []\nhosts: \xff\n")

    with pytest.raises(ConfigurationError, match=r"relay\.yaml:2:8: the configuration must be UTF-8 text"):
        load(path)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    path.write_bytes(b"\xef\xbb\xbfworkers: 2\r\nplugins: []\r\n")

    assert 2 == load(path, environ={}).core.workers


_WORDS = st.sampled_from(
    ["plugins", "limiter", "door", "key", "env", "file", "optional", "use", "mode", "commercial", "listen", "rules", "either", "limits",
     "secrets", "master", "<<", "dialects", "long", "x", "", "./x.py:It"]
)  # fmt: skip
_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS | st.text(max_size=3), inner, max_size=5),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tree=st.dictionaries(_WORDS, _TREES, max_size=6),
    listed=st.lists(st.dictionaries(_WORDS, _TREES, max_size=2), max_size=3),
)
def test_any_tree_is_a_configuration_or_a_list_of_problems(read: Read, tree: dict[str, Any], listed: list[Any]) -> None:
    text = yaml.safe_dump({**tree, "plugins": listed}, allow_unicode=True)

    with suppress(ConfigurationError):
        assert read(text).hash


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text())
def test_any_text_is_a_configuration_or_a_list_of_problems(read: Read, text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(text)

    assert raised.value.problems
