"""Real PostgreSQL servers: the embedded one, Debian's, and TimescaleDB where its DSN is given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from store.connect import connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.settings import Settings, load
from tests.servers import need, open_folder

QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TIMESCALE = "GAUGEBOOK_TEST_TIMESCALE_DSN"
STORE = "GAUGEBOOK_TEST_STORE"
BACK_ENDS = ("embedded", "debian", "timescale")
_numbers = count()


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[EmbeddedServer]:
    """The embedded PostgreSQL, in a folder of its own, without fsync."""
    with open_folder() as home:
        server = EmbeddedServer(home, configuration=QUICK)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def debian_server() -> Iterator[EmbeddedServer]:
    """Debian's PostgreSQL under the same launcher."""
    binaries = need("pg_ctl", package="postgresql-15").resolve().parent
    with open_folder() as home:
        server = EmbeddedServer(home, binaries=binaries, configuration=QUICK)
        server.start()
        yield server
        server.stop()


@contextmanager
def fresh_database(administration: str, *, template: str | None = None) -> Iterator[str]:
    """The DSN of an empty database on the server that `administration` reaches; dropped afterwards."""
    name = f"gaugebook_test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(administration, autocommit=True) as connection:
        # Files as they are: through the log, which is the default, every page of the template is written twice.
        origin = sql.Identifier(template or "template0")  # nobody is connected to it
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(name), origin)
        )
        try:
            yield make_conninfo(administration, dbname=name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def embedded_template(embedded_server: EmbeddedServer) -> str:
    """A database on the embedded server that is migrated once and copied for every test."""
    return _template(embedded_server)


@pytest.fixture(scope="session")
def debian_template(debian_server: EmbeddedServer) -> str:
    """The same on Debian's server."""
    return _template(debian_server)


def _template(server: EmbeddedServer) -> str:
    name = "gaugebook_template"
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate(load(dsn=server.conninfo(name)))
    return name


@pytest.fixture
def empty_database(embedded_server: EmbeddedServer) -> Iterator[Settings]:
    """Settings of an empty database on the embedded server."""
    with fresh_database(embedded_server.conninfo()) as dsn:
        yield load(dsn=dsn)


@contextmanager
def migrated(request: pytest.FixtureRequest, back_end: str) -> Iterator[Settings]:
    """Settings of a fresh, migrated database on one back end; servers are started when they are first asked for."""
    if back_end == "timescale":  # whose workers are connected to every database, and nobody may be to a template
        with empty(request, back_end) as settings:
            migrate(settings)
            yield settings
        return
    administration = request.getfixturevalue(f"{back_end}_server").conninfo()
    with fresh_database(administration, template=request.getfixturevalue(f"{back_end}_template")) as dsn:
        yield load(dsn=dsn)


@contextmanager
def empty(request: pytest.FixtureRequest, back_end: str) -> Iterator[Settings]:
    """Settings of a fresh database without a schema on one back end."""
    if back_end != "timescale":
        administration = request.getfixturevalue(f"{back_end}_server").conninfo()
    elif not (administration := os.environ.get(TIMESCALE, "")):
        pytest.skip(f"no TimescaleDB: name a server that has it in {TIMESCALE}")
    with fresh_database(administration) as dsn:
        yield load(dsn=dsn)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings of a fresh, migrated database on the embedded server, or on the back end that `GAUGEBOOK_TEST_STORE` names."""
    with migrated(request, os.environ.get(STORE, "embedded")) as settings:
        yield settings


@pytest.fixture(params=dict.fromkeys([os.environ.get(STORE, "embedded"), "timescale"]))
def any_store(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings of a fresh, migrated database on a plain back end and on TimescaleDB in turn; in tests/store on every one."""
    with migrated(request, request.param) as settings:
        yield settings


def waiting_hours(settings: Settings) -> int | None:
    """Marks in the log of changed hours; none on TimescaleDB, which keeps a log of its own."""
    with connect(settings) as connection:
        if connection.execute("SELECT to_regclass('metrics.rollup_log')").fetchone() == (None,):
            return None
        return connection.execute("SELECT count(*)::int FROM metrics.rollup_log").fetchone()[0]


def pytest_report_header() -> str:
    """Which servers the run can reach."""
    return f"PostgreSQL back ends: {', '.join(BACK_ENDS[:2])}{', timescale' if os.environ.get(TIMESCALE) else f' ({TIMESCALE} is not set)'}"
