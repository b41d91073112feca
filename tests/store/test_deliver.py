"""Delivery: at least once through every fault, and the writer makes it once. The longer versions are in tests/drill."""

from __future__ import annotations

import time
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql

from store import deliver
from store.connect import connect
from store.deliver import Delivery
from store.embedded import EmbeddedServer
from store.segment import HEADER_BYTES
from store.settings import load
from store.spool import Spool
from tests.fix_prometheus import wait_until
from tests.network import Proxy
from tests.servers import open_folder
from tests.store.faults import (
    Load,
    administration,
    count,
    database,
    deliver_the_rest,
    kill_often,
    sink_of,
    the_disk_under_the_spool_fills_up,
    the_network_is_cut,
    through,
    tiny_disk,
    two_writers_of_the_same_rows,
)
from tests.store.load import COLUMNS, START, TABLE, batch, rows
from tests.store.tallies import Told


@pytest.fixture
def told():
    return Told()


@pytest.fixture(scope="module")
def server_that_is_killed():
    """A server with fsync, and settings that start it again."""
    with open_folder() as home:
        server = EmbeddedServer(home)
        yield server
        server.stop()


@pytest.fixture
def own(server_that_is_killed, tmp_path):
    """Settings of a server that may be killed, whose tables are empty."""
    settings = load(home=server_that_is_killed.home, dsn=None, spool_fsync="each")
    deliver_the_rest(settings)
    with connect(settings, autocommit=True) as connection:
        if connection.execute("SELECT to_regclass('metrics.llm_requests') IS NOT NULL").fetchone()[0]:
            connection.execute("TRUNCATE metrics.llm_requests")
    return settings


def test_neighbours_are_written_together(store, told, tmp_path, monkeypatch):
    sizes = []
    whole = deliver.write

    def spy(connection, table, columns, rows, **options):
        sizes.append((table, len(rows)))
        return whole(connection, table, columns, rows, **options)

    monkeypatch.setattr(deliver, "write", spy)
    spool = Spool(tmp_path / "s", "test", limit_bytes=1 << 20, fsync="none", tally=told)
    for first in range(0, 100, 10):
        spool.append(TABLE, COLUMNS, rows(first, first + 10))
        spool.append("metrics.rabbitmq_overview", ("ts", "cluster"), [(START + timedelta(seconds=first), "c")])
    delivery = Delivery(store, spool, told)
    assert delivery.flush(10)
    assert sizes == [(TABLE, 100), ("metrics.rabbitmq_overview", 10)]
    assert delivery.close(1) == 0
    assert told["wrote"] == 110


def test_a_batch_is_cut_to_the_time_that_it_may_take(store, told, monkeypatch):
    sizes = []

    def slow(connection, table, columns, rows, **options):
        sizes.append(len(rows))
        time.sleep(len(rows) * 0.0001)
        return deliver.Written(len(rows))

    monkeypatch.setattr(deliver, "write", slow)
    monkeypatch.setattr(deliver, "BATCH_S", 0.02)
    with sink_of(store, told=told) as sink:
        sink.write(batch(0, 2_000))
        assert sink.flush(10)
        for first in range(2_000, 7_000, 1_000):
            sink.write(batch(first, first + 1_000))
        assert sink.flush(30)
    assert sizes[0] == 2_000
    assert max(sizes[1:]) <= 320, sizes  # one and a half times what fits, at most
    assert sum(sizes) == 7_000


def test_bad_rows_become_dead_letters_and_the_rest_goes_on(store, told, caplog):
    bad = [(START, "bad", "test", -1, {}), (START, "x" * 20_000, "test", 1, {}), (START, "y", "test", {1, 2}, {})]
    good = rows(0, 50)
    with sink_of(store, told=told) as sink:
        sink.write(batch(100, 120))
        sink.write(type(batch(0, 1))(TABLE, COLUMNS, [*good[:20], bad[0], *good[20:], *bad[1:]]))
        sink.write(batch(50, 100))
        assert sink.flush(10)
    assert (told["wrote"], told["rejected"]) == (120, 3)
    count(store, 120)
    assert "metrics.llm_requests refused 3 rows" in caplog.text
    assert "`gaugebook db replay`" in caplog.text


def test_a_batch_that_the_writer_cannot_stand_is_split(store, told, monkeypatch):
    whole = deliver.write

    def stumbling(connection, table, columns, rows, **options):
        if any(row[3] == 7 for row in rows):
            raise RuntimeError("seven")
        return whole(connection, table, columns, rows, **options)

    monkeypatch.setattr(deliver, "write", stumbling)
    with sink_of(store, told=told) as sink:
        sink.write(batch(0, 100))
        assert sink.flush(10)
    assert (told["wrote"], told["rejected"]) == (99, 1)


def test_dead_letters_that_have_no_room_are_waited_for(store, told, monkeypatch):
    keep, refusals = deliver.DeadLetters.keep, []

    def full(self, *arguments):
        if not refusals:
            refusals.append(1)
            raise OSError(28, "No space left on device")
        return keep(self, *arguments)

    monkeypatch.setattr(deliver.DeadLetters, "keep", full)
    with sink_of(store, told=told) as sink:
        sink.write(type(batch(0, 1))(TABLE, COLUMNS, [*rows(0, 3), (START, "bad", "test", -1, {})]))
        assert sink.flush(10)
    assert (told["wrote"], told["rejected"], told["failed"]) == (3, 1, 1)


def test_rows_wait_until_somebody_has_migrated(empty_database, told, caplog):
    with sink_of(empty_database, told=told) as sink:
        sink.write(batch(0, 10))
        assert not sink.flush(1.0)
        assert "does it need `gaugebook db migrate`?" in caplog.text
        deliver.migrate(empty_database)
        assert sink.flush(30)
    count(empty_database, 10)
    assert told["rejected"] == 0


def test_the_embedded_database_is_migrated_first(embedded_server, told):
    name = f"own_{time.time_ns()}"
    settings = load(home=embedded_server.home, database=name)
    with sink_of(settings, told=told) as sink:
        sink.write(batch(0, 10))
        assert sink.flush(60)
    count(settings, 10)
    with psycopg.connect(embedded_server.conninfo(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_a_statement_timeout_is_waited_out(store, told):
    with administration(store) as boss, connect(store) as holder:
        boss.execute(sql.SQL("ALTER DATABASE {} SET statement_timeout = '200ms'").format(database(store)))
        holder.execute("LOCK TABLE metrics.llm_requests IN ACCESS EXCLUSIVE MODE")
        with sink_of(store, told=told) as sink:
            sink.write(batch(0, 500))
            assert not sink.flush(1.5)
            sink.write(batch(500, 1_000))
            holder.rollback()
            assert sink.flush(30)
        boss.execute(sql.SQL("ALTER DATABASE {} RESET statement_timeout").format(database(store)))
    assert told["failed"] >= 2
    count(store, 1_000)


def test_serializable_transactions_that_fail_are_tried_again(store):
    with administration(store) as boss:
        boss.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = 'serializable'").format(database(store))
        )
    two_writers_of_the_same_rows(store, batches=40)


def test_two_writers_of_the_same_rows(store):
    two_writers_of_the_same_rows(store, batches=40)


def test_the_clock_set_back_an_hour_loses_nothing(store, monkeypatch):
    now = time.time()
    with sink_of(store) as sink:
        for number in range(10):
            sink.write(batch(number * 20, number * 20 + 20))
            monkeypatch.setattr(time, "time", lambda number=number: now - 360.0 * number)
        back = [(START - timedelta(hours=1) + timedelta(seconds=n), f"r{n}", "test", n, {}) for n in range(200, 300)]
        sink.write(type(batch(0, 1))(TABLE, COLUMNS, back))
        assert sink.flush(20)
    count(store, 300)


def test_a_flipped_bit_costs_its_record_alone(store, told):
    spool = Spool(store.spool, "load", limit_bytes=1 << 20, fsync="none", tally=told)
    for first in range(0, 100, 10):
        spool.append(TABLE, COLUMNS, rows(first, first + 10))
    spool.close()
    (path,) = store.spool.glob("*/*.spool")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 + HEADER_BYTES + 5] ^= 4  # in the payload of the sixth
    path.write_bytes(content)
    told = deliver_the_rest(store)
    assert (told["wrote"], told["corrupt"], told["dropped damaged"]) == (90, 1, 10)


def test_the_network_is_cut(store, told):
    the_network_is_cut(store, for_s=3.0)


def test_a_server_that_never_answers_again_is_given_up(store, monkeypatch, caplog):
    monkeypatch.setattr(deliver, "WRITE_LIMIT_S", 0.5)
    proxy = Proxy.of_database(store)
    with sink_of(through(proxy, store)) as sink:
        sink.write(batch(0, 20))
        assert sink.flush(10)
        silent, proxy._pairs = proxy._pairs, []
        proxy._cut.set()
        sink.write(batch(20, 40))
        wait_until(lambda: "the connection is cut" in caplog.text)
        proxy._cut.clear()
        assert sink.flush(30)
    count(store, 40)
    proxy._pairs += silent
    proxy.close()


def test_the_server_is_restarted(own):
    server = EmbeddedServer(own.home)
    going = Load(own)
    going.start()
    server.stop()
    server.start()
    going.goes_on(3)
    going.kill()
    deliver_the_rest(own)
    count(own, going.acknowledged)


@pytest.mark.parametrize(("writer", "server"), [(True, False), (False, True), (True, True)])
def test_kill_9(own, writer, server):
    kill_often(own, writer=writer, server=server, rounds=1)


def test_the_disk_under_the_spool_fills_up(store, tmp_path, told, caplog):
    with tiny_disk(tmp_path / "tiny", megabytes=1) as folder:
        if folder is None:
            pytest.skip("no file system can be mounted here")
        the_disk_under_the_spool_fills_up(store, folder, told)
    assert "No space left on device" in caplog.text
