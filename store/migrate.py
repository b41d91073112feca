"""Migrations: numbered `.sql` files, ledgered by checksum.

`common/` and the folder of the back end are merged by number. Each file runs in one transaction together with its line
in the ledger, unless its first line is `-- no transaction`: then it holds one statement that may be run twice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg

from store.connect import connect
from store.errors import MigrationChanged, MigrationError, SchemaNewer
from store.files import sql_folder
from store.settings import Settings

BackEnd = Literal["postgres", "timescale"]
NO_TRANSACTION = "-- no transaction"


@dataclass(frozen=True)
class Migration:
    """One numbered file."""

    number: int
    file: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations(back_end: BackEnd, folder: Path | None = None) -> list[Migration]:
    """The migrations of a back end, in order.

    Raises:
        MigrationError: a file is not called NNNN_name.sql, or a number is given twice.
    """
    folder = folder or sql_folder()
    found: dict[int, Migration] = {}
    for path in sorted(
        [*(folder / "common").glob("*.sql"), *(folder / back_end).glob("*.sql")], key=lambda path: path.name
    ):
        file = f"{path.parent.name}/{path.name}"
        number = path.name.partition("_")[0]
        if len(number) != 4 or not number.isdigit():
            raise MigrationError(file, "is not called NNNN_name.sql")
        if int(number) in found:
            raise MigrationError(file, f"has the number of {found[int(number)].file}")
        found[int(number)] = Migration(int(number), file, path.read_text(encoding="utf-8"))
    return list(found.values())


def migrate(settings: Settings, *, folder: Path | None = None) -> list[str]:
    """Bring the schema up to date; the files that were applied, in order. Two processes at once take turns.

    Raises:
        MigrationChanged: an applied file has been edited since.
        SchemaNewer: the database knows a migration that this release does not.
        MigrationError: PostgreSQL refused a file; nothing of that file is left behind.
    """
    with connect(settings, autocommit=True) as connection:
        # A session lock, since a file may say that it wants no transaction.
        connection.execute("SELECT pg_advisory_lock(hashtext('gaugebook.migrate'))")
        connection.execute(((folder or sql_folder()) / "ledger.sql").read_bytes())
        known = migrations(back_end(connection), folder)
        due = pending(connection, known)
        for migration in due:
            _apply(connection, migration)
        return [migration.file for migration in due]


def pending(connection: psycopg.Connection, known: list[Migration]) -> list[Migration]:
    """Those of `known` that are not in the ledger; raises as `migrate` does where the ledger disagrees."""
    applied = {
        number: (file, checksum)
        for number, file, checksum in connection.execute(
            "SELECT number, file, checksum FROM audit.schema_migrations ORDER BY number"
        )
    }
    for number, (file, _) in applied.items():
        if number not in {migration.number for migration in known}:
            raise SchemaNewer(file)
    for migration in known:
        if migration.number in applied and applied[migration.number][1] != migration.checksum:
            raise MigrationChanged(migration.file)
    return [migration for migration in known if migration.number not in applied]


def back_end(connection: psycopg.Connection) -> BackEnd:
    """What the database was migrated as; for a new one, TimescaleDB where the server has it loaded."""
    found = connection.execute("SELECT back_end FROM audit.schema_migrations LIMIT 1").fetchone()
    if found:
        return "timescale" if found[0] == "timescale" else "postgres"
    loaded = connection.execute("SHOW shared_preload_libraries").fetchone()
    return "timescale" if loaded and "timescaledb" in loaded[0] else "postgres"


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    ledger = (
        "INSERT INTO audit.schema_migrations (number, file, checksum, back_end) VALUES (%s, %s, %s, %s)",
        (migration.number, migration.file, migration.checksum, back_end(connection)),
    )
    try:
        if migration.text.startswith(NO_TRANSACTION):
            connection.execute(migration.text.encode())
            connection.execute(*ledger)
        else:
            with connection.transaction():
                connection.execute(migration.text.encode())
                connection.execute(*ledger)
    except psycopg.Error as error:
        raise MigrationError(migration.file, str(error).splitlines()[0]) from error
