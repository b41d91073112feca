"""The backups that there are: what is known of each, what it rests on, and until when it can be restored.

The folder holds `base/<UTC stamp>/` with the server's files in `data/` and what there is to know of them in
`backup.json`, and `wal/`, the archived WAL that leads from any of them to any later moment.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from store.archive import Archive
from store.errors import BackupError, UnknownName
from store.settings import Settings

ABOUT = "backup.json"


@dataclass(frozen=True)
class Backup:
    """One backup. Times are UTC; it can be restored to `ended` alone, and with archived WAL to any later moment."""

    name: str
    parent: str | None  # of an incremental one
    started: datetime
    ended: datetime
    major: int  # version of the server
    system: int  # PostgreSQL's number for this very server
    start_lsn: int
    end_lsn: int
    segment_bytes: int
    embedded: bool
    database: str
    superuser: str
    settings: dict[str, str]
    database_bytes: int  # room that a restored server takes
    bytes: int  # room that the backup takes

    @property
    def kind(self) -> str:
        return "incremental" if self.parent else "full"

    def save(self, folder: Path) -> None:
        """Write what is known into `folder`, forced to disk."""
        with (folder / ABOUT).open("w") as file:
            json.dump(asdict(self), file, indent=1, default=datetime.isoformat)
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True)
class Backups:
    """The folder of backups."""

    folder: Path

    @classmethod
    def of(cls, settings: Settings) -> Backups:
        return cls((settings.backups or settings.home / "backups").absolute())

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def wal(self) -> Path:
        return self.folder / "wal"

    def path(self, backup: Backup) -> Path:
        """The server's files of a backup."""
        return self.base / backup.name / "data"

    def all(self) -> list[Backup]:
        """Every finished backup, oldest first."""
        return [_read(about) for about in sorted(self.base.glob(f"*/{ABOUT}")) if about.parent.suffix != ".new"]

    def named(self, name: str) -> Backup:
        """The backup of that name.

        Raises:
            UnknownName: there is none.
        """
        known = {backup.name: backup for backup in self.all()}
        if name not in known:
            raise UnknownName("backup", name, known)
        return known[name]

    def chain(self, backup: Backup) -> list[Backup]:
        """The full backup that `backup` rests on, what lies between, and itself.

        Raises:
            BackupError: one of them is gone.
        """
        known = {other.name: other for other in self.all()}
        found = [backup]
        while (parent := found[0].parent) is not None:
            if parent not in known:
                raise BackupError(f"backup {backup.name}", f"needs the backup {parent}, which is gone; use another")
            found.insert(0, known[parent])
        return found

    def before(self, moment: datetime) -> Backup:
        """The newest backup that was finished at `moment`.

        Raises:
            BackupError: there is none.
        """
        known = self.all()
        if not known:
            raise BackupError(self.folder, "holds no backup; `gaugebook db backup` takes one")
        early = [backup for backup in known if backup.ended <= moment]
        if not early:
            first = min(backup.ended for backup in known)
            raise BackupError(
                f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
                f"no backup is that old; the oldest ended {clock(first)}",
            )
        return max(early, key=lambda backup: backup.ended)

    def archive(self, backup: Backup) -> Archive:
        """The archived WAL, read with the segment size of `backup`'s server."""
        return Archive(self.wal, backup.segment_bytes)

    def until(self, backup: Backup) -> datetime:
        """The last moment that `backup` can be restored to."""
        return max(backup.ended, self.archive(backup).reaches(backup.end_lsn) or backup.ended)


def clock(moment: datetime) -> str:
    """A moment for people, in UTC.

    >>> clock(datetime(2026, 11, 23, 10, tzinfo=UTC))
    '2026-11-23 10:00:00 UTC'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def lsn(text: str) -> int:
    """A place in the WAL as a number of bytes.

    >>> lsn("1/2000028")
    4328521768
    """
    high, _, low = text.partition("/")
    return int(high, 16) * 2**32 + int(low, 16)


def no_room_for(folder: Path, needed: int) -> str | None:
    """Why `needed` bytes do not fit where `folder` is or will be; none: they fit."""
    free = shutil.disk_usage(next(there for there in (folder, *folder.parents) if there.exists())).free
    if free >= needed:
        return None
    room = f"needs {needed / 1e6:,.0f} MB and the disk has {free / 1e6:,.0f} MB free"
    return f"{room}; free some room or name another folder"


def _read(about: Path) -> Backup:
    try:
        known = json.loads(about.read_text())
        for key in ("started", "ended"):
            known[key] = datetime.fromisoformat(known[key])
        return Backup(**known)
    except (ValueError, TypeError, KeyError) as error:
        raise BackupError(about, f"is broken ({error}); move {about.parent} away") from error
