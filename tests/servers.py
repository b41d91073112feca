"""What the fixtures that start real servers share."""

from __future__ import annotations

import os
import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

# Debian keeps servers out of a user's PATH.
PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/lib/postgresql/15/bin"])
BUILT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gaugebook-test"


def need(program: str, *, package: str) -> Path:
    """The path of `program`; without it the test is skipped, or fails where CI=true."""
    found = shutil.which(program, path=PLACES)
    if found:
        return Path(found)
    return absent(f"{program} is not installed; apt-get install {package}")


def absent(reason: str) -> Path:
    """Skip with `reason`, or fail where CI=true: there nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def built(program: str) -> Path:
    """The newest `program` that `.ci/servers` built from source; without it, because Go is absent, the test is skipped."""
    found = sorted(BUILT.glob(f"{program}-[0-9]*"), key=lambda path: path.stat().st_mtime)
    if not found:
        pytest.skip(f"no {program} in {BUILT}; .ci/servers builds it where Go is on PATH")
    return found[-1]


def free_port() -> int:
    """A port of the loopback interface that nobody listens on.

    It is none of those that the system gives to whoever connects, one of whom could have it before the server does.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that other users can enter: a server may have to run as one."""
    with tempfile.TemporaryDirectory(prefix="gaugebook-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)
