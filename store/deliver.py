"""Delivers what waits in a backlog to the database, in the background: at least once, which the writer makes once."""

from __future__ import annotations

import errno
import logging
import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from store.backlog import Backlog
from store.connect import connect
from store.deadletter import DeadLetters
from store.errors import GaugebookError, UnknownName
from store.migrate import migrate
from store.packing import Rows
from store.settings import Settings
from store.spool import Record
from store.tally import Tally
from store.write import Precedence, Rejected, Written, write

log = logging.getLogger(__name__)

BATCH_ROWS = 10_000
FEWEST_ROWS = 100
BATCH_BYTES = 16 << 20
BATCH_S = 1.0  # a batch of the right size takes this long to write
LINGER_S = 1.0  # how long the first row of a batch waits for others
WRITE_LIMIT_S = 60.0  # then the network is taken for dead, and the connection is cut
FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 30.0
END_S = 1.0
_NEVER_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)

# A server that loses us must let go of our locks, or we would wait for ourselves when we are back.
_SESSION = """
    SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
    SET idle_in_transaction_session_timeout = '30s'
"""

# Errors of the server, of the connection or of the schema, which other rows would meet as well: they are waited out.
_PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedObject,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.InsufficientPrivilege,
    GaugebookError,
    OSError,
    MemoryError,
)
_OF_THE_ROW = (psycopg.errors.ProgramLimitExceeded, psycopg.errors.StatementTooComplex)  # as a key of 10 kB


class Delivery:
    """A daemon thread that empties `backlog` into the database that `settings` name. It closes the backlog at its end.

    The embedded database is migrated first; one that a DSN names is somebody's, and rows wait until they have done it.

    Args:
        settings: names the database and the folder of dead letters.
        backlog: where rows wait.
        tally: is told what becomes of them.
        batch_rows: rows of a batch, at most.
        linger_s: seconds that the first row of a batch waits for others, at most.
    """

    def __init__(
        self,
        settings: Settings,
        backlog: Backlog,
        tally: Tally,
        *,
        batch_rows: int = BATCH_ROWS,
        linger_s: float = LINGER_S,
    ) -> None:
        self._settings, self._backlog, self._tally = settings, backlog, tally
        self._precedence = Precedence.of(settings)
        self._most_rows = self._rows = batch_rows
        self._linger_s = linger_s
        self._retry_s = FIRST_RETRY_S
        self._hurried = 0  # flushes that wait
        self._wake = self._closing = self._away = False
        self._ahead: list[Record] = []  # read while the batch before them was written
        self.connection: psycopg.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="gaugebook-delivery", daemon=True)
        self._thread.start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that waits now is delivered; False when `timeout_s` passes first."""
        mark, changed = self._backlog.mark(), self._backlog.changed
        with changed:
            self._hurried += 1
            self._wake = True
            changed.notify_all()
            try:
                return changed.wait_for(lambda: self._backlog.delivered(mark), timeout_s)
            finally:
                self._hurried -= 1

    def close(self, timeout_s: float) -> int:
        """Deliver what can be delivered within `timeout_s`, then end. Returns how many rows still wait."""
        self.flush(timeout_s)
        with self._backlog.changed:
            left = self._backlog.waiting().rows
            self._closing = self._wake = True
            self._backlog.changed.notify_all()
        self._thread.join(END_S)  # it may be in the middle of a batch; it ends by itself after it
        return left

    def _run(self) -> None:
        try:
            while not self._closing:
                try:
                    delivered = self._deliver(self._gather())
                except Exception:  # nothing should come here; a thread that died would keep all rows from the database
                    log.exception("the delivery stumbled")
                    delivered = False
                if not delivered:
                    self._ahead = []
                    self._backlog.rewind()
                    self._back_off()
        finally:
            self._disconnect()
            self._backlog.rewind()
            self._backlog.close()

    def _gather(self) -> list[Record]:
        """Records for a batch: waits for the first, and a little for more. None when it is time to end."""
        records, self._ahead = self._ahead, []
        until = time.monotonic() + self._linger_s if records else 0.0
        while not self._read(records):
            if records and not until:
                until = time.monotonic() + self._linger_s
            with self._backlog.changed:
                left_s = until - time.monotonic() if records else None
                if self._closing or (left_s is not None and (self._hurried or left_s <= 0)):
                    break
                if self._backlog.empty():
                    self._backlog.changed.wait(left_s)
        return records

    def _read(self, records: list[Record]) -> bool:
        """Add to `records` what can be read now; whether they are enough for a batch."""
        rows, size = sum(len(record.rows) for record in records), sum(record.size for record in records)
        while rows < self._rows and size < BATCH_BYTES:
            record = self._backlog.read()
            if record is None:
                return False
            records.append(record)
            rows, size = rows + len(record.rows), size + record.size
        return True

    @contextmanager
    def _reading_ahead(self) -> Iterator[None]:
        """Read the next batch meanwhile: most of the time of a write is the server's."""
        if self._backlog.empty():
            yield
            return
        reader = threading.Thread(target=self._read_ahead, name="gaugebook-read-ahead", daemon=True)
        reader.start()
        try:
            yield
        finally:
            reader.join()

    def _read_ahead(self) -> None:
        with suppress(Exception):  # it meets whoever reads next
            self._read(self._ahead)

    def _deliver(self, records: list[Record]) -> bool:
        """Write `records` and acknowledge them; False where they have to wait."""
        if not records:
            return True
        try:
            with self._reading_ahead():
                self._write_all(records)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live and the rows must wait
            self._went_away(error)
            return False
        self._backlog.acknowledge(records[-1])
        if self._away:
            log.warning("the database takes rows again: those that waited in %s are written", self._backlog.where)
        self._away, self._retry_s = False, FIRST_RETRY_S
        return True

    def _write_all(self, records: list[Record]) -> None:
        refused: list[tuple[str, tuple[str, ...], tuple[Rejected, ...]]] = []
        for (table, columns), rows in _by_table(records).items():
            start = 0
            while start < len(rows):
                # In equal parts: a batch that is a little too long must not leave a short one behind.
                parts = max(1, round((len(rows) - start) / self._rows))
                batch = rows[start : start + math.ceil((len(rows) - start) / parts)]
                written = self._sized(table, columns, batch)
                self._tally.wrote(table, written.written)
                refused.append((table, columns, written.rejected))
                start += len(batch)
        for table, columns, rejected in refused:
            self._refuse(table, columns, rejected)

    def _sized(self, table: str, columns: tuple[str, ...], rows: Rows) -> Written:
        """Write `rows`, and learn how many fit into the time of a batch."""
        connection = self._connected()
        began = time.monotonic()
        try:
            written = self._write(connection, table, columns, rows)
        except psycopg.Error:
            self._rows = max(FEWEST_ROWS, self._rows // 2)  # it may have been too much for a time limit
            raise
        took_s = max(time.monotonic() - began, 1e-6)
        if took_s > BATCH_S or 2 * len(rows) >= self._rows:  # what is small and quick says nothing of more
            self._rows = min(self._most_rows, max(FEWEST_ROWS, int(len(rows) * BATCH_S / took_s)))
        return written

    def _write(self, connection: psycopg.Connection, table: str, columns: tuple[str, ...], rows: Rows) -> Written:
        try:
            with _limited(connection):
                return write(connection, table, columns, rows, precedence=self._precedence)
        except Exception as error:
            if connection.closed or (isinstance(error, _PASSING) and not isinstance(error, _OF_THE_ROW)):
                raise
            connection.rollback()
            if len(rows) == 1:
                return Written(rejected=(Rejected(rows[0], f"{type(error).__name__}: {_first_line(error)}"),))
        # One row that cannot be written must neither block the rest for ever nor take it along.
        middle = len(rows) // 2
        return self._write(connection, table, columns, rows[:middle]) + self._write(
            connection, table, columns, rows[middle:]
        )

    def _refuse(self, table: str, columns: tuple[str, ...], rejected: tuple[Rejected, ...]) -> None:
        if not rejected:
            return
        letters = DeadLetters.of(self._settings)
        text = "%s refused %d rows, the first because %s; they are kept in %s for `gaugebook db replay`"
        try:
            letters.keep(table, columns, rejected)
        except OSError as error:
            if error.errno not in _NEVER_WRITABLE:
                raise  # there may be room later
            text = "%s refused %d rows, the first because %s; they are lost, since nothing can be written in %s"
            self._tally.dropped(len(rejected), "unkept")
        self._tally.rejected(table, len(rejected))
        log.warning(text, table, len(rejected), rejected[0].reason, letters.folder)

    def _connected(self) -> psycopg.Connection:
        if self.connection is None or self.connection.closed:
            if self._settings.dsn is None:
                migrate(self._settings)
            self.connection = connect(self._settings, autocommit=True)
            self.connection.execute(_SESSION)
        return self.connection

    def _went_away(self, error: Exception) -> None:
        self._disconnect()
        self._tally.failed()
        if not self._away:
            reason = _first_line(error)
            if isinstance(error, psycopg.ProgrammingError | UnknownName):
                reason += "; does it need `gaugebook db migrate`?"
            log.warning("the database takes no rows; they wait in %s: %s", self._backlog.where, reason)
        self._away = True

    def _back_off(self) -> None:
        with self._backlog.changed:
            self._backlog.changed.wait_for(lambda: self._wake, self._retry_s)
            self._wake = False
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)

    def _disconnect(self) -> None:
        if self.connection is not None:
            with suppress(psycopg.Error):
                self.connection.close()
            self.connection = None


def _by_table(records: list[Record]) -> dict[tuple[str, tuple[str, ...]], Rows]:
    found: dict[tuple[str, tuple[str, ...]], list[Record]] = {}
    for record in records:
        found.setdefault((record.table, record.columns), []).append(record)
    return {
        key: of_it[0].rows if len(of_it) == 1 else [row for record in of_it for row in record.rows]
        for key, of_it in found.items()
    }


@contextmanager
def _limited(connection: psycopg.Connection) -> Iterator[None]:
    timer = threading.Timer(WRITE_LIMIT_S, _cut, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(connection: psycopg.Connection) -> None:
    # A server that has vanished without a word would be waited for until the kernel gives up, or for ever.
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as wire:
        log.warning("no answer from the database for %g s: the connection is cut", WRITE_LIMIT_S)
        wire.shutdown(socket.SHUT_RDWR)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
