"""Verifying a backup: every file against its manifest, every record of the WAL that leads on from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from store.backups import Backup, Backups, lsn
from store.embedded import EmbeddedServer
from store.errors import BackupError
from store.programs import major_of, programs_of, run, said, wheel_major
from store.settings import Settings

NAMED = 3  # broken files that a message names


@dataclass(frozen=True)
class Verified:
    """What was found good: the backup, those that it rests on, the segments of WAL, and until when they reach."""

    backup: Backup
    chain: tuple[Backup, ...]
    segments: int
    until: datetime


def verify(settings: Settings, name: str | None = None, *, step: Callable[[str], None] = lambda _: None) -> Verified:
    """Read every byte of a backup (none: the newest), of those that it rests on, and of the WAL after it.

    Raises:
        BackupError: names what is broken or missing.
        UnknownName: there is no such backup.
    """
    place = Backups.of(settings)
    known = place.all()
    if not known:
        raise BackupError(place.folder, "holds no backup; `gaugebook db backup` takes one")
    backup = place.named(name) if name else known[-1]
    chain = place.chain(backup)
    for part in chain:
        step(f"files of {part.name}")
        check_files(settings, part, place.path(part))
    step("archived WAL")
    segments = check_wal(settings, place, backup)
    return Verified(backup, tuple(chain), segments, place.until(backup))


def check_files(settings: Settings, backup: Backup, data: Path) -> None:
    """Compare the files of a backup with its manifest.

    Raises:
        BackupError: names the files that are broken, missing or too many.
    """
    program = programs_for(settings, backup.major) / "pg_verifybackup"
    # The WAL inside is read by pg_waldump, which knows its own version alone.
    foreign = ["--no-parse-wal"] if major_of(program) != backup.major else []
    code, output = run(program, *foreign, data, user=EmbeddedServer(settings.home).user())
    if code != 0:
        faults = [line.partition("error: ")[2] for line in output.splitlines() if "error: " in line] or [said(output)]
        more = f" and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        raise BackupError(f"backup {backup.name}", f"is broken: {'; '.join(faults[:NAMED])}{more}. Use another")


def check_wal(settings: Settings, place: Backups, backup: Backup) -> int:
    """Read the archived WAL from the end of `backup` on; how many segments there are.

    Raises:
        BackupError: names the segment that is missing or the place that is broken.
    """
    archive = place.archive(backup)
    if missing := archive.missing(backup.end_lsn):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        reason = f"is missing{more}: a restore of {backup.name} ends before it. Take a new backup"
        raise BackupError(f"WAL segment {missing[0]}", reason)
    chain = [path for path in archive.unbroken(backup.end_lsn) if path.suffix != ".partial"]
    for path in chain:
        if (size := path.stat().st_size) != backup.segment_bytes:
            raise BackupError(f"WAL segment {path.name}", f"has {size} bytes and not {backup.segment_bytes}")
    program = programs_for(settings, backup.major) / "pg_waldump"
    if not chain or major_of(program) != backup.major:
        return len(chain)
    user = EmbeddedServer(settings.home).user()
    for _, same in groupby(chain, key=lambda path: path.name[:8]):  # pg_waldump reads one timeline at a time
        first, *_, last = (paths := [*same]) + paths[-1:]
        code, output = run(program, "--quiet", first, last, user=user)
        if code != 0 and (found := re.search(r"at ([0-9A-F]+/[0-9A-F]+): (.*)", output)):
            broken = archive.name(int(first.name[:8], 16), lsn(found[1]) // backup.segment_bytes)
            raise BackupError(
                f"WAL segment {broken}", f"is broken: {found[2]}. A restore ends before it; take a new backup"
            )
        if code != 0:
            raise BackupError(f"WAL segments {first.name} to {last.name}", said(output))
    return len(chain)


def programs_for(settings: Settings, major: int) -> Path:
    """The `bin` folder for a server of version `major`; the wheel's, which read older ones, where there is no other."""
    wheel = wheel_major()
    if major == wheel:
        return EmbeddedServer(settings.home).wheel()
    try:
        return programs_of(major)
    except BackupError:
        if wheel is None or major > wheel:
            raise
        return EmbeddedServer(settings.home).wheel()
