"""The Arrow record batches of a query, fetched by a thread of its own while its reader works on the last ones."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, TypeAlias

from store.connect import unreachable
from store.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

    Item: TypeAlias = pa.RecordBatch | BaseException | None

BATCH_BYTES = 4 * 2**20  # what a batch holds, roughly; a few are in memory at once
AHEAD = 2  # batches that wait for their reader
WAKE_S = 0.2  # how often those who wait look whether they should go on
STOP_S = 5.0  # how long a cancelled query may take to end before it is left to itself
SESSION = ("SET TIME ZONE 'UTC'", "SET default_transaction_read_only = on")


def batches(target: str, text: str, what: str) -> Generator[pa.RecordBatch]:
    """The result of the SQL `text` on the server that the connection string `target` names; at least one batch.

    Closing the iterator before its end, or Ctrl-C, cancels the query in the server and returns within moments.

    Raises:
        Unreachable: the server does not answer or refuses the credentials.
        StoreError: it refuses the query, or ends it; `what` names the query.

    Source:
        ADBC hands PostgreSQL's binary rows to Arrow without a Python object per value. Its low-level interface does
        without pyarrow.dataset, which its DBAPI loads: 50 MB less.
    """
    fetch = _Fetch(target, text, what)
    thread = threading.Thread(target=fetch.run, name="gaugebook-read", daemon=True)
    thread.start()
    try:
        while (item := fetch.next()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
            del item  # the next one may need its room
    finally:
        fetch.stop()
        thread.join(STOP_S)


class _Fetch:
    """What the thread does. All that it opens it also closes; others may only ask it to stop."""

    def __init__(self, target: str, text: str, what: str) -> None:
        self.target, self.text, self.what = target, text, what
        self.items: queue.Queue[Item] = queue.Queue(AHEAD)
        self.stopped = threading.Event()
        self.running = threading.Lock()  # held while the statement may be cancelled or closed
        self.statement: object = None

    def run(self) -> None:
        try:
            self._fetch()
            self._hand_over(None)
        except BaseException as error:  # noqa: BLE001 - it is raised where the batches are read
            self._hand_over(error)

    def stop(self) -> None:
        self.stopped.set()
        with self.running:
            if self.statement is not None:
                with suppress(Exception):  # it has ended meanwhile
                    self.statement.cancel()  # type: ignore[attr-defined]

    def next(self) -> Item:
        # Ctrl-C may be another thread's to receive; this one sees it when it wakes.
        while True:
            with suppress(queue.Empty):
                return self.items.get(timeout=WAKE_S)

    def _fetch(self) -> None:
        import adbc_driver_manager as adbc
        import adbc_driver_postgresql as driver
        import pyarrow as pa

        with ExitStack() as opened:
            try:
                database = opened.enter_context(driver.connect(self.target))
                connection = opened.enter_context(adbc.AdbcConnection(database))
            except adbc.Error as error:
                raise unreachable(self.target, error) from None  # the cause may print the DSN
            statement = opened.enter_context(adbc.AdbcStatement(connection))
            for setting in SESSION:
                statement.set_sql_query(setting)
                statement.execute_update()
            statement.set_options(**{driver.StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)})
            statement.set_sql_query(self.text)
            with self.running:
                if self.stopped.is_set():
                    return
                self.statement = statement
            try:
                handle, _ = statement.execute_query()
                reader = opened.enter_context(pa.RecordBatchReader.from_stream(handle))
                self._hand_over_all(reader)
            except (adbc.Error, pa.ArrowException, OSError) as error:
                raise StoreError(f"{self.what}: {_advice(error)}") from error
            finally:
                with self.running:
                    self.statement = None

    def _hand_over_all(self, reader: pa.RecordBatchReader) -> None:
        import pyarrow as pa

        seen = False
        for batch in reader:
            seen = True
            self._hand_over(batch)
            del batch
            if self.stopped.is_set():
                return
        if not seen:
            self._hand_over(pa.RecordBatch.from_pylist([], schema=reader.schema))

    def _hand_over(self, item: Item) -> None:
        while not self.stopped.is_set():
            with suppress(queue.Full):
                self.items.put(item, timeout=WAKE_S)
                return


def _advice(error: Exception) -> str:
    if getattr(error, "sqlstate", None) in ("42P01", "3F000"):  # undefined table, invalid schema
        return "the schema is not there or is old; run `gaugebook db migrate`"
    return _message(error)


def _message(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if "ERROR:  " in line or "FATAL:  " in line]
    line = (lines or str(error).splitlines() or ["no answer"])[0]
    return line.rpartition("ERROR:  ")[2].rpartition("FATAL:  ")[2].strip()
