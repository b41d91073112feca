"""Backups: taken, listed, verified and removed; on the embedded server and on Debian's PostgreSQL 15."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from store.archive import Archive, force_out, turn_on
from store.backup import backup
from store.backups import Backups, no_room_for
from store.connect import connect
from store.embedded import EmbeddedServer
from store.errors import BackupError, UnknownName
from store.programs import apart, programs_of
from store.restore import restore
from store.settings import Settings, load
from store.verify import verify
from tests.fix_backups import Protected, copied, unlinked
from tests.servers import need, open_folder
from tests.store.test_prometheus import administered


def test_there_is_a_full_backup_and_incremental_ones_rest_on_it(protected: Protected):
    place = Backups.of(protected.settings)
    full, incremental, last = place.all()
    assert [known.kind for known in place.all()] == ["full", "incremental", "incremental"]
    assert place.chain(last) == [full, incremental, last]
    assert incremental.bytes < full.bytes
    assert place.until(full) == place.until(last) > last.ended
    assert "restarted once" in protected.notes[0]
    assert protected.notes[1:] == []


def test_what_is_in_a_backup_is_for_its_owner_alone(protected: Protected):
    place = Backups.of(protected.settings)
    for path in (place.folder, place.base, place.wal, place.path(place.all()[0])):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_segment_that_was_closed_early_takes_no_room(protected: Protected):
    sizes = [
        (path.stat().st_size, path.stat().st_blocks * 512) for path in Backups.of(protected.settings).wal.iterdir()
    ]
    assert (2**24, 4096) in sizes


def test_whole_backups_verify(protected: Protected):
    good = verify(protected.settings)
    assert [part.kind for part in good.chain] == ["full", "incremental", "incremental"]
    assert good.segments > 0
    assert verify(protected.settings, good.chain[0].name).until == good.until
    with pytest.raises(UnknownName, match="no backup 'zzz'"):
        verify(protected.settings, "zzz")


def flip(path: Path, at: int) -> None:
    """Turn one bit of a file over."""
    with unlinked(path).open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_a_flipped_bit_in_a_file_is_named(protected: Protected):
    with copied(protected) as settings:
        place = Backups.of(settings)
        flip(place.path(place.all()[0]) / "global/pg_filenode.map", 100)
        with pytest.raises(
            BackupError, match=r'is broken: checksum mismatch for file "global/pg_filenode.map"\. Use another'
        ):
            verify(settings)


def test_a_file_that_is_gone_is_named(protected: Protected):
    with copied(protected) as settings:
        place = Backups.of(settings)
        (place.path(place.all()[1]) / "pg_xact/0000").unlink()
        with pytest.raises(BackupError, match='"pg_xact/0000" is present in the manifest but not on disk'):
            verify(settings)


def test_a_flipped_bit_in_the_wal_is_named(protected: Protected):
    with copied(protected) as settings:
        place = Backups.of(settings)
        segment = place.archive(last := place.all()[-1]).unbroken(last.end_lsn)[1]
        flip(segment, 100)
        with pytest.raises(BackupError, match=f"WAL segment {segment.name}: is broken"):
            verify(settings)


def test_a_missing_segment_is_named_and_ends_what_can_be_restored(protected: Protected):
    with copied(protected) as settings:
        place = Backups.of(settings)
        last = place.all()[-1]
        segment = place.archive(last).unbroken(last.end_lsn)[1]
        until = place.until(last)
        segment.unlink()
        with pytest.raises(BackupError, match=f"WAL segment {segment.name}: is missing"):
            verify(settings)
        assert place.until(last) < until
        with pytest.raises(BackupError, match=f"reaches until .* \\(segment {segment.name} is missing\\)"):
            restore(settings, settings.home / "new", at=until)


def test_a_segment_that_was_cut_is_named(protected: Protected):
    with copied(protected) as settings:
        place = Backups.of(settings)
        segment = place.archive(last := place.all()[-1]).unbroken(last.end_lsn)[-1]
        os.truncate(unlinked(segment), 1000)
        with pytest.raises(BackupError, match=f"WAL segment {segment.name}: has 1000 bytes and not 16777216"):
            verify(settings)


def test_a_chain_with_a_gap_is_named(protected: Protected):
    with copied(protected) as settings:
        place = Backups.of(settings)
        shutil.rmtree(place.base / place.all()[1].name)
        with pytest.raises(BackupError, match="which is gone; use another"):
            verify(settings)


def test_what_is_known_of_a_backup_may_be_broken(protected: Protected):
    with copied(protected) as settings:
        place = Backups.of(settings)
        unlinked(place.base / place.all()[0].name / "backup.json").write_text("{")
        with pytest.raises(BackupError, match="move .* away"):
            place.all()


def test_a_folder_without_backups_says_so(tmp_path: Path):
    with pytest.raises(BackupError, match="`gaugebook db backup` takes one"):
        verify(load(home=tmp_path))


def test_one_backup_at_a_time(protected: Protected):
    folder = Backups.of(protected.settings).folder
    with subprocess.Popen(["flock", folder / "lock", "cat"], stdin=subprocess.PIPE) as other:
        try:
            while subprocess.run(["flock", "--nonblock", folder / "lock", "true"], check=False).returncode == 0:
                pass
            with pytest.raises(BackupError, match="another backup is being taken"):
                backup(protected.settings)
        finally:
            other.communicate()


def test_an_archive_that_fails_is_said_and_hangs_nothing(protected: Protected):
    with copied(protected) as settings:
        place = Backups.of(settings)
        shutil.rmtree(place.wal)
        place.wal.touch()  # a file where the folder was: no user can write into that
        (place.folder / "base").rename(place.folder / "old")
        own = load(home=protected.settings.home, backups=place.folder)
        notes = backup(own).notes
        assert "the server cannot archive" in notes[0]
        assert "its log says why" in notes[0]
        assert "and no later" in notes[0]
    turn_on(EmbeddedServer(protected.settings.home), Backups.of(protected.settings).wal)
    with connect(protected.settings, autocommit=True) as connection:
        assert force_out(connection, Backups.of(protected.settings).wal) is None  # it goes on by itself, without a gap
    assert verify(protected.settings).segments > 0


def test_the_folder_of_another_server_is_refused(protected: Protected, embedded_server: EmbeddedServer):
    with copied(protected) as settings:
        other = load(dsn=embedded_server.conninfo(), home=settings.home, backups=Backups.of(settings).folder)
        with pytest.raises(BackupError, match="holds backups of another server"):
            backup(other)


def test_a_role_without_the_right_is_told_which_one_it_needs(embedded_server: EmbeddedServer, tmp_path: Path):
    with psycopg.connect(embedded_server.conninfo(), autocommit=True) as connection:
        connection.execute("CREATE ROLE plain")
        try:
            settings = load(dsn=f"{embedded_server.conninfo()} options='-c role=plain'", home=tmp_path)
            with pytest.raises(BackupError, match="ALTER ROLE plain REPLICATION"):
                backup(settings)
        finally:
            connection.execute("DROP ROLE plain")


def test_a_password_is_no_argument():
    target, environment = apart("postgresql://me:secret@db/metrics?sslmode=require")
    assert "secret" not in target
    assert "sslmode=require" in target
    assert environment == {"PGPASSWORD": "secret"}


def test_room_is_counted_before_anything_is_copied(protected: Protected):
    assert no_room_for(protected.settings.home / "not/there", 1) is None
    with copied(protected) as settings:
        about = unlinked(Backups.of(settings).base / Backups.of(settings).all()[-1].name / "backup.json")
        about.write_text(json.dumps(json.loads(about.read_text()) | {"database_bytes": 10**18}))
        with pytest.raises(BackupError, match=r"needs 1,000,000,000,000 MB and the disk has .* free"):
            restore(settings, settings.home / "new")
        assert not (settings.home / "new").exists()


def test_segments_are_counted_across_the_names():
    archive = Archive(Path("/"), 2**24)
    assert archive.name(1, 256) == "000000010000000100000000"
    assert archive.number("000000020000000100000000") == 256
    small = Archive(Path("/"), 2**20)
    assert small.number(small.name(3, 5000)) == 5000


@contextmanager
def debian(home: Path) -> Iterator[Settings]:
    """Debian's PostgreSQL 15, which archives by a command of its operator into the folder of backups."""
    binaries = need("pg_ctl", package="postgresql-15").resolve().parent
    command = f"test ! -e {home}/backups/wal/%f && cp %p {home}/backups/wal/%f"
    quick = {"fsync": "off", "archive_mode": "on", "archive_command": command}
    server = EmbeddedServer(home, binaries=binaries, configuration=quick)
    server.start()
    try:
        yield load(dsn=server.conninfo(), home=home)
    finally:
        server.stop()


@pytest.mark.drill
def test_on_a_named_server_of_version_15_backups_are_full_and_old_ones_go():
    with open_folder() as home, debian(home) as settings:
        keep_one = settings.model_copy(update={"keep_backups": 1})
        (place := Backups.of(settings)).base.mkdir(parents=True)
        interrupted = place.base / "20200101T000000Z.new"
        interrupted.mkdir()
        with connect(settings, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
            first = backup(keep_one)
            assert (first.backup.kind, first.notes, first.removed) == ("full", (), ())
            assert not interrupted.exists()
            before = {path.name for path in place.wal.iterdir()}
            second = backup(keep_one)
            connection.execute("INSERT INTO kept VALUES (2)")
            assert second.removed == (first.backup.name,)
            assert place.all() == [second.backup]
            segments = place.archive(second.backup).segments()
            assert min(segments) == second.backup.start_lsn // 2**24
            assert len(before) > 2
            assert force_out(connection, place.wal) is None
        assert verify(settings, second.backup.name).segments > 0
        restored = restore(settings, home / "new")
        # A restored server of another version starts with that version's programs.
        server = EmbeddedServer(home / "new")
        assert server.programs() == programs_of(15)
        with psycopg.connect(server.conninfo()) as connection:
            assert connection.execute("SELECT sum(n), current_setting('server_version_num')::int / 10000 FROM kept").fetchone() == (3, 15)  # fmt: skip
        assert restored.tables() == []
        server.stop()


@pytest.mark.drill
def test_a_named_server_that_does_not_archive_says_so_and_prometheus_is_beside(debian_server, tmp_path: Path):
    with open_folder() as home, administered(tmp_path) as url:
        settings = load(dsn=debian_server.conninfo(), home=home, prometheus_url=url)
        taken = backup(settings)
        assert taken.backup.kind == "full"
        assert "run pg_receivewal or set archive_command" in taken.notes[0]
        (place,) = Backups.of(settings).base.iterdir()
        assert taken.prometheus == f"Prometheus' snapshot is in {place / 'prometheus'}"
