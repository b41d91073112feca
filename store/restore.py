"""Restoring: a backup put together in a fresh home folder, and the archived WAL replayed up to a moment."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from store import archive
from store.backups import Backup, Backups, clock, no_room_for
from store.embedded import ROLE, EmbeddedServer
from store.errors import BackupError, EmbeddedServerError
from store.programs import programs_of, run, said, wheel_major
from store.queries import named
from store.settings import Settings

RECOVERY_TIMEOUT_S = 24 * 3600
RECOVERY = (
    "hot_standby",
    "recovery_init_sync_method",
    "recovery_target_action",
    "recovery_target_time",
    "restore_command",
)
LAST = re.compile(r"last completed transaction was at log time (.+)")
# What belongs to the place of the old server and not to its data. An archive above all: two servers must not share one.
FOREIGN = re.compile(
    r"\s*(archive_|restore_command|recovery_|primary_|ssl|hba_file|ident_file|data_directory|synchronous_standby)"
)


@dataclass(frozen=True)
class Restored:
    """A server that was restored into `home` and runs."""

    home: Path
    database: str
    backup: Backup
    until: datetime  # of the last transaction that it has

    def tables(self) -> list[tuple[str, int, datetime | None]]:
        """Each raw table, how many rows it has, and the time of the last; reads them all."""
        with psycopg.connect(
            EmbeddedServer(self.home).conninfo(self.database), options="-c timezone=UTC"
        ) as connection:
            try:
                found = connection.execute(named("table_sizes").sql).fetchall()
            except psycopg.errors.UndefinedTable:  # a database that was never migrated
                return []
        return [(name, rows, until) for name, rows, _, until in found]


def restore(
    settings: Settings,
    to: Path,
    *,
    at: datetime | None = None,
    name: str | None = None,
    wal: Path | None = None,
    step: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Restore into the home folder `to`, as of the moment `at` (aware; none: the last that there is), and start it.

    The newest backup before the moment is taken, or the one called `name`. `wal` is a folder with segments that were
    not archived yet, as pg_wal of a server that died. The server that is restored does not archive: its own first
    backup turns that on.

    Raises:
        BackupError: the folder is not empty, no backup is old enough, the WAL ends too early, the disk is too small.
        UnknownName: there is no backup `name`.
    """
    home = to.absolute()
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise BackupError(home, "is not empty; a restore wants a fresh folder")
    place = Backups.of(settings)
    _bring_in_newest(settings, place)
    backup = place.named(name) if name else place.before(at or datetime.now(UTC))
    _check_reach(place, backup, at, wal)
    if reason := no_room_for(home, backup.database_bytes):
        raise BackupError(home, f"a restore {reason}")
    server = EmbeddedServer(home, binaries=_binaries(backup), start_timeout_s=RECOVERY_TIMEOUT_S)
    try:
        server.make_folder()
        step("files")
        _put_together(server, place, backup)
        _configure(server, place, backup, at, wal)
        step("WAL")
        _recover(server, backup, at)
        if server.binaries:
            server.note_programs()
    except BaseException as error:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
        if isinstance(error, OSError):
            raise BackupError(home, f"{error.strerror}; name another folder") from error
        raise
    return Restored(home, backup.database, backup, _last_transaction(server) or backup.ended)


def _bring_in_newest(settings: Settings, place: Backups) -> None:
    """Where the server of the backups still runs, have it archive what it has written until now."""
    if settings.dsn is not None or not (server := EmbeddedServer(settings.home)).answers():
        return
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        if connection.execute("SHOW archive_mode").fetchone() == ("on",):
            archive.force_out(connection, place.wal)


def _check_reach(place: Backups, backup: Backup, at: datetime | None, wal: Path | None) -> None:
    if at is None:
        return
    if at < backup.ended:
        raise BackupError(f"backup {backup.name}", f"ended {clock(backup.ended)}, after {clock(at)}; name an older one")
    if wal is None and at > (until := place.until(backup)):
        missing = place.archive(backup).missing(backup.end_lsn)
        why = f"segment {missing[0]} is missing" if missing else "nothing later was archived"
        raise BackupError(clock(at), f"the archived WAL reaches until {clock(until)} ({why})")


def _binaries(backup: Backup) -> Path | None:
    """The system's programs for a server that was not embedded, since they have its extensions; none: the wheel's."""
    fits = backup.major == wheel_major()
    if backup.embedded and fits:
        return None
    try:
        return programs_of(backup.major)
    except BackupError:
        if fits:
            return None
        raise


def _put_together(server: EmbeddedServer, place: Backups, backup: Backup) -> None:
    parts, user = [place.path(part) for part in place.chain(backup)], server.user()
    if len(parts) > 1:
        code, output = run(server.programs() / "pg_combinebackup", "--no-sync", *parts, "-o", server.data, user=user)
    else:
        code, output = run(Path("cp"), "-a", "--reflink=auto", parts[0], server.data, user=user)
    if code != 0:
        reason = said(output)
        if "Permission denied" in reason:
            reason += f"; the server runs as {user.pw_name if user else 'you'}, who has to be able to read the backups"
        raise BackupError(f"backup {backup.name}", reason)


def _configure(server: EmbeddedServer, place: Backups, backup: Backup, at: datetime | None, wal: Path | None) -> None:
    data, user = server.data, server.user()
    if not backup.embedded:
        origin = data / "postgresql.conf"
        if origin.exists():
            origin.rename(data / "postgresql.conf.origin")
        lines = [f"{key} = {_quoted(value)}\n" for key, value in sorted(backup.settings.items())]
        origin.write_text("".join(["# What the data needs; the server's own file is beside.\n", *lines]))
    server.allow_owner(data, {ROLE, backup.superuser})
    copy, *others = [f'cp {_shell(folder)}/"%f{end}" "%p"' for folder, end in _sources(place, wal)]
    recovery = {
        # Nobody reads before the recovery is done, so it need not keep up a picture for readers.
        "hot_standby": "off",
        "recovery_init_sync_method": "syncfs",  # what was copied, all at once and not file by file
        "restore_command": " || ".join([copy, *(f"{other} 2>/dev/null" for other in others)]),
        "recovery_target_action": "promote",
        **({"recovery_target_time": at.astimezone(UTC).isoformat()} if at else {}),
    }
    auto = data / "postgresql.auto.conf"
    kept = [line for line in auto.read_text().splitlines(keepends=True) if not FOREIGN.match(line)]
    auto.write_text("".join([*kept, *(f"{key} = {_quoted(value)}\n" for key, value in recovery.items())]))
    (data / "recovery.signal").touch()
    for path in data.iterdir():
        if user:
            os.chown(path, user.pw_uid, user.pw_gid)


def _sources(place: Backups, wal: Path | None) -> list[tuple[Path, str]]:
    """Where a segment may be, best first; pg_receivewal calls the one that it is writing `.partial`."""
    return [(place.wal, ""), *([(wal.absolute(), "")] if wal else []), (place.wal, ".partial")]


def _shell(folder: Path) -> str:
    return shlex.quote(str(folder)).replace("%", "%%")


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _recover(server: EmbeddedServer, backup: Backup, at: datetime | None) -> None:
    try:
        server.start()
        with _promoted(server, make_conninfo(server.conninfo(), user=backup.superuser)) as connection:
            for name in RECOVERY:
                connection.execute(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name)))
            if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).rowcount == 0:
                connection.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN").format(sql.Identifier(ROLE)))
            connection.execute("SELECT pg_reload_conf()")
    except EmbeddedServerError as error:
        if "before configured recovery target" in error.reason and at is not None:
            last = clock(_last_transaction(server) or backup.ended)
            reason = f"the WAL has no transaction that late; the last is of {last}. Name that moment, or none"
            raise BackupError(clock(at), reason) from error
        reason = said(error.reason)
        if "could not access file" in reason:  # of an extension
            reason += f"; put the bin folder of a PostgreSQL {backup.major} that has it first on the PATH"
        raise BackupError(f"backup {backup.name}", f"cannot be recovered: {reason}") from error


def _promoted(server: EmbeddedServer, target: str) -> psycopg.Connection:
    """A connection, as soon as the recovery is done."""
    while server.runs():
        with suppress(psycopg.OperationalError):
            if not (server.data / "recovery.signal").exists():
                return psycopg.connect(target, autocommit=True)
        time.sleep(0.05)
    raise EmbeddedServerError(server.folder, said(server.log.read_text(errors="replace")))


def _last_transaction(server: EmbeddedServer) -> datetime | None:
    found = LAST.findall(server.log.read_text(errors="replace")) if server.log.exists() else []
    return datetime.fromisoformat(found[-1].replace(" UTC", "+00:00")) if found else None
