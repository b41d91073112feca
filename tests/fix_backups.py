"""Fixture: an embedded server with backups and archived WAL, and moments between its writes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from store.archive import force_out
from store.backup import backup
from store.backups import Backups
from store.connect import connect
from store.embedded import EmbeddedServer
from store.settings import Settings, load
from tests.servers import open_folder


@dataclass
class Protected:
    """A server whose table `kept` had `rows[moment]` rows at each moment, with a backup before each."""

    settings: Settings
    rows: dict[datetime, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def protected() -> Iterator[Protected]:
    """A server with a full backup and two incremental ones, ten rows written after each."""
    with open_folder() as folder:
        made = Protected(load(home=folder / "home"))
        server = EmbeddedServer(made.settings.home)
        server.start()
        try:
            with psycopg.connect(server.conninfo(), autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET fsync = off")  # of the restored servers too
            with connect(made.settings, autocommit=True) as connection:
                connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 10) AS n")
            for rows in (20, 30, 40):
                made.notes += backup(made.settings).notes
                with connect(made.settings, autocommit=True) as connection:
                    connection.execute("INSERT INTO kept SELECT generate_series(%s::int, %s::int)", [rows - 9, rows])
                    made.rows[connection.execute("SELECT clock_timestamp()").fetchone()[0]] = rows
            with connect(made.settings, autocommit=True) as connection:
                connection.execute("INSERT INTO kept SELECT 41")
                assert force_out(connection, Backups.of(made.settings).wal) is None
            yield made
        finally:
            server.stop()


@contextmanager
def copied(protected: Protected) -> Iterator[Settings]:
    """Settings of a home without a server, with the backups as links: `unlinked` makes a file one that may be broken."""
    with open_folder() as folder:
        subprocess.run(["cp", "-al", Backups.of(protected.settings).folder, folder / "backups"], check=True)
        yield load(home=Path(folder))


def unlinked(path: Path) -> Path:
    """Put a copy in the place of a file that is linked."""
    copy = path.with_name("copy")
    subprocess.run(["cp", "-a", path, copy], check=True)
    return copy.rename(path)
