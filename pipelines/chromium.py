"""A headless Chromium that is told what to do through a pipe: nothing listens, and it can reach no network."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from store.errors import PrintError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "microsoft-edge")
LIMIT_S = 120.0  # for all that is asked of one browser
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-first-run",
    "--no-default-browser-check",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
# Chromium reads from descriptor 3 and writes to 4, and a process with threads may not run code between fork and exec.
_START = "import os, sys; os.dup2({read}, 3); os.dup2({write}, 4); os.execv(sys.argv[1], sys.argv[1:])"
_FREE = 10  # descriptors from here on are not 3 and 4


class Browser:
    """One page of a Chromium; `ask` sends it a command of the DevTools protocol and waits for the answer."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._deadline = time.monotonic() + LIMIT_S
        self._asked = 0
        self._rest = b""
        self._session: str | None = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """The answer to a command.

        Raises:
            PrintError: it was refused, did not come in time, or Chromium has ended.
        """
        self._asked += 1
        said: dict[str, object] = {"id": self._asked, "method": method, "params": parameters}
        if self._session:
            said["sessionId"] = self._session
        waiting = memoryview(json.dumps(said).encode() + b"\0")
        try:
            while waiting:
                waiting = waiting[os.write(self._write, waiting) :]
        except BrokenPipeError:
            raise PrintError("Chromium ended before it had done its work") from None
        while True:
            answer = self._next()
            if answer.get("id") == self._asked:
                if "error" in answer:
                    raise PrintError(f"Chromium refuses {method}: {answer['error'].get('message')}")
                return dict(answer["result"])

    def run(self, script: str) -> Any:
        """The value of an expression in the page; of a promise, what it becomes.

        Raises:
            PrintError: as `ask`, or it threw.
        """
        done = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            thrown = done["exceptionDetails"]
            said = thrown.get("exception", {}).get("description") or thrown.get("text", "")
            raise PrintError(f"the page threw {said.splitlines()[0] if said else 'something'}")
        return done["result"].get("value")

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0.0, self._deadline - time.monotonic()))
            if not ready:
                raise PrintError(f"Chromium did not answer within {LIMIT_S:g} s")
            got = os.read(self._read, 1 << 20)
            if not got:
                raise PrintError("Chromium ended before it had done its work")
            self._rest += got
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))


def program() -> Path:
    """Where Chromium, or a browser made of it, is installed.

    Raises:
        PrintError: nowhere on PATH.
    """
    for name in PROGRAMS:
        found = shutil.which(name)
        if found:
            return Path(found)
    raise PrintError("a PDF or a picture needs Chromium, and there is none on PATH: apt-get install chromium")


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a Chromium with an empty profile, and end it.

    Raises:
        PrintError: it is not there or does not start; says what it said.
    """
    command = [str(program()), *FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]  # root has no sandbox
    with tempfile.TemporaryDirectory(prefix="gaugebook-", ignore_cleanup_errors=True) as profile, _pipes() as pipes:
        to_read, to_write, from_read, from_write = pipes
        log = Path(profile) / "log"
        # What it would keep in the user's own folders goes with the profile.
        places = {"HOME": profile, "XDG_CONFIG_HOME": profile, "XDG_CACHE_HOME": profile}
        start = [sys.executable, "-ISc", _START.format(read=to_read, write=from_write)]
        with log.open("wb") as said:
            running = subprocess.Popen(
                [*start, *command, f"--user-data-dir={profile}/profile"],
                pass_fds=(to_read, from_write),
                env={**os.environ, **places},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,  # Ctrl-C is for us, and its processes are a group
            )
        _close(pipes, to_read, from_write)
        try:
            try:
                started = Browser(to_write, from_read)
            except PrintError as error:
                raise PrintError(f"{error}{_last_words(log)}") from error
            yield started
        finally:
            # All its processes at once, which would write into the profile while it is removed; nothing is to be saved.
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()


@contextmanager
def _pipes() -> Iterator[list[int]]:
    """A pipe to the browser and one from it, each as the end that reads and the end that writes."""
    pipes: list[int] = []
    try:
        for end in (*os.pipe(), *os.pipe()):
            pipes.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FREE))
            os.close(end)
        yield pipes
    finally:
        _close(pipes, *pipes)


def _close(pipes: list[int], *ends: int) -> None:
    for end in ends:
        with suppress(OSError):
            os.close(end)
        pipes.remove(end)


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    sandbox = next((line for line in lines if "sandbox" in line.lower()), None)
    return f" ({(sandbox or lines[-1])[:200]})" if lines else ""
