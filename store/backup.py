"""Taking a backup: PostgreSQL's own base backup, full or incremental, verified before anything older is removed."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from store import archive, prometheus
from store.backups import Backup, Backups, clock, lsn, no_room_for
from store.connect import connect, conninfo
from store.embedded import EmbeddedServer
from store.errors import BackupError
from store.programs import apart, major_of, run, said
from store.settings import Settings
from store.verify import check_files, programs_for

FULL_EVERY = timedelta(days=7)  # a restore puts together a week of incremental backups at most
INCREMENTAL_SINCE = SYNC_METHOD_SINCE = 17  # version of PostgreSQL
FOREIGN_WAIT_S = 10.0  # that another's archive_command is waited for
PROGRESS = re.compile(r"(\d+)/(\d+) kB")
# What a copy of the server cannot do without; the other settings belong to the machine that it ran on.
KEPT = ["shared_preload_libraries", "max_connections", "max_locks_per_transaction", "max_prepared_transactions"]
FACTS = """
    SELECT current_setting('server_version_num')::int / 10000 AS major,
        (SELECT system_identifier FROM pg_control_system()) AS system,
        pg_size_bytes(current_setting('wal_segment_size')) AS segment_bytes,
        current_database() AS database,
        current_user AS role,
        (SELECT rolname FROM pg_roles WHERE oid = 10) AS superuser,
        (SELECT sum(pg_database_size(oid))::bigint FROM pg_database WHERE has_database_privilege(oid, 'CONNECT'))
            AS database_bytes,
        (SELECT jsonb_object_agg(name, setting) FROM pg_settings WHERE name = ANY(%s)) AS settings,
        (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user) AS allowed,
        current_setting('summarize_wal', true) AS summarize_wal,
        clock_timestamp() AS now
"""

Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True)
class Taken:
    """A backup that was taken and verified, what was removed after it, and what its operator has to know."""

    backup: Backup
    removed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    prometheus: str | None = None  # where its snapshot is


def backup(settings: Settings, *, full: bool = False, progress: Progress = lambda *_: None) -> Taken:
    """Back up the server with every database in it.

    It is incremental where there is a full one of the last week and the server summarizes its WAL. Without a DSN the
    embedded server archives its WAL from the first backup on, and is restarted once for that. The backups beyond
    `keep_backups` full ones are removed, with the WAL that no other needs, after the new one has been verified.

    Raises:
        BackupError: it cannot be taken or does not verify, and is not kept; or Prometheus' part of it failed.
        Unreachable: the server does not answer.
    """
    place, owner = Backups.of(settings), EmbeddedServer(settings.home).user()
    notes: list[str] = []
    with _alone_in(place, owner):
        if settings.dsn is None and archive.turn_on(EmbeddedServer(settings.home), place.wal):
            notes.append("the embedded server archives its WAL from now on; it was restarted once for that")
        with connect(settings, autocommit=True) as connection:
            facts = _facts(connection, place)
            parent = None if full else _parent(place, facts)
            try:
                taken = _take(settings, connection, place, owner, facts, parent, progress)
            except BackupError as error:
                if parent is None:
                    raise
                notes.append(f"a full backup, since an incremental one cannot be taken: {error.reason}")
                taken = _take(settings, connection, place, owner, facts, None, progress)
            if facts["major"] >= INCREMENTAL_SINCE and facts["summarize_wal"] != "on":
                notes.append("incremental backups need `summarize_wal = on` in the server")
            if "shared_preload_libraries" not in taken.settings:
                notes.append(f"`GRANT pg_read_all_settings TO {facts['role']}`: a restore has to know what to preload")
            if reason := _wal_trouble(settings, connection, place.wal):
                notes.append(f"{reason}; this backup restores to {clock(taken.ended)} and no later")
        removed = _retire(settings, place, owner)
        snapshot = None
        if settings.prometheus_url:
            earlier = [place.base / other.name / "prometheus" for other in place.all() if other.name != taken.name]
            snapshot = prometheus.snapshot(
                settings.prometheus_url, place.base / taken.name / "prometheus", earlier[-1:]
            )
    return Taken(taken, tuple(removed), tuple(notes), snapshot)


@contextmanager
def _alone_in(place: Backups, owner: pwd.struct_passwd | None) -> Iterator[None]:
    try:
        for folder in (place.folder, place.base, place.wal):
            if not folder.exists():
                folder.mkdir(parents=folder == place.folder)
                folder.chmod(0o700)  # every row of every database is in it
                _own(folder, owner)
        with (place.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in place.base.glob("*.new"):  # by a backup that was interrupted
                shutil.rmtree(left)
            yield
    except BlockingIOError:
        raise BackupError(place.folder, "another backup is being taken; wait for it") from None
    except PermissionError as error:
        raise BackupError(place.folder, f"{error.strerror}; set GAUGEBOOK_BACKUPS to a folder of your own") from error


def _facts(connection: psycopg.Connection, place: Backups) -> dict[str, Any]:
    facts = connection.cursor(row_factory=dict_row).execute(FACTS, [KEPT]).fetchone()
    assert facts is not None
    if not facts["allowed"]:
        role = facts["role"]
        raise BackupError(
            f"role {role}", f"may not take base backups; `ALTER ROLE {role} REPLICATION`, and a line in pg_hba.conf"
        )
    known = place.all()
    if known and known[-1].system != facts["system"]:
        raise BackupError(place.folder, "holds backups of another server; set GAUGEBOOK_BACKUPS to another folder")
    return facts


def _parent(place: Backups, facts: dict[str, Any]) -> Backup | None:
    """The backup that an incremental one can rest on."""
    known = place.all()
    if facts["major"] < INCREMENTAL_SINCE or facts["summarize_wal"] != "on" or not known:
        return None
    first = place.chain(known[-1])[0]
    return known[-1] if first.major == facts["major"] and facts["now"] - first.started < FULL_EVERY else None


def _take(
    settings: Settings,
    connection: psycopg.Connection,
    place: Backups,
    owner: pwd.struct_passwd | None,
    facts: dict[str, Any],
    parent: Backup | None,
    progress: Progress,
) -> Backup:
    if reason := no_room_for(place.folder, 0 if parent else facts["database_bytes"]):
        raise BackupError(place.folder, f"a full backup {reason}")
    started = _free_second(connection, place)
    name = f"{started:%Y%m%dT%H%M%SZ}"
    fresh = place.base / f"{name}.new"
    fresh.mkdir(mode=0o700)
    _own(fresh, owner)
    try:
        _base_backup(settings, fresh / "data", owner, facts["major"], place.path(parent) if parent else None, progress)
        ended = connection.execute("SELECT clock_timestamp()").fetchone()
        assert ended is not None
        start_lsn, end_lsn = _wal_range(fresh / "data")
        taken = Backup(
            name=name,
            parent=parent.name if parent else None,
            started=started,
            ended=ended[0].astimezone(UTC),
            major=facts["major"],
            system=facts["system"],
            start_lsn=start_lsn,
            end_lsn=end_lsn,
            segment_bytes=facts["segment_bytes"],
            embedded=settings.dsn is None,
            database=facts["database"],
            superuser=facts["superuser"],
            settings=facts["settings"],
            database_bytes=facts["database_bytes"],
            bytes=sum(path.lstat().st_blocks * 512 for path in (fresh / "data").rglob("*")),
        )
        check_files(settings, taken, fresh / "data")
        taken.save(fresh)
        fresh.rename(place.base / name)
        _sync(place.base)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return taken


def _base_backup(
    settings: Settings,
    data: Path,
    owner: pwd.struct_passwd | None,
    major: int,
    parent: Path | None,
    progress: Progress,
) -> None:
    def watch(line: str) -> None:
        if found := PROGRESS.search(line):
            progress(int(found[1]) * 1000, max(int(found[1]), int(found[2])) * 1000)

    target, secrets = apart(conninfo(settings))
    incremental = ["--incremental", parent / "backup_manifest"] if parent else []
    program = programs_for(settings, major) / "pg_basebackup"
    at_once = ["--sync-method", "syncfs"] if (major_of(program) or 0) >= SYNC_METHOD_SINCE else []
    code, output = run(
        program,
        *("-D", data, "-X", "stream", "-c", "fast", "-P", "-w", "-d", target),
        *at_once,
        *incremental,
        user=None if settings.dsn else owner,  # certificates and ~/.pgpass are ours
        environment=secrets,
        on_line=watch,
    )
    if code != 0:
        raise BackupError("pg_basebackup", said(output))
    if settings.dsn:
        for path in (data, *data.rglob("*")):
            _own(path, owner)


def _free_second(connection: psycopg.Connection, place: Backups) -> datetime:
    """The server's time, in a second that no backup is named after."""
    while True:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        now: datetime = row[0].astimezone(UTC)
        if not (place.base / f"{now:%Y%m%dT%H%M%SZ}").exists():
            return now
        time.sleep(0.1)


def _wal_range(data: Path) -> tuple[int, int]:
    """From which place in the WAL to which the backup needs it, by its manifest."""
    ranges = json.loads((data / "backup_manifest").read_text())["WAL-Ranges"]
    return lsn(ranges[0]["Start-LSN"]), lsn(ranges[-1]["End-LSN"])


def _wal_trouble(settings: Settings, connection: psycopg.Connection, folder: Path) -> str | None:
    """Why what is written after the backup does not come into `folder`; none: it does."""
    if settings.dsn is None:
        return archive.force_out(connection, folder)
    receivers = "SELECT FROM pg_stat_replication WHERE application_name = 'pg_receivewal'"
    mode = connection.execute("SHOW archive_mode").fetchone()
    if connection.execute(receivers).rowcount == 0 and mode == ("off",):
        return f"no WAL comes into {folder}: run pg_receivewal or set archive_command (docs/operations/recovery.md)"
    return archive.force_out(connection, folder, FOREIGN_WAIT_S)


def _retire(settings: Settings, place: Backups, owner: pwd.struct_passwd | None) -> list[str]:
    """Remove the backups beyond `keep_backups` full ones, and the WAL before the oldest that is left."""
    known = place.all()
    full = [backup for backup in known if backup.parent is None][-settings.keep_backups :]
    kept = [backup for backup in known if backup.started >= full[0].started]
    removed = known[: len(known) - len(kept)]
    for old in reversed(removed):  # one that others rest on goes after them
        shutil.rmtree(place.base / old.name)
    if removed:
        _sync(place.base)
        needed = place.archive(kept[0]).name(1, kept[0].start_lsn // kept[0].segment_bytes)
        program = programs_for(settings, kept[0].major) / "pg_archivecleanup"
        code, output = run(program, place.wal, needed, user=owner)
        if code != 0:
            raise BackupError(place.wal, said(output))
    return [old.name for old in removed]


def _own(path: Path, owner: pwd.struct_passwd | None) -> None:
    if owner:
        os.lchown(path, owner.pw_uid, owner.pw_gid)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
