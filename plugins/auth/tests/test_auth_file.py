"""Keys in a file, which may change while the relay runs; and the server's secret."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from relay_auth import key_file, server_secret
from relay_auth.entries import KeyEntry
from relay_auth.key_file import KeyFileInvalid
from relay_auth.plugin import AuthSettings

from relay import RelayError, Secret


def write(path: Path, entries: Any) -> Path:
    path.write_text(yaml.safe_dump(entries))
    return path


async def is_known(auth: Any, asking: Any) -> bool:
    try:
        await auth.on_request(asking)
    except RelayError:
        return False
    return True


@pytest.mark.parametrize("form", [yaml.safe_dump, json.dumps])
async def test_keys_stand_in_a_file_as_yaml_or_json(
    opened: Any, known: Any, exchange: Any, tmp_path: Path, form: Any
) -> None:
    key, entry = known(expires="2999-01-01", networks=["192.0.2.0/24"])
    (tmp_path / "keys").write_text(form([entry]))

    async with opened(file=tmp_path / "keys") as auth:
        assert await is_known(auth, exchange(key))


async def test_a_changed_file_is_in_force_after_the_job_has_run(
    opened: Any, known: Any, exchange: Any, tmp_path: Path
) -> None:
    first, first_entry = known(id="key_1")
    second, second_entry = known(id="key_2")
    path = write(tmp_path / "keys.yaml", [first_entry])

    async with opened(file=path) as auth:
        (job,) = auth.jobs()
        write(path, [second_entry])
        await job.run()

        assert not await is_known(auth, exchange(first))
        assert await is_known(auth, exchange(second))
        assert ("process", 1.0) == (job.scope, job.every)


async def test_a_revoked_key_is_refused_after_the_job_has_run(
    opened: Any, known: Any, exchange: Any, tmp_path: Path
) -> None:
    key, entry = known()
    path = write(tmp_path / "keys.yaml", [entry])

    async with opened(file=path) as auth:
        (job,) = auth.jobs()
        key_file.change(path, lambda entries: [each.model_copy(update={"disabled": True}) for each in entries])
        await job.run()

        assert not await is_known(auth, exchange(key))


@pytest.mark.parametrize("broken", ["- {id: [", "nothing", "- {id: a}", "\x00", None])
async def test_a_file_that_is_spoilt_or_lost_leaves_the_last_good_keys_and_shows_it(
    opened: Any, known: Any, exchange: Any, tmp_path: Path, fake_relay: Any, broken: str | None
) -> None:
    key, entry = known()
    path = write(tmp_path / "keys.yaml", [entry])

    async with opened(file=path) as auth:
        (job,) = auth.jobs()
        path.unlink() if broken is None else path.write_text(broken)
        await job.run()

        assert await is_known(auth, exchange(key))
        assert [((), 1.0)] == list(fake_relay.gauges["relay_auth_file_stale"].read())
        assert fake_relay.checks["auth"]().ok

        write(path, [entry])
        await job.run()
        assert [((), 0.0)] == list(fake_relay.gauges["relay_auth_file_stale"].read())


async def test_a_file_that_does_not_exist_yet_is_not_ready_and_is_taken_when_it_comes(
    opened: Any, known: Any, exchange: Any, tmp_path: Path, fake_relay: Any
) -> None:
    key, entry = known()
    path = tmp_path / "keys.yaml"

    async with opened(file=path) as auth:
        before = fake_relay.checks["auth"]()
        (job,) = auth.jobs()
        write(path, [entry])
        await job.run()

        assert not before.ok
        assert "relay keys create" in before.message
        assert fake_relay.checks["auth"]().ok
        assert await is_known(auth, exchange(key))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {id: [", ":1: not valid YAML"),
        ("hello", "valid list"),
        ("- {id: a, hash: x, organisation: o}", "0.hash"),
        ("- {id: a, organisation: o, modles: []}", "0.modles"),
    ],
)
async def test_a_spoilt_file_stops_the_start_and_says_where(opened: Any, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(text)

    with pytest.raises(KeyFileInvalid) as raised:
        async with opened(file=path):
            pass

    assert said in str(raised.value)
    assert str(path) in str(raised.value)


async def test_a_key_written_into_the_file_in_the_clear_is_never_shown(opened: Any, known: Any, tmp_path: Path) -> None:
    key, entry = known()
    path = write(tmp_path / "keys.yaml", [{**entry, "hash": key.open()}])

    with pytest.raises(KeyFileInvalid) as raised:
        async with opened(file=path):
            pass

    assert key.open() not in str(raised.value)
    assert key.open() not in repr(raised.getrepr())


@pytest.mark.parametrize("same", ["id", "hash"])
async def test_one_id_or_one_key_twice_is_an_error_within_the_settings_and_across_the_file(
    opened: Any, known: Any, tmp_path: Path, same: str
) -> None:
    _, first = known(id="key_1")
    _, second = known(id="key_2")
    second[same] = first[same]
    path = write(tmp_path / "keys.yaml", [second])

    with pytest.raises(ValueError, match=r"two keys|same key"):
        async with opened(keys=[first, second]):
            pass
    with pytest.raises(KeyFileInvalid, match=r"two keys|same key"):
        async with opened(keys=[first], file=path):
            pass


def test_a_change_replaces_the_file_whole_and_leaves_it_to_its_owner(known: Any, tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "keys.yaml"
    entries = [KeyEntry.model_validate(known(id=f"key_{number}")[1]) for number in range(8)]

    threads = [
        threading.Thread(target=key_file.change, args=(path, lambda before, entry=entry: [*before, entry]))
        for entry in entries
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {entry.id for entry in entries} == {entry.id for entry in key_file.read(path)}
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert ["keys.yaml"] == os.listdir(path.parent)


def test_a_change_that_fails_leaves_the_file_as_it_was(known: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "keys.yaml", [known()[1]])
    before = path.read_text()

    with pytest.raises(KeyFileInvalid):
        key_file.change(path, lambda entries: [*entries, *entries])

    assert before == path.read_text()
    assert ["keys.yaml"] == os.listdir(tmp_path)


def test_a_generated_secret_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "auth" / "secret"
    made = []

    threads = [threading.Thread(target=lambda: made.append(server_secret.generated(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 8 == len(made)
    assert {made[0]} == {*made, server_secret.generated(path)}
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert ["secret"] == os.listdir(path.parent)


@pytest.mark.parametrize(
    ("text", "mode", "said"), [("a" * 64, 0o644, "0600"), ("short", 0o600, "5 characters"), ("", 0o600, "0 char")]
)
def test_a_secret_that_is_no_secret_is_refused(tmp_path: Path, text: str, mode: int, said: str) -> None:
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(mode)

    with pytest.raises(server_secret.SecretUnusable, match=said):
        server_secret.generated(path)


async def test_without_a_secret_one_is_generated_in_the_data_folder(opened: Any, fake_relay: Any) -> None:
    async with opened(secret=None):
        assert (fake_relay.data / "auth" / "secret").is_file()


async def test_commercial_mode_demands_a_secret_of_its_own(opened: Any, fake_relay: Any) -> None:
    fake_relay.mode = "commercial"

    with pytest.raises(RelayError, match="commercial mode demands"):
        async with opened(secret=None):
            pass

    with pytest.raises(ValueError, match="commercial mode demands"):
        AuthSettings.model_validate({}, context={"mode": "commercial"})
    assert [] == list(fake_relay.data.iterdir())


async def test_a_short_secret_is_refused(opened: Any) -> None:
    with pytest.raises(ValueError, match="at least 32"):
        async with opened(secret=Secret("")):
            pass
