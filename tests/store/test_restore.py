"""Restoring: to a moment, from a chain, from what a killed server left; and what it refuses."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from store.archive import force_out
from store.backup import backup
from store.backups import Backups
from store.connect import connect
from store.embedded import EmbeddedServer
from store.errors import BackupError
from store.restore import Restored, restore
from store.settings import Settings, load
from store.verify import verify
from tests.fix_backups import Protected, copied, unlinked
from tests.servers import open_folder


def rows_of(home: Path) -> tuple[int, int]:
    """How many rows a restored server has, and which is the last."""
    with connect(load(home=home)) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
        return connection.execute("SELECT count(*)::int, max(n) FROM kept").fetchone()


def restored_rows(settings: Settings, **arguments: object) -> tuple[Restored, tuple[int, int]]:
    """Restore into a fresh folder, look, and stop the server."""
    with open_folder() as folder:
        home = folder / "new"
        try:
            return restore(settings, home, **arguments), rows_of(home)
        finally:
            EmbeddedServer(home).stop()


@pytest.mark.parametrize("nth", [0, 2])
def test_a_moment_between_two_writes_has_exactly_the_rows_of_then(protected: Protected, nth: int):
    moment, rows = [*protected.rows.items()][nth]
    restored, found = restored_rows(protected.settings, at=moment)
    assert found == (rows, rows)
    assert len(Backups.of(protected.settings).chain(restored.backup)) == nth + 1
    assert moment - timedelta(seconds=30) < restored.until <= moment


def test_a_moment_can_be_reached_from_an_older_backup(protected: Protected):
    moment, rows = [*protected.rows.items()][2]
    first = Backups.of(protected.settings).all()[0]
    restored, found = restored_rows(protected.settings, at=moment, name=first.name)
    assert (restored.backup, found) == (first, (rows, rows))


@pytest.mark.drill
def test_what_was_written_a_moment_ago_is_there_and_the_new_server_archives_nowhere(protected: Protected):
    with connect(protected.settings, autocommit=True) as connection:
        connection.execute("INSERT INTO kept VALUES (42)")
    with open_folder() as folder:
        settings = load(home=folder / "new home")
        try:
            restore(protected.settings, settings.home)
            assert rows_of(settings.home) == (42, 42)
            with connect(settings) as connection:
                assert connection.execute("SELECT current_setting('archive_mode'), current_setting('restore_command')").fetchone() == ("off", "")  # fmt: skip
            # It is a server like any other: it can be backed up, on its new timeline.
            again = backup(settings)
            assert again.backup.kind == "full"
            with connect(settings, autocommit=True) as connection:
                assert force_out(connection, Backups.of(settings).wal) is None
            assert verify(settings).segments > 0
        finally:
            EmbeddedServer(settings.home).stop()


def test_a_folder_that_holds_something_is_left_alone(protected: Protected, tmp_path: Path):
    (tmp_path / "precious").touch()
    with pytest.raises(BackupError, match="is not empty; a restore wants a fresh folder"):
        restore(protected.settings, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_moment_before_the_first_backup_names_the_oldest(protected: Protected, tmp_path: Path):
    with pytest.raises(BackupError, match=r"2020-01-01T00:00:00Z: no backup is that old; the oldest ended 20\d\d-"):
        restore(protected.settings, tmp_path / "new", at=datetime(2020, 1, 1, tzinfo=UTC))


def test_a_moment_that_is_yet_to_come_names_the_end_of_the_wal(protected: Protected, tmp_path: Path):
    with pytest.raises(BackupError, match=r"the archived WAL reaches until 20.* UTC \(nothing later was archived\)"):
        restore(protected.settings, tmp_path / "new", at=datetime.now(UTC) + timedelta(hours=1))
    assert not (tmp_path / "new").exists()


def test_a_backup_that_is_younger_than_the_moment_is_refused(protected: Protected, tmp_path: Path):
    last, moment = Backups.of(protected.settings).all()[-1], next(iter(protected.rows))
    with pytest.raises(BackupError, match=f"backup {last.name}: ended .* name an older one"):
        restore(protected.settings, tmp_path / "new", at=moment, name=last.name)


def test_wal_without_a_transaction_that_late_names_the_last_one(protected: Protected):
    """The times of an archive that was copied say nothing; PostgreSQL finds the end itself."""
    with copied(protected) as settings:
        for path in Backups.of(settings).wal.iterdir():
            os.utime(unlinked(path), (time.time() + 7200, time.time() + 7200))
        with pytest.raises(BackupError, match="no transaction that late; the last is of 20"):
            restore(settings, settings.home / "new", at=datetime.now(UTC) + timedelta(hours=1))
        assert not (settings.home / "new").exists()


@pytest.mark.drill
def test_after_a_kill_nothing_before_the_last_segment_is_lost_and_with_pg_wal_nothing_at_all():
    with open_folder() as folder:
        settings = load(home=folder / "home")
        server = EmbeddedServer(settings.home)
        try:
            with connect(settings, autocommit=True) as connection:
                connection.execute("CREATE TABLE kept (n int)")
                connection.execute("ALTER SYSTEM SET fsync = off")  # the machine goes on, only the server dies
            backup(settings)
            acknowledged: list[float] = []

            def write() -> None:
                with connect(settings, autocommit=True) as writer:
                    while True:
                        try:
                            writer.execute("INSERT INTO kept VALUES (%s)", [len(acknowledged) + 1])
                        except psycopg.OperationalError:
                            return
                        acknowledged.append(time.time())

            writing = threading.Thread(target=write)
            writing.start()
            time.sleep(0.5)
            with connect(settings, autocommit=True) as connection:
                switched = time.time()  # as archive_timeout does by itself
                assert force_out(connection, Backups.of(settings).wal) is None
            time.sleep(0.5)
            os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            writing.join()
            killed = time.time()
            _, (count, last) = restored_rows(settings)
            assert count == last, "the rows have a gap"
            assert acknowledged[last - 1] >= switched - 0.01, "the closed segment is not there"
            assert len(acknowledged) > last
            print(f"without pg_wal: {len(acknowledged) - last} rows, {killed - acknowledged[last - 1]:.2f} s lost")
            _, (count, last) = restored_rows(settings, wal=server.data / "pg_wal")
            # One more may have been committed and not acknowledged.
            assert count == last
            assert last in (len(acknowledged), len(acknowledged) + 1)
        finally:
            server.stop()
