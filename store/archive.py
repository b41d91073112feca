"""Archived WAL: turning archiving on, forcing out what is written, and telling how far the segments reach.

A segment is the 16 MB file that PostgreSQL writes its log in. The names count them: timeline, then number.
"""

from __future__ import annotations

import re
import shlex
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from store.embedded import EmbeddedServer

ARCHIVE_TIMEOUT_S = 30  # half of the minute that may be lost: the other half is for the copy
SWITCH_TIMEOUT_S = 60.0
SEGMENT = re.compile(r"[0-9A-F]{24}(\.partial)?")
# The rest of a segment that is closed early is zeros: as a hole they take no room. A segment that is there already must
# be the same one, byte by byte; a half copy never has the name of a whole one.
COMMAND = (
    'to={folder}/%f; if test -e "$to"; then exec cmp -s "%p" "$to"; fi; '
    'cp --sparse=always "%p" "$to.new" && sync "$to.new" && mv -T "$to.new" "$to" && sync {folder}'
)
SUMMARIES_SINCE = 170000


@dataclass(frozen=True)
class Archive:
    """The folder of archived segments, each of `segment_bytes`."""

    folder: Path
    segment_bytes: int

    def segments(self) -> dict[int, Path]:
        """The newest file of each number; a whole one goes before one that is still being received."""
        found: dict[int, Path] = {}
        for path in sorted(self.folder.glob("*"), key=lambda path: (path.suffix != ".partial", path.name)):
            if SEGMENT.fullmatch(path.name):
                found[self.number(path.name)] = path
        return found

    def number(self, name: str) -> int:
        """Which segment a file of that name holds, counted from the beginning of the server."""
        return int(name[8:16], 16) * (2**32 // self.segment_bytes) + int(name[16:24], 16)

    def name(self, timeline: int, number: int) -> str:
        """The name of the file of segment `number`."""
        high, low = divmod(number, 2**32 // self.segment_bytes)
        return f"{timeline:08X}{high:08X}{low:08X}"

    def unbroken(self, since_lsn: int) -> list[Path]:
        """The segments that follow each other from the one that holds `since_lsn`, up to the first that is missing."""
        found, number, chain = self.segments(), since_lsn // self.segment_bytes, []
        while number in found:
            chain.append(found[number])
            number += 1
        return chain

    def missing(self, since_lsn: int) -> list[str]:
        """The names of the segments that are not there, between `since_lsn` and the newest that is."""
        found, timeline, names = self.segments(), 1, []
        for number in range(since_lsn // self.segment_bytes, max(found, default=-1) + 1):
            if number in found:
                timeline = int(found[number].name[:8], 16)
            else:
                names.append(self.name(timeline, number))
        return names

    def reaches(self, since_lsn: int) -> datetime | None:
        """When the last segment of the unbroken chain was archived: nothing in it is later. None: there is no chain."""
        chain = self.unbroken(since_lsn)
        return datetime.fromtimestamp(chain[-1].stat().st_mtime, UTC) if chain else None


def turn_on(server: EmbeddedServer, folder: Path) -> bool:
    """Make the embedded server archive into `folder`; whether it had to be restarted for that.

    The server is restarted once in its life: `archive_mode` cannot be changed while it runs.
    """
    wanted = {
        "archive_mode": "on",
        "archive_command": COMMAND.format(folder=shlex.quote(str(folder)).replace("%", "%%")),
        "archive_timeout": f"{ARCHIVE_TIMEOUT_S}s",
    }
    server.start()
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        if connection.info.server_version >= SUMMARIES_SINCE:
            wanted["summarize_wal"] = "on"  # what incremental backups are made from
        known: dict[str, str] = dict(
            connection.execute("SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)", [[*wanted]])
        )
        for name, value in wanted.items():
            if known[name] != value:
                change = sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
                connection.execute(change)
        connection.execute("SELECT pg_reload_conf()")
    if known["archive_mode"] == "on":
        return False
    server.stop()
    server.start()
    return True


def force_out(connection: psycopg.Connection, folder: Path, timeout_s: float = SWITCH_TIMEOUT_S) -> str | None:
    """Close the present segment and wait until it is in `folder`; none: it is there, else why it is not.

    A transaction is written first, so that the archive holds a moment later than any that was asked for.
    """
    try:
        connection.execute("SELECT pg_current_xact_id()")
        row = connection.execute(
            "SELECT pg_walfile_name(pg_switch_wal()), failed_count FROM pg_stat_archiver"
        ).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return "the role may not call pg_switch_wal(), so the newest WAL comes when the server archives it"
    assert row is not None
    name, failures = row
    deadline = time.monotonic() + timeout_s
    while not (folder / name).exists():
        if (reason := trouble(connection, failures)) or time.monotonic() > deadline:
            return reason or f"{name} did not arrive in {folder} within {timeout_s:.0f} s"
        time.sleep(0.05)
    return None


def trouble(connection: psycopg.Connection, failures: int = 0) -> str | None:
    """Why the server does not archive, in one line; none: nothing is known against it."""
    row = connection.execute(
        "SELECT last_failed_wal, last_failed_time, failed_count FROM pg_stat_archiver"
        " WHERE last_failed_time > coalesce(last_archived_time, '-infinity') AND failed_count > %s",
        [failures],
    ).fetchone()
    if row is None:
        return None
    return (
        f"the server cannot archive {row[0]} (tried {row[2]} times, last at {row[1].astimezone(UTC):%H:%M:%S} UTC); "
        "its log says why, pg_stat_archiver counts on, and WAL piles up until it can"
    )
