"""Listening sockets, opened once by the supervisor and inherited by every worker, so that the port outlives all of them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable, Sequence

from relay.errors import RelayError

BACKLOG = 1024
"""Connections the kernel queues per socket while no worker takes them (Linux caps it at `net.core.somaxconn`)."""

_UNIX = "unix:"
# What a resolver may offer although this machine has no such address: `::1` for localhost in a container without IPv6.
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class CannotListen(RelayError):
    """A listening address is malformed, taken or not allowed; the message names it and says what to do."""


def open_listeners(addresses: Iterable[str], *, backlog: int = BACKLOG) -> list[socket.socket]:
    """Open and bind every address and start to queue connections; all of them, or none.

    :param addresses: `host:port`, `[ipv6]:port` or `unix:/path`. Port 0 takes a free one. A name is bound at each
        address it resolves to. `[::]` takes IPv6 only, so that it can stand beside `0.0.0.0` on every system alike.
    :raises CannotListen: for the first address that cannot be opened.
    """
    with contextlib.ExitStack() as half_open:
        opened: list[socket.socket] = []
        for address in addresses:
            found = _bind(address)
            half_open.callback(close_listeners, found)
            opened += found
        for listener in opened:
            try:
                listener.listen(backlog)
            except OSError as error:  # Linux tells here, not at bind, that another socket won a race for the port.
                raise _refusal(shown(listener), error) from error
        half_open.pop_all()
    return opened


def close_listeners(listeners: Sequence[socket.socket]) -> None:
    """Close the sockets and remove the files of unix sockets. Those that are closed already are passed over."""
    for listener in listeners:
        if listener.fileno() < 0:
            continue
        path = listener.getsockname() if listener.family == socket.AF_UNIX else None
        listener.close()
        if path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def shown(listener: socket.socket) -> str:
    """The address as it is written in a configuration, with the port that was really taken."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"{_UNIX}{name}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"{host}:{name[1]}"


def _bind(address: str) -> list[socket.socket]:
    if address.startswith(_UNIX):
        return [_bind_unix(address.removeprefix(_UNIX))]
    return _bind_tcp(*_host_and_port(address))


def _host_and_port(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    elif ":" in host:
        raise CannotListen(f"cannot listen on {address!r}: write an IPv6 address in brackets, as in [::1]:8080")
    if not (host and colon and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise CannotListen(
            f"cannot listen on {address!r}: expected host:port (127.0.0.1:8080), [ipv6]:port or unix:/path"
        )
    return host, int(port)


def _bind_tcp(host: str, port: int) -> list[socket.socket]:
    written = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise CannotListen(f"cannot listen on {written}: the host is not known here ({error})") from error
    bound: list[socket.socket] = []
    absent: OSError | None = None
    for family, kind, protocol, _, name in found:
        try:
            # Port 0: the addresses after the first take the port that the first was given.
            taken = bound[0].getsockname()[1] if bound else port
            bound.append(_bound(socket.socket(family, kind, protocol), (name[0], taken, *name[2:])))
        except OSError as error:
            if error.errno in _NOT_HERE:
                absent = error
                continue
            close_listeners(bound)
            raise _refusal(written, error) from error
    if not bound:
        raise _refusal(written, absent or OSError(errno.EADDRNOTAVAIL, "no address")) from absent
    return bound


def _bound(listener: socket.socket, name: tuple[str | int | bytes, ...]) -> socket.socket:
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(name)
    except BaseException:
        listener.close()
        raise
    return listener


def _bind_unix(path: str) -> socket.socket:
    if not os.path.isabs(path):
        raise CannotListen(f"cannot listen on {_UNIX}{path}: the path must be absolute")
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
    except OSError as error:
        listener.close()
        raise _refusal(f"{_UNIX}{path}", error) from error
    return listener


def _remove_stale(path: str) -> None:
    """Remove a socket file that a killed process left. One that answers, or a file of another kind, stays."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            # A full queue must not hold the start up: whoever has a queue is alive.
            probe.setblocking(False)
            if probe.connect_ex(path) == errno.ECONNREFUSED:
                os.unlink(path)


def _refusal(address: str, error: OSError) -> CannotListen:
    if error.errno == errno.EADDRINUSE:
        why = "the address is in use; stop the program that has it (`ss -ltnp` names it) or change `listen`"
    elif error.errno == errno.EACCES:
        why = "permission denied; choose a port above 1023 or a folder you may write to, or grant CAP_NET_BIND_SERVICE"
    elif error.errno in _NOT_HERE:
        why = "this machine has no such address; choose one of its own, or 0.0.0.0 for all"
    else:
        why = error.strerror or str(error)
    return CannotListen(f"cannot listen on {address}: {why}")
