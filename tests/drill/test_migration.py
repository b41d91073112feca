"""A migration killed half-way, with and without its server: the next one completes it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from store.connect import connect
from store.embedded import EmbeddedServer
from store.errors import StoreError
from store.migrate import migrate
from store.settings import Settings, load
from tests.servers import open_folder
from tests.store.faults import kill_server
from tests.store.test_migrate import OBJECTS

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(1800),
]

ROUNDS = 20


def objects(settings: Settings) -> list[tuple[object, ...]]:
    with connect(settings) as connection:
        return connection.execute(OBJECTS).fetchall()


def migrate_when_it_answers(settings: Settings) -> list[str]:
    """What an operator does: tries again. The children of a killed server take a moment to end."""
    end = time.monotonic() + 60
    while True:
        try:
            return migrate(settings)
        except (psycopg.OperationalError, StoreError):
            assert time.monotonic() < end
            time.sleep(0.2)


def migrating(settings: Settings) -> subprocess.Popen[bytes]:
    connect(settings).close()  # makes the database
    program = (
        "from pathlib import Path; from store.settings import load; from store.migrate import migrate;"
        f"migrate(load(home=Path({str(settings.home)!r}), database={settings.database!r}))"
    )
    return subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])


def test_killed_at_random_moments():
    moments = random.Random(3)
    with open_folder() as home:
        server = EmbeddedServer(home)
        server.start()
        try:
            whole = load(home=home, dsn=None)
            process = migrating(whole)
            began = time.monotonic()
            assert process.wait() == 0
            took_s, expected, cut_short = time.monotonic() - began, objects(whole), 0
            for number in range(ROUNDS):
                settings = load(home=home, dsn=None, database=f"round_{number}")
                process = migrating(settings)
                time.sleep(took_s * moments.uniform(0.3, 1.0))
                if number % 2:
                    kill_server(server)
                process.kill()
                process.wait()
                cut_short += bool(migrate_when_it_answers(settings))
                assert objects(settings) == expected
                assert migrate(settings) == []
            assert cut_short > ROUNDS / 4
        finally:
            server.stop()
