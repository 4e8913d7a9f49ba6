"""The keys that are known, by their digests: those of the configuration and those of a file that may change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from relay import RelayError, Secret
from relay.ports import Finding
from relay_auth import key_file, keys
from relay_auth.entries import Grant, KeyEntry, doubles

_Seen = tuple[int, int, int]


class Keyring:
    """All known keys. A look-up is one HMAC and one dict access; nothing waits.

    :param secret: the server's secret.
    :param fixed: the keys of the configuration.
    :param file: a file with more of them; it may come into being later.
    :param log: is told when the file was read again, or could not be.
    """

    def __init__(
        self,
        secret: Secret,
        fixed: Sequence[KeyEntry],
        file: Path | None = None,
        log: Callable[..., None] | None = None,
    ) -> None:
        self._log = log or _nothing
        self._secret = secret
        self._fixed = tuple(fixed)
        self._file = file
        self._seen: _Seen | None = None
        self._grants = _by_digest(self._fixed)
        self.entries: tuple[KeyEntry, ...] = self._fixed
        self.stale: str | None = None
        """Why the file's present state is not in force; None: it is."""

    def __len__(self) -> int:
        return len(self._grants)

    def find(self, key: Secret) -> Grant | None:
        """What a key gives; None for one that is malformed or unknown. Malformed ones cost no HMAC."""
        if not keys.verify_form(key.open()):
            return None
        return self._grants.get(keys.digest(self._secret, key))

    def load(self) -> None:
        """Read the file for the first time. One that is not there yet is no error: `ready` says so.

        :raises RelayError: it is there and cannot be used.
        """
        if self._file is None:
            return
        seen = _look(self._file)
        if seen is None:
            self.stale = (
                f"{self._file} does not exist; 'relay keys create --organisation NAME --file {self._file}' makes it"
            )
            return
        self._take(key_file.read(self._file))
        self._seen = seen

    async def refresh(self) -> None:
        """Read the file again if it has changed. One that cannot be used any more leaves the keys as they were, and says so."""
        if self._file is None:
            return
        seen = _look(self._file)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            entries = await asyncio.to_thread(key_file.read, self._file)
            self._take(entries)
        except FileNotFoundError:
            self._keep(f"{self._file} does not exist any more")
        except RelayError as error:
            self._keep(str(error))
        else:
            self._log("key_file_read", file=str(self._file), keys=len(entries))

    def ready(self) -> Finding:
        """Not ready while the file has never been read: then nobody could enter."""
        if self.stale is not None and self.entries is self._fixed:
            return Finding(False, self.stale)
        return Finding(True, self.stale or "")

    def _take(self, entries: Sequence[KeyEntry]) -> None:
        together = (*self._fixed, *entries)
        if twice := doubles(together):
            raise key_file.KeyFileInvalid(f"{self._file}, beside the configuration's keys: {'; '.join(twice)}")
        self._grants = _by_digest(together)
        self.entries = together
        self.stale = None

    def _keep(self, reason: str) -> None:
        self.stale = reason
        self._log("key_file_unusable", file=str(self._file), reason=reason, keys_in_force=len(self))


def _nothing(event: str, **fields: object) -> None:
    """Nobody wants to know."""


def _by_digest(entries: Sequence[KeyEntry]) -> dict[bytes, Grant]:
    return {keys.read_stored(entry.hash): entry.grant() for entry in entries}


def _look(path: Path) -> _Seen | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
