"""Migrations: numbered `.sql` files, ledgered by checksum.

`common/` and the folder of the back end are merged by number. Each file runs in one transaction together with its line
in the ledger, unless its first line is `-- no transaction`: then it holds one statement that may be run twice.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg

from store import audit
from store.connect import connect
from store.errors import MigrationChanged, MigrationError, SchemaNewer
from store.files import sql_folder
from store.settings import Settings

BackEnd = Literal["postgres", "timescale"]
NO_TRANSACTION = "-- no transaction"
AS_OWNER = "run `gaugebook db migrate` as the owner of the database"
AS_MEMBER = f"{AS_OWNER}, then `gaugebook db roles`, and make this role a member of one of those"


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
        MigrationError: PostgreSQL refused a file, and nothing of that file is left behind; or the role may not migrate.
    """
    with connect(settings, autocommit=True) as connection:
        if _up_to_date(connection, folder):
            return []
        # A session lock, since a file may say that it wants no transaction.
        connection.execute("SELECT pg_advisory_lock(hashtext('gaugebook.migrate'))")
        try:
            connection.execute(((folder or sql_folder()) / "ledger.sql").read_bytes())
        except psycopg.errors.InsufficientPrivilege as error:
            raise MigrationError("ledger.sql", f"{_first_line(error)}; {AS_OWNER}") from error
        known = migrations(back_end(connection), folder)
        due = pending(connection, known)
        for migration in due:
            _apply(connection, migration)
        return [migration.file for migration in due]


def _up_to_date(connection: psycopg.Connection, folder: Path | None) -> bool:
    """Whether nothing is due. It takes no lock and writes nothing: roles that own nothing, and replicas, get by."""
    try:
        if connection.execute("SELECT to_regclass('audit.schema_migrations')").fetchone() == (None,):
            return False
        return not pending(connection, migrations(back_end(connection), folder))
    except psycopg.errors.InsufficientPrivilege as error:
        raise MigrationError("ledger.sql", f"{_first_line(error)}; {AS_MEMBER}") from error


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
    # A setting of its loader tells; shared_preload_libraries is not for every owner to see.
    loaded = connection.execute("SELECT current_setting('timescaledb.disable_load', true)").fetchone()
    return "timescale" if loaded == ("off",) else "postgres"


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    try:
        if migration.text.startswith(NO_TRANSACTION):
            connection.execute(migration.text.encode())
            with connection.transaction():
                _record(connection, migration)
        else:
            with connection.transaction():
                connection.execute(migration.text.encode())
                _record(connection, migration)
    except psycopg.Error as error:
        reason = _first_line(error)
        with suppress(psycopg.Error):  # the server may be gone
            if audit.kept(connection):
                audit.note(connection, "migrate", migration.file, "error", {"reason": reason})
        raise MigrationError(migration.file, reason) from error


def _record(connection: psycopg.Connection, migration: Migration) -> None:
    connection.execute(
        "INSERT INTO audit.schema_migrations (number, file, checksum, back_end) VALUES (%s, %s, %s, %s)",
        (migration.number, migration.file, migration.checksum, back_end(connection)),
    )
    if audit.kept(connection):  # the migration that makes the log notes those before it
        audit.note(connection, "migrate", migration.file, details={"checksum": migration.checksum})


def _first_line(error: psycopg.Error) -> str:
    return str(error).splitlines()[0]
