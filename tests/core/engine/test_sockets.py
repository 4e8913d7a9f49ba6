"""Listening sockets; real ones, on loopback and in temporary folders."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.engine.sockets import CannotListen, close_listeners, open_listeners, shown


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    listeners: list[socket.socket] = []
    yield listeners
    close_listeners(listeners)


def reaches(listener: socket.socket) -> bool:
    with socket.socket(listener.family, socket.SOCK_STREAM) as client:
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.close()
    return True


def has_ipv6() -> bool:
    """Many a container has no IPv6 at all, not even on loopback."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_every_form_of_address_is_opened_in_its_order(opened: list[socket.socket], tmp_path: Path) -> None:
    path = tmp_path / "relay.sock"

    opened += open_listeners([f"unix:{path}", "127.0.0.1:0"])

    assert [socket.AF_UNIX, socket.AF_INET] == [listener.family for listener in opened]
    assert [True, True] == [reaches(listener) for listener in opened]
    assert [f"unix:{path}", f"127.0.0.1:{opened[1].getsockname()[1]}"] == [shown(listener) for listener in opened]


@pytest.mark.parametrize("host", ["[::1]", "[::]"])
def test_an_ipv6_address_stands_in_brackets_and_takes_no_ipv4(host: str, opened: list[socket.socket]) -> None:
    if not has_ipv6():
        with pytest.raises(CannotListen, match="this machine has no such address"):
            open_listeners([f"{host}:0"])
        return

    opened += open_listeners([f"{host}:0"])

    assert f"{host}:{opened[0].getsockname()[1]}" == shown(opened[0])
    assert 1 == opened[0].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    assert reaches(opened[0])


def test_a_name_is_opened_at_all_its_addresses_with_one_port(opened: list[socket.socket]) -> None:
    opened += open_listeners(["localhost:0"])

    assert 1 == len({listener.getsockname()[1] for listener in opened})
    assert {"127.0.0.1"} <= {listener.getsockname()[0] for listener in opened} <= {"127.0.0.1", "::1"}


def test_an_address_this_machine_lacks_does_not_spoil_a_name_that_has_others(
    opened: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)

    opened += open_listeners(["localhost:0"])

    assert ["127.0.0.1"] == [listener.getsockname()[0] for listener in opened]


def test_a_port_just_given_up_is_taken_again(opened: list[socket.socket]) -> None:
    (first,) = open_listeners(["127.0.0.1:0"])
    address = shown(first)
    client = socket.create_connection(first.getsockname())
    accepted, _ = first.accept()
    accepted.close()  # The server's side closes first: its port stays in TIME_WAIT.
    client.close()
    close_listeners([first])

    opened += open_listeners([address])

    assert reaches(opened[0])


def test_an_address_in_use_is_named_with_what_to_do_and_nothing_stays_open(
    opened: list[socket.socket], tmp_path: Path
) -> None:
    opened += open_listeners(["127.0.0.1:0"])
    path = tmp_path / "relay.sock"
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(CannotListen) as refused:
        open_listeners(["127.0.0.1:0", f"unix:{path}", shown(opened[0])])

    assert (
        f"cannot listen on {shown(opened[0])}: the address is in use; "
        "stop the program that has it (`ss -ltnp` names it) or change `listen`"
    ) == str(refused.value)
    assert before == len(os.listdir("/proc/self/fd"))
    assert not path.exists()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "expected host:port"),
        (":8080", "expected host:port"),
        ("[]:8080", "expected host:port"),
        ("127.0.0.1:", "expected host:port"),
        ("127.0.0.1:http", "expected host:port"),
        ("127.0.0.1:65536", "expected host:port"),
        ("127.0.0.1:-1", "expected host:port"),
        ("127.0.0.1:\u0663", "expected host:port"),
        ("::1:8080", "in brackets"),
        ("[not-an-address]:80", "the host is not known here"),
        ("a..b:80", "the host is not known here"),
        ("192.0.2.1:0", "this machine has no such address"),
        ("unix:relay.sock", "the path must be absolute"),
        ("unix:", "the path must be absolute"),
        ("unix:/nowhere/relay.sock", "No such file or directory"),
        ("unix:/" + "x" * 200, "too long"),
    ],
)
def test_an_address_that_cannot_be_opened_is_refused_with_the_reason(
    address: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def without_name_servers(host: str, port: int, *, type: socket.SocketKind, flags: int) -> object:
        return real(host, port, type=type, flags=flags | socket.AI_NUMERICHOST)

    monkeypatch.setattr(socket, "getaddrinfo", without_name_servers)

    with pytest.raises(CannotListen) as refused:
        open_listeners([address])

    assert why in str(refused.value)
    assert address.removeprefix("[").partition("]")[0] in str(refused.value)


def test_a_forbidden_port_says_what_may_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidden(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "socket", Forbidden)

    with pytest.raises(CannotListen, match="permission denied; choose a port above 1023"):
        open_listeners(["127.0.0.1:80"])


def test_the_file_of_a_killed_server_is_replaced_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "relay.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))

    (listener,) = open_listeners([f"unix:{path}"])

    assert reaches(listener)
    close_listeners([listener])
    assert not path.exists()


def test_the_socket_of_a_living_server_stays_its_own(opened: list[socket.socket], tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'relay.sock'}"
    opened += open_listeners([address])

    with pytest.raises(CannotListen, match="the address is in use"):
        open_listeners([address])

    assert reaches(opened[0])


def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")

    with pytest.raises(CannotListen, match="the address is in use"):
        open_listeners([f"unix:{path}"])

    assert "mine" == path.read_text()
    assert stat.S_ISREG(path.stat().st_mode)
