"""`deploy/nginx.conf` in a real nginx: it is valid, holds no event back, and tells Relay who asks."""

from __future__ import annotations

import asyncio
import datetime
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from relay.engine.serving import Terms
from relay.testing.server import Served, serve
from relay.testing.upstream import ScriptedUpstream, stream

CONF = Path(__file__).parents[2] / "deploy" / "nginx.conf"
NAME = "relay.example"
ASK = b'{"model":"m","text":"hi","stream":true}'
HELLO = b'data: {"n":0,"text":"hello"}\n\n'
END = b'data: {"stop":"end","usage":{"in":1,"out":2}}\n\ndata: [END]\n\n'
# What Debian compiles in lies in folders that only root may write to.
AROUND = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/start.log;
events {{}}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/relay.conf;
}}
"""


@dataclass
class Proxied:
    """A relay behind nginx, which speaks TLS on `port`."""

    served: Served
    upstream: ScriptedUpstream
    port: int
    context: ssl.SSLContext

    async def ask(self, *headers: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context, server_hostname=NAME)
        lines = ["POST /v1/ask HTTP/1.1", f"host: {NAME}", f"content-length: {len(ASK)}", "connection: close", *headers]
        writer.write("\r\n".join([*lines, "", ""]).encode() + ASK)
        return reader, writer


def certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "relay.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "relay.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def adapted(folder: Path, listen: int, relay: int) -> Path:
    """The shipped configuration on these ports of 127.0.0.1, with its files in `folder`, and what stands around it."""
    text = CONF.read_text(encoding="utf-8")
    for found, put in (
        ("    listen [::]:443 ssl;\n", ""),
        ("listen 443 ssl", f"listen 127.0.0.1:{listen} ssl"),
        ("127.0.0.1:8080", f"127.0.0.1:{relay}"),
        ("/etc/nginx/", f"{folder}/"),
        ("/var/log/nginx/", f"{folder}/"),
    ):
        assert found in text
        text = text.replace(found, put)
    (folder / "relay.conf").write_text(text, encoding="utf-8")
    around = folder / "nginx.conf"
    around.write_text(AROUND.format(folder=folder), encoding="utf-8")
    certificate(folder)
    return around


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def run(nginx: str, conf: Path, *more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        nginx, "-c", str(conf), "-e", str(conf.with_name("first.log")), *more, stderr=asyncio.subprocess.PIPE
    )


@pytest.fixture
def nginx() -> str:
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("nginx is not installed: deploy/nginx.conf is not tried")
    return found


@pytest.fixture
async def proxied(nginx: str, tmp_path: Path) -> AsyncIterator[Proxied]:
    terms = Terms(trusted=(ip_network("127.0.0.1/32"),), plain_text=False, drain_s=1.0)
    async with ScriptedUpstream() as upstream, serve(upstream=upstream.url, terms=terms) as served:
        port = free_port()
        process = await run(nginx, adapted(tmp_path, port, served.address[1]))
        try:
            context = ssl.create_default_context(cafile=str(tmp_path / "relay.crt"))
            await listening(port)
            yield Proxied(served, upstream, port, context)
        finally:
            process.terminate()
            await process.communicate()


async def listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def test_the_configuration_is_valid(nginx: str, tmp_path: Path) -> None:
    process = await run(nginx, adapted(tmp_path, free_port(), free_port()), "-t")

    _, said = await process.communicate()

    assert 0 == process.returncode, said.decode()
    assert b"warn" not in said


async def test_an_event_passes_while_the_next_is_not_there_yet(proxied: Proxied) -> None:
    gate = asyncio.Event()
    proxied.upstream.play(*stream([HELLO, gate, END]))
    reader, writer = await proxied.ask()

    async with asyncio.timeout(10):
        await reader.readuntil(HELLO)
        gate.set()
        rest = await reader.read()
    writer.close()

    assert END in rest


async def test_relay_learns_who_asks_and_that_it_was_over_tls(proxied: Proxied) -> None:
    proxied.upstream.play(*stream([HELLO, END]))
    reader, writer = await proxied.ask("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: http")

    async with asyncio.timeout(10):
        status = await reader.readline()
        await reader.read()
        while not proxied.served.exchanges:
            await asyncio.sleep(0.01)
    writer.close()

    client = proxied.served.exchanges[0].client
    assert b"HTTP/1.1 200 OK\r\n" == status
    assert ("127.0.0.1", True, NAME) == (client.address, client.secure, client.host)


async def test_a_client_that_leaves_the_proxy_ends_the_exchange(proxied: Proxied) -> None:
    proxied.upstream.play(*stream([HELLO, asyncio.Event(), END]))
    reader, writer = await proxied.ask()

    async with asyncio.timeout(10):
        await reader.readuntil(HELLO)
        writer.transport.abort()
        while not proxied.served.exchanges:
            await asyncio.sleep(0.01)

    assert "client_left" == proxied.served.exchanges[0].outcome
