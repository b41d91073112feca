import os
import threading
import time
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from collectors.llm.record import COLUMNS, Request
from collectors.llm.writer import Writer
from store.connect import connect
from store.settings import load
from tests.servers import free_port

AT = datetime(2026, 1, 1, tzinfo=UTC)


def request(number=0, **changed):
    return Request(**{"ts": AT + timedelta(seconds=number), "request_id": f"r{number}", "source": "test", **changed})


def submit(writer, *requests):
    for each in requests:
        writer.submit(lambda each=each: each)


def count(writer, name, **labels):
    return writer.metrics.registry.get_sample_value(name, labels)


def ids(settings):
    with connect(settings) as connection:
        return [row[0] for row in connection.execute("SELECT request_id FROM metrics.llm_requests ORDER BY ts")]


@pytest.fixture
def writer(store):
    writer = Writer(store)
    yield writer
    writer.close()


@pytest.fixture
def nowhere():
    return load(dsn=f"postgresql://nobody@127.0.0.1:{free_port()}/none")


def test_every_column_of_the_table_is_written(store):
    with connect(store) as connection:
        columns = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'metrics.llm_requests'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        ).fetchall()
    assert tuple(column for (column,) in columns) == COLUMNS


def test_a_flush_writes_at_once_and_once(writer, store):
    submit(writer, *map(request, range(1200)), request(7))
    assert writer.flush()
    assert ids(store) == [f"r{number}" for number in range(1200)]
    assert writer.written == count(writer, "llm_written_rows_total") == 1200


def test_rows_come_by_themselves_after_a_while(store):
    writer = Writer(store, batch_s=0.05)
    submit(writer, request(), request(1))
    end = time.monotonic() + 10
    while len(ids(store)) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    assert ids(store) == ["r0", "r1"]
    writer.close()


def test_a_row_that_is_refused_does_not_take_others_along(writer, store):
    bad = [
        request(3, status="nonsense"),
        request(5, model="nul\0"),
        request(6, attrs={"x": "\ud800"}),
        request(7, duration_s=-1.0),
    ]
    rows = [request(number) for number in (0, 1, 2, 4, 8)] + bad
    submit(writer, *sorted(rows, key=lambda row: row.ts))
    assert writer.flush()
    assert ids(store) == ["r0", "r1", "r2", "r4", "r8"]
    assert count(writer, "llm_dropped_rows_total", reason="refused") == len(bad)


def test_a_row_that_cannot_be_finished_is_counted(writer, store):
    writer.submit(lambda: 1 / 0)
    submit(writer, request())
    assert writer.flush()
    assert ids(store) == ["r0"]
    assert count(writer, "llm_metering_failures_total") == 1


def test_without_a_database_nobody_waits_and_the_rows_do(nowhere, store, caplog):
    writer = Writer(nowhere, batch_s=0.01)
    began = time.monotonic()
    submit(writer, *map(request, range(100)))
    assert time.monotonic() - began < 1.0
    assert not writer.flush(0.5)
    assert count(writer, "llm_write_failures_total") >= 1
    assert count(writer, "llm_waiting_rows") == 100
    assert 0 < count(writer, "llm_oldest_waiting_seconds") < 60
    assert count(writer, "llm_waiting_limit_bytes") == nowhere.spool_mb << 20
    writer.close(0.5)
    assert f"100 rows wait in {nowhere.spool}/llm-0 and will be delivered at the next start" in caplog.text
    submit(writer, request())
    assert count(writer, "llm_dropped_rows_total", reason="closed") == 1

    heir = Writer(store)
    submit(heir, request(100))
    assert heir.flush()
    assert ids(store) == [f"r{number}" for number in range(101)]
    heir.close()


def test_a_queue_that_is_full_takes_no_more(writer, store):
    go_on = threading.Event()
    writer.submit(lambda: go_on.wait() and request())
    full = Writer(store, capacity=20)
    full.submit(lambda: go_on.wait() and request())
    time.sleep(0.1)
    submit(full, *map(request, range(1, 101)))
    assert count(full, "llm_dropped_rows_total", reason="queue_full") == 80
    go_on.set()
    assert full.flush()
    assert writer.flush()
    assert ids(store) == [f"r{number}" for number in range(21)]
    full.close()


def test_without_a_disk_rows_wait_in_memory_with_a_bound(nowhere, tmp_path, caplog):
    (tmp_path / "file").touch()
    writer = Writer(nowhere.model_copy(update={"spool": tmp_path / "file/spool"}), capacity=20, batch_rows=5)
    for number in range(100):
        submit(writer, request(number))
        time.sleep(0.001)
    assert not writer.flush(0.5)
    assert count(writer, "llm_waiting_rows") <= 20
    writer.close(0.1)
    time.sleep(0.5)
    lost = [
        count(writer, "llm_dropped_rows_total", reason=reason) for reason in ("queue_full", "memory_full", "closed")
    ]
    assert sum(lost) == 100, lost
    assert "at most 20 rows are kept in memory" in caplog.text
    assert "rows could not be written and are lost" in caplog.text


def test_rows_wait_for_a_database_that_comes_back(store, writer):
    with connect(store, autocommit=True) as connection:
        connection.execute("ALTER TABLE metrics.llm_requests RENAME TO away")
        submit(writer, request(0))
        assert not writer.flush(0.3)
        connection.execute("ALTER TABLE metrics.away RENAME TO llm_requests")
    submit(writer, request(1))
    assert writer.flush()
    assert ids(store) == ["r0", "r1"]


def test_a_connection_that_was_cut_is_made_again(store, writer):
    submit(writer, request(0))
    assert writer.flush()
    with connect(store, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    submit(writer, request(1))
    if not writer.flush(0.3):  # the first try finds out that the connection is gone
        assert writer.flush()
    assert ids(store) == ["r0", "r1"]


def test_a_forked_child_writes_its_own_rows_and_the_parent_keeps_its_connection(writer, store):
    submit(writer, request(0))
    assert writer.flush()
    submit(writer, request(1))  # still in the queue when the child starts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forking with threads: that is the point
        child = os.fork()
    if child == 0:
        done = False
        try:
            submit(writer, request(2, model="of the child"))
            done = writer.flush() and writer.written == 1
        finally:
            os._exit(0 if done else 1)
    assert os.waitpid(child, 0)[1] == 0
    submit(writer, request(3))
    assert writer.flush()
    assert ids(store) == ["r0", "r1", "r2", "r3"]
    assert writer.written == 3
    assert count(writer, "llm_write_failures_total") == 0


def test_closing_writes_what_is_left(store):
    writer = Writer(store)
    submit(writer, request(0))
    writer.close()
    writer.close()
    assert ids(store) == ["r0"]


def test_a_row_has_its_values_in_order():
    row = request(model="m")
    assert dict(zip(COLUMNS, row.values(), strict=True))["model"] == "m"
    assert replace(row, model="n").values()[COLUMNS.index("model")] == "n"
