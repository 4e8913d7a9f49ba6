"""The secret under which keys are hashed: without it, a stolen list of digests is worth nothing."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from relay import RelayError, Secret

LEAST = 32
"""Characters a server secret has at least."""
DEMANDED = (
    "commercial mode demands a `secret` to hash keys under, for example `secret: {env: RELAY_AUTH_SECRET}`; "
    "'openssl rand -hex 32' makes one"
)


class SecretUnusable(RelayError):
    """There is no secret to hash keys under; the message says what to do."""


def generated(path: Path) -> Secret:
    """The secret in this file; made, readable by its owner only, where there is none.

    Several processes may start at once: the first one's stays, the others read it.

    :raises SecretUnusable: the file cannot be made or read, is too short, or others may read it.
    """
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise SecretUnusable(f"{path} may be read by others: expected mode 0600; run 'chmod 600 {path}'")
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnusable(f"{path} cannot be used: {type(error).__name__}") from error
    if len(text) < LEAST:
        raise SecretUnusable(
            f"{path} holds {len(text)} characters, expected at least {LEAST}: restore it (keys made under it stay "
            "valid), or remove it and make new keys"
        )
    return Secret(text)


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=".secret.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)  # Unlike a rename, it does not replace what another process made meanwhile.
    except FileExistsError:
        return
    finally:
        os.unlink(beside)
