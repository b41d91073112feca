"""Keeps rows: on disk before a request is answered, and from there in the database."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from collectors.llm.record import COLUMNS, TABLE, Request
from collectors.otlp.refusal import Refusal
from collectors.otlp.rows import EVENTS, SPANS
from store.deliver import Delivery
from store.errors import SpoolError
from store.settings import Settings
from store.spool import Spool
from store.tally import Tally

log = logging.getLogger(__name__)

COLLECTOR = "otlp"
FULL = 0.75  # of the bound of the spool: with a delivered segment, an eighth, nothing is dropped that was taken
ROW_BYTES = 1_000  # in the spool, more than they usually are
FULL_RETRY_S, DISK_RETRY_S = 30, 5
EXIT_S = 5.0


class Keeper:
    """The spool of the receiver and its delivery.

    Unlike `StoreSink` it says so when a row cannot be kept: the sender then keeps it, and tries again.

    Raises:
        SpoolError: the folder of the spool cannot be used.
    """

    def __init__(self, settings: Settings, tally: Tally) -> None:
        self._limit = settings.spool_mb << 20
        self._spool = Spool(
            settings.spool or settings.home / "spool",
            COLLECTOR,
            limit_bytes=self._limit,
            fsync=settings.spool_fsync,
            tally=tally,
        )
        tally.watch(self._spool.waiting)
        self._delivery = Delivery(_with_events(settings), self._spool, tally)

    def waiting_rows(self) -> int:
        """Rows that wait for the database."""
        return self._spool.waiting().rows

    def keep(self, rows: Sequence[Request]) -> None:
        """Write `rows` to the spool; when this returns they survive the end of this process.

        Raises:
            Refusal: they cannot be kept now.
        """
        if not rows:
            return
        if self._spool.waiting().size + ROW_BYTES * len(rows) > FULL * self._limit:
            text = "rows wait for the database and their disk space is used up; try again later"
            raise Refusal(503, "spool", text, retry_after_s=FULL_RETRY_S)
        try:
            self._spool.append(TABLE, COLUMNS, [row.values() for row in rows])
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


def _with_events(settings: Settings) -> Settings:
    """The rule of precedence with events right behind spans, where it is about spans at all."""
    sources = settings.source_precedence
    if SPANS not in sources or EVENTS in sources:
        return settings
    behind = sources.index(SPANS) + 1
    return settings.model_copy(update={"source_precedence": (*sources[:behind], EVENTS, *sources[behind:])})
