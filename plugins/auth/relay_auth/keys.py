"""What a key looks like, and what is stored of it.

`rk_live_` + 32 letters (160 random bits) + 7 letters (CRC-32 of all that stands before), in Crockford's base 32, lower case. A scanner that
finds one in a repository verifies the checksum without asking anybody; so does the relay, before it looks anything up.
"""

from __future__ import annotations

import hmac
import re
import secrets
from zlib import crc32

from relay import Secret

PREFIX = "rk_live_"
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS = str.maketrans(_LETTERS, "0123456789abcdefghijklmnopqrstuv")  # as int() reads base 32
_RANDOM_BITS = 160
_RANDOM = _RANDOM_BITS // 5
_CHECKSUM = 7
_FORM = re.compile(rf"{PREFIX}[{_LETTERS}]{{{_RANDOM + _CHECKSUM}}}")
_STORED = re.compile(r"hmac-sha256:([0-9a-f]{64})")


def make() -> Secret:
    """A new key, from the operating system's randomness."""
    head = PREFIX + _letters(secrets.randbits(_RANDOM_BITS), _RANDOM)
    return Secret(head + _letters(crc32(head.encode()), _CHECKSUM))


def verify_form(key: str) -> bool:
    """Is it a key by its form and checksum? Says nothing about whether anybody knows it."""
    if _FORM.fullmatch(key) is None:
        return False
    return int(key[-_CHECKSUM:].translate(_DIGITS), 32) == crc32(key[:-_CHECKSUM].encode())


def digest(secret: Secret, key: Secret) -> bytes:
    """What a key is known by: HMAC-SHA-256 (RFC 2104) of it under the server's secret, 32 bytes."""
    return hmac.digest(secret.open().encode(), key.open().encode(), "sha256")


def store(digest: bytes) -> str:
    """A digest as it stands in a configuration: `hmac-sha256:` and 64 hexadecimal digits."""
    return f"hmac-sha256:{digest.hex()}"


def read_stored(text: str) -> bytes:
    """The digest behind what `store` made. :raises ValueError: it is not one; the message does not repeat it."""
    match = _STORED.fullmatch(text)
    if match is None:
        # Somebody may have put the key itself here: so the text is never shown.
        raise ValueError(
            "found something else, expected 'hmac-sha256:' and 64 hexadecimal digits, as 'relay keys create' prints it"
        )
    return bytes.fromhex(match[1])


def _letters(number: int, length: int) -> str:
    return "".join(_LETTERS[number >> shift & 31] for shift in range(5 * (length - 1), -1, -5))
