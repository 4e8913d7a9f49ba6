"""TLS at the relay's own door."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BODY = b'{"model":"m","text":"x"}'


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    """A server's context with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    return context


def trusting(most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = most
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_P43_a_request_over_tls_is_secure_and_answered(serve: Any, ask: Any, context: Any, version: Any) -> None:
    relay = await serve(tls=context, plain_text=False)
    wire = await relay.connect(ssl=trusting(version))

    wire.send(ask(BODY))
    status, _, _ = await wire.reply()

    assert 200 == status
    assert (await relay.end()).client.secure


async def test_a_version_of_yesterday_is_refused(serve: Any, context: Any) -> None:
    relay = await serve(tls=context)

    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old = trusting(ssl.TLSVersion.TLSv1_1)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await relay.connect(ssl=old)

    assert [] == relay.provider.got


async def test_P43_plain_text_on_the_tls_port_is_closed_without_an_answer(serve: Any, ask: Any, context: Any) -> None:
    relay = await serve(tls=context)
    wire = await relay.connect()

    wire.send(ask(BODY))
    said = await wire.rest()

    assert b"HTTP/" not in said
    assert [] == relay.provider.got
    again = await relay.connect(ssl=trusting())
    again.send(ask(BODY))
    assert 200 == (await again.reply())[0]


async def test_a_handshake_that_does_not_come_is_closed_in_the_time_of_a_head(serve: Any, context: Any) -> None:
    relay = await serve(tls=context, head_s=0.2)

    wire = await relay.connect()

    assert not await wire.is_closed(0.1)
    assert await wire.is_closed(1.0)


async def test_the_operators_port_needs_no_tls(serve: Any, context: Any) -> None:
    relay = await serve(tls=context, plain_text=False)

    status, _, _ = await relay.say(b"GET /-/health/live HTTP/1.1\r\nhost: relay\r\n\r\n", relay.operators)

    assert 200 == status


async def test_tls_on_the_plain_port_is_closed(relay: Any) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await relay.connect(ssl=trusting())

    assert await relay.lives()
