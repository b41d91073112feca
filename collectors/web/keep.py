"""Keeps rows: on disk before a request is answered, and from there in the database."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from collectors.web.refusal import Refusal
from store.deliver import Delivery
from store.errors import SpoolError
from store.settings import Settings
from store.spool import Spool
from store.tally import Tally

log = logging.getLogger(__name__)

FULL = 0.75  # of the bound of the spool: with a delivered segment, an eighth, nothing is dropped that was taken
ROW_BYTES = 1_000  # in the spool, more than they usually are
FULL_RETRY_S, DISK_RETRY_S = 30, 5
EXIT_S = 5.0


class Keeper:
    """The spool of a server and its delivery.

    Unlike `StoreSink` it says so when a row cannot be kept: the sender then keeps it, and tries again.

    Args:
        settings: names the database and the spool.
        tally: is told what becomes of the rows.
        collector: names the spool.

    Raises:
        SpoolError: the folder of the spool cannot be used.
    """

    def __init__(self, settings: Settings, tally: Tally, collector: str) -> None:
        self._limit = settings.spool_mb << 20
        self._spool = Spool(
            settings.spool or settings.home / "spool",
            collector,
            limit_bytes=self._limit,
            fsync=settings.spool_fsync,
            tally=tally,
        )
        tally.watch(self._spool.waiting)
        self._delivery = Delivery(settings, self._spool, tally)

    def waiting_rows(self) -> int:
        """Rows that wait for the database."""
        return self._spool.waiting().rows

    def has_room(self, rows: int = 1) -> bool:
        """Whether so many rows more may wait for the database."""
        return self._spool.waiting().size + ROW_BYTES * rows <= FULL * self._limit

    def keep(self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[object]]) -> None:
        """Write rows of `table` to the spool; when this returns they survive the end of this process.

        Raises:
            Refusal: they cannot be kept now.
        """
        if not rows:
            return
        if not self.has_room(len(rows)):
            text = "rows wait for the database and their disk space is used up; try again later"
            raise Refusal(503, "spool", text, retry_after_s=FULL_RETRY_S)
        try:
            self._spool.append(table, columns, rows)
        except SpoolError as error:
            log.warning("rows are refused: %s", error)
            raise Refusal(503, "spool", "rows cannot be kept now", retry_after_s=DISK_RETRY_S) from error

    def flush(self, timeout_s: float) -> bool:
        """Wait until all rows so far are delivered; False when `timeout_s` passes first."""
        return self._delivery.flush(timeout_s)

    def close(self, timeout_s: float = EXIT_S) -> None:
        """Deliver what can be delivered within `timeout_s`; the rest stays in the spool."""
        left = self._delivery.close(timeout_s)
        if left:
            log.warning("%d rows wait in %s and will be delivered at the next start", left, self._spool.where)
