"""Keys of machines: each a secret that is shown once, kept as its argon2 hash, with scopes and teams."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Literal, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from store.errors import FileUnusable, ParameterInvalid, UnknownName
from store.settings import Settings

Scope = Literal["ingest:llm", "ingest:rabbitmq", "read", "admin"]
SCOPES: tuple[str, ...] = get_args(Scope)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
TOKEN = re.compile(r"gbk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)

# Nobody guesses 256 random bits: a hash keeps them from who reads the file, and need not be slow. The least of OWASP.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_NOBODY = _hasher.hash(secrets.token_urlsafe(32))


@dataclass(frozen=True)
class ApiKey:
    """A key as the file has it: without its secret."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    teams: tuple[str, ...]
    created_at: str
    secret_hash: str


def file_of(settings: Settings) -> Path:
    """Where the keys are."""
    return settings.service_keys or settings.home / "service-keys.json"


class Keys:
    """The keys of a file, which is read again when it has changed.

    Raises:
        FileUnusable: the file cannot be read, or holds something else.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str, ApiKey] = {}
        self._proven: dict[bytes, str] = {}  # digests of tokens that were verified, and the keys that they are

    def seen(self, token: str) -> ApiKey | None:
        """The key that `of` has found for `token` before; none: ask `of`, which takes its time."""
        with self._lock:
            self._read()
            return self._keys.get(self._proven.get(_digest(token), ""))

    def of(self, token: str) -> ApiKey | None:
        """The key whose secret is in `token`; none: of no key. What a wrong one takes says nothing of what is wrong."""
        found = TOKEN.fullmatch(token)
        with self._lock:
            self._read()
            key = self._keys.get(found[1]) if found else None
            try:
                _hasher.verify(key.secret_hash if key else _NOBODY, found[2] if found else "")
            except (VerificationError, InvalidHashError):
                return None
            if key is not None:
                self._proven[_digest(token)] = key.key_id
            return key

    def all(self) -> list[ApiKey]:
        """Every key, by name."""
        with self._lock:
            self._read()
            return sorted(self._keys.values(), key=lambda key: key.name)

    def add(self, name: str, scopes: Iterable[str], teams: Iterable[str]) -> str:
        """Make a key; its token, which cannot be had again.

        Raises:
            ParameterInvalid: a name that is taken or none, or a scope that there is not.
        """
        scopes, teams = tuple(dict.fromkeys(scopes)), tuple(dict.fromkeys(teams))
        if not NAME.fullmatch(name):
            raise ParameterInvalid("name", f"{name!r} is not made of letters, digits, '.', '_' and '-'")
        for scope in scopes:
            if scope not in SCOPES:
                raise ParameterInvalid("scope", f"{scope!r} is none; there are {', '.join(SCOPES)}")
        if not scopes:
            raise ParameterInvalid("scope", f"a key needs one of {', '.join(SCOPES)}")
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        with self._changed() as keys:
            if any(key.name == name for key in keys.values()):
                raise ParameterInvalid("name", f"there is a key {name!r}; remove it, or take another name")
            now = datetime.now(UTC).isoformat(timespec="seconds")
            keys[key_id] = ApiKey(key_id, name, scopes, teams, now, _hasher.hash(secret))
        return f"gbk_{key_id}_{secret}"

    def remove(self, name: str) -> None:
        """Take a key away: from the next request on it opens nothing.

        Raises:
            UnknownName: there is no such key.
        """
        with self._changed() as keys:
            for key_id, key in keys.items():
                if key.name == name:
                    del keys[key_id]
                    return
            raise UnknownName("key", name, [key.name for key in keys.values()])

    @contextmanager
    def _changed(self) -> Iterator[dict[str, ApiKey]]:
        """The keys, to be changed; written afterwards. Two processes take turns."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._lock, self._file.with_suffix(".lock").open("w") as lock:
                flock(lock, LOCK_EX)
                self._stamp = None
                self._read()
                keys = dict(self._keys)
                yield keys
                self._write(keys)
        except OSError as error:
            raise FileUnusable(self._file, f"{error.strerror or error}") from error

    def _write(self, keys: dict[str, ApiKey]) -> None:
        part = self._file.with_suffix(".part")
        text = json.dumps({"keys": [asdict(key) for key in keys.values()]}, indent=2) + "\n"
        with open(part, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._file)
        self._stamp = None

    def _read(self) -> None:
        try:
            there = self._file.stat()
        except FileNotFoundError:
            self._stamp, self._keys, self._proven = None, {}, {}
            return
        except OSError as error:
            raise FileUnusable(self._file, f"{error.strerror or error}") from error
        stamp = there.st_mtime_ns, there.st_ino
        if stamp == self._stamp:
            return
        try:
            listed = json.loads(self._file.read_text(encoding="utf-8"))["keys"]
            keys = [ApiKey(**{**one, "scopes": tuple(one["scopes"]), "teams": tuple(one["teams"])}) for one in listed]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FileUnusable(self._file, f"holds no keys as `gaugebook key add` writes them: {error}") from error
        self._stamp, self._keys, self._proven = stamp, {key.key_id: key for key in keys}, {}


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
