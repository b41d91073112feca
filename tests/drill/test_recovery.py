"""The drill of docs/operations/recovery.md: a server is lost with its disk at the worst moment, and comes back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import psycopg
import pytest

from benchmarks.parts.restore import lose_and_recover
from store.backup import backup
from store.backups import Backups
from store.connect import connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.restore import restore
from store.settings import load
from tests.fix_prometheus import wait_until
from tests.servers import need, open_folder

pytestmark = pytest.mark.drill


@pytest.mark.timeout(600)
def test_a_server_that_is_lost_with_its_disk_costs_less_than_a_minute_of_rows():
    with open_folder() as folder:
        settings = load(home=folder / "home")
        migrate(settings)
        backup(settings)
        try:
            lost = lose_and_recover(settings, folder / "new")
        finally:
            EmbeddedServer(settings.home).stop()
            EmbeddedServer(folder / "new").stop()
        print(f"RPO {lost.rpo_s:.1f} s ({lost.rows} rows of {lost.written}), RTO {lost.rto_s:.1f} s")
        assert 0 < lost.rpo_s < 60
        assert lost.rto_s < 300
        assert not lost.gap


def test_with_pg_receivewal_hardly_a_row_is_lost_with_the_disk():
    """A named server that does not archive, and a receiver that follows it over a slot."""
    with open_folder() as folder:
        binaries = need("pg_ctl", package="postgresql-15").resolve().parent
        server = EmbeddedServer(folder / "server", binaries=binaries)
        server.start()
        settings = load(dsn=server.conninfo(), home=folder)
        restored = EmbeddedServer(folder / "new")
        wal, owner = Backups.of(settings).wal, server.user()
        backup(settings)
        common = (binaries / "pg_receivewal", "-D", wal, "-S", "gaugebook", "-d", server.conninfo())
        users = {"user": owner.pw_uid, "group": owner.pw_gid} if owner else {}
        subprocess.run([*common, "--create-slot"], check=True, **users)
        receiver = subprocess.Popen([*common, "--synchronous"], cwd="/", **users)
        try:
            with connect(settings, autocommit=True) as connection:
                connection.execute("CREATE TABLE kept (n int)")
                wait_until(lambda: connection.execute("SELECT active FROM pg_replication_slots").fetchone() == (True,))
                taken = backup(settings)
                assert taken.notes == ()
                for nr in range(1, 2001):
                    connection.execute("INSERT INTO kept VALUES (%s)", [nr])
            os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            wait_until(lambda: not server.answers())
            receiver.terminate()
            receiver.wait(30)
            shutil.rmtree(server.data)
            restore(settings, restored.home)
            with psycopg.connect(restored.conninfo()) as connection:
                count, last = connection.execute("SELECT count(*), max(n) FROM kept").fetchone()
            print(f"{2000 - last} of 2000 rows lost")
            assert count == last
            assert 2000 - last < 100
        finally:
            receiver.kill()
            restored.stop()
