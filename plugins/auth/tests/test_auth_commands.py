"""`relay keys create`, `list`, `revoke`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from relay_auth import key_file
from relay_auth.commands import KeyCommandFailed

from relay.values.clock import now


async def run(auth: Any, verb: str, **arguments: Any) -> Any:
    (command,) = [command for command in auth.commands() if (command.noun, command.verb) == ("keys", verb)]
    assert command.opened
    return await command.run(command.takes.model_validate(arguments))


async def test_a_key_made_without_a_file_is_printed_with_the_entry_that_makes_it_known(
    opened: Any, exchange: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened() as auth:
        await run(auth, "create", organisation="acme", models="gpt-*, claude-*", networks="10.0.0.0/8")
    key, entry = capsys.readouterr().out.split("\n", 1)
    asking = exchange(key, address="10.0.0.1")

    async with opened(keys=yaml.safe_load(entry)) as auth:
        await auth.on_request(asking)

    assert "acme" == asking.caller.organisation
    assert ("gpt-*", "claude-*") == asking.caller.models


async def test_a_key_made_into_a_file_is_printed_alone_and_stored_only_as_a_digest(
    opened: Any, exchange: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "keys.yaml"
    async with opened(file=path) as auth:
        await run(auth, "create", organisation="acme", member="ci")
        printed = capsys.readouterr()
        (job,) = auth.jobs()
        await job.run()
        asking = exchange(printed.out.strip())
        await auth.on_request(asking)

    assert "ci" == asking.caller.member
    assert asking.caller.key in printed.err
    assert printed.out.strip() not in printed.err + path.read_text()
    assert "hmac-sha256:" in path.read_text()


async def test_a_named_file_goes_before_the_configured_one(
    opened: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async with opened(file=tmp_path / "configured.yaml") as auth:
        await run(auth, "create", organisation="acme", file=tmp_path / "named.json")

    assert ["acme"] == [entry.organisation for entry in key_file.read(tmp_path / "named.json")]
    assert not (tmp_path / "configured.yaml").exists()


@pytest.mark.parametrize(("expires", "hours"), [("12h", 12), ("90d", 90 * 24), ("4w", 4 * 7 * 24), ("1y", 365 * 24)])
async def test_a_lifetime_counts_from_now(
    opened: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, expires: str, hours: int
) -> None:
    async with opened(file=tmp_path / "keys.yaml") as auth:
        await run(auth, "create", organisation="acme", expires=expires)

    (entry,) = key_file.read(tmp_path / "keys.yaml")
    assert entry.expires is not None
    assert abs(entry.expires - now() - timedelta(hours=hours)) < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"expires": "soon"}, "--expires: found 'soon'"),
        ({"expires": "2001-01-01"}, "has passed"),
        ({"networks": "10.0.0.1/8"}, "--networks"),
        ({"organisation": "a b"}, "--organisation"),
    ],
)
async def test_a_wrong_argument_is_named_and_nothing_is_made(
    opened: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: dict[str, str], said: str
) -> None:
    async with opened(file=tmp_path / "keys.yaml") as auth:
        with pytest.raises(KeyCommandFailed, match=said):
            await run(auth, "create", **{"organisation": "acme", **arguments})

    assert "" == capsys.readouterr().out
    assert not (tmp_path / "keys.yaml").exists()


async def test_a_list_shows_what_each_key_may_and_nothing_to_enter_with(
    opened: Any, known: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, active = known(id="key_1", models=["gpt-*"])
    _, expired = known(id="key_2", expires="2001-01-01")
    _, disabled = known(id="key_3", disabled=True)

    async with opened(keys=[active, expired, disabled]) as auth:
        await run(auth, "list")

    printed = capsys.readouterr().out
    assert [
        "key_1  active  acme  models=gpt-*",
        "key_2  expired  acme  expires=2001-01-01T00:00:00.000Z",
        "key_3  disabled  acme",
    ] == printed.splitlines()
    assert "hmac" not in printed


async def test_a_revoked_key_stays_in_the_file_disabled(
    opened: Any, exchange: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "keys.yaml"
    async with opened(file=path) as auth:
        await run(auth, "create", organisation="acme")
        await run(auth, "create", organisation="other")
        first, second = key_file.read(path)
        await run(auth, "revoke", id=first.id)

    assert [(first.id, True), (second.id, False)] == [(entry.id, entry.disabled) for entry in key_file.read(path)]


async def test_a_key_that_cannot_be_revoked_here_is_said_to_stand_elsewhere_or_nowhere(
    opened: Any, known: Any, tmp_path: Path
) -> None:
    _, entry = known(id="key_fixed")
    async with opened(keys=[entry], file=tmp_path / "keys.yaml") as auth:
        with pytest.raises(KeyCommandFailed, match="stands in the configuration"):
            await run(auth, "revoke", id="key_fixed")
        with pytest.raises(KeyCommandFailed, match="there is no key 'key_x'"):
            await run(auth, "revoke", id="key_x")
    async with opened(keys=[entry]) as auth:
        with pytest.raises(KeyCommandFailed, match="no file of keys is configured"):
            await run(auth, "revoke", id="key_fixed")
