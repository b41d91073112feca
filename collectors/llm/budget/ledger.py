"""The ledger of budgets in the database: one round trip a question, and never a long wait for the answer."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import class_row
from psycopg.waiting import Ready, Wait

from collectors import forks
from store.connect import ALIVE, conninfo, unreachable
from store.errors import GaugebookError
from store.migrate import migrate
from store.settings import Settings

T = TypeVar("T")

CONNECTIONS = 5  # what 50 threads need to wait for each other's turn in the database, and not for its answers
WAIT_S = 5.0
_SESSION = """
    SET TIME ZONE 'UTC'; SET statement_timeout = '4s'; SET default_transaction_isolation = 'read committed';
    SET idle_in_transaction_session_timeout = '10s'
"""
_RESERVE = "SELECT * FROM analytics.reserve(%s::uuid, %s, %s, %s, %s, %s::numeric, %s::numeric, %s::integer)"
_SETTLE = "SELECT * FROM analytics.settle(%s::uuid[], %s::numeric[])"
_LEFT = "SELECT * FROM analytics.budgets_left(%s::text[])"

_inherited: list[psycopg.Connection[Any]] = []  # of the parent, who goes on using them


class NoLedger(Exception):
    """The ledger did not answer as it should.

    `sent`: the question may have been carried out. `again`: worth asking once more at once.
    `away`: the next question will hardly fare better.
    """

    def __init__(self, reason: str, *, sent: bool = False, again: bool = False, away: bool = True) -> None:
        super().__init__(reason)
        self.sent, self.again, self.away = sent, again, away


@dataclass(frozen=True, slots=True)
class Reserved:
    """What `analytics.reserve` said; the lists belong together, and have one entry per budget that it tells of."""

    outcome: str
    granted_usd: Decimal | None
    names: list[str] | None
    limits_usd: list[Decimal] | None
    spent_usd: list[Decimal] | None
    held_usd: list[Decimal] | None
    resets_at: list[datetime] | None
    first_refusal: bool
    webhook_url: str | None
    stale: bool

    def standings(self) -> list[Standing]:
        """How those budgets stand."""
        columns = (self.names, self.limits_usd, self.spent_usd, self.held_usd, self.resets_at)
        return [
            Standing(name, limit, limit - spent - held, resets)
            for name, limit, spent, held, resets in zip(*(column or () for column in columns), strict=False)
        ]


@dataclass(frozen=True, slots=True)
class Settled:
    """How a budget stands after its calls were settled; `level`: the soft limit that it has just reached."""

    name: str
    period: str
    limit_usd: Decimal
    spent_usd: Decimal
    held_usd: Decimal
    resets_at: datetime
    level: Decimal | None
    webhook_url: str | None

    def standing(self) -> Standing:
        return Standing(self.name, self.limit_usd, self.limit_usd - self.spent_usd - self.held_usd, self.resets_at)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a budget (USD) until it resets (UTC)."""

    name: str
    limit_usd: Decimal
    left_usd: Decimal
    resets_at: datetime


class Ledger:
    """The four functions of the ledger. Threads share a few connections; a forked child makes its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._migrated = settings.dsn is not None  # what a DSN names is somebody's, who migrates it himself
        self.after_fork()
        forks.follow(self)

    def reserve(
        self,
        lease: UUID,
        scope: tuple[str, str, str, str | None],
        most_usd: Decimal | None,
        least_usd: Decimal | None,
        lasts_s: int,
    ) -> Reserved:
        """Reserve for a call of `scope`: team, project, model and key.

        Raises:
            NoLedger: it could not be asked, or did not answer in time.
        """
        return self._ask(Reserved, _RESERVE, (lease, *scope, most_usd, least_usd, lasts_s))[0]

    def settle(self, leases: Sequence[UUID], costs_usd: Sequence[Decimal | None]) -> list[Settled]:
        """Book what calls have cost; may be repeated. Raises as `reserve`."""
        values = (list(leases), list(costs_usd))
        try:
            return self._ask(Settled, _SETTLE, values)
        except NoLedger as error:
            if not error.again:
                raise
        return self._ask(Settled, _SETTLE, values)

    def expire(self) -> None:
        """Book leases that have expired. Raises as `reserve`."""
        with self._borrowed() as connection:
            connection.execute("SELECT analytics.expire_leases()")

    def left(self, names: Sequence[str]) -> list[Standing]:
        """How those budgets stand that are still there. Raises as `reserve`."""
        return self._ask(Standing, _LEFT, (list(names),))

    def close(self) -> None:
        """End the connections that nobody uses."""
        while self._idle:
            with suppress(IndexError, psycopg.Error):
                self._idle.pop().close()

    def after_fork(self) -> None:
        _inherited.extend(getattr(self, "_all", ()))
        self._turns = threading.Semaphore(CONNECTIONS)
        self._idle: list[psycopg.Connection[Any]] = []
        self._all: set[psycopg.Connection[Any]] = set()
        self._preparing = threading.Lock()

    def _ask(self, row: type[T], question: LiteralString, values: Sequence[object]) -> list[T]:
        with self._borrowed() as connection, connection.cursor(row_factory=class_row(row)) as cursor:
            return cursor.execute(question, values).fetchall()

    @contextmanager
    def _borrowed(self) -> Iterator[psycopg.Connection[Any]]:
        if not self._turns.acquire(timeout=WAIT_S):
            raise NoLedger("all connections are busy")
        try:
            connection = self._connected()
            healthy = False
            try:
                yield connection
                healthy = True
            except psycopg.DataError as error:
                healthy = True  # of this question alone
                raise NoLedger(_told(error), away=False) from error
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure) as error:
                healthy = True
                raise NoLedger(_told(error), again=True, away=False) from error
            except psycopg.Error as error:
                healthy = not connection.closed and not isinstance(error, NoAnswer)
                if lost := connection.closed:  # the server was started anew, perhaps: the others are of no use either
                    self.close()
                raise NoLedger(_told(error), sent=not healthy, again=lost) from error
            finally:
                if healthy:
                    self._idle.append(connection)
                else:
                    self._all.discard(connection)
                    connection.close()
        finally:
            self._turns.release()

    def _connected(self) -> psycopg.Connection[Any]:
        with suppress(IndexError):
            while (connection := self._idle.pop()).closed:
                self._all.discard(connection)
            return connection
        try:
            with self._preparing:
                if not self._migrated:
                    migrate(self._settings)
                    self._migrated = True
                target = conninfo(self._settings)
            known = {**ALIVE, **conninfo_to_dict(target)}
            known["connect_timeout"] = min(int(known.get("connect_timeout") or WAIT_S), int(WAIT_S))
            try:
                made = Punctual.connect(make_conninfo(**known), autocommit=True)
            except psycopg.OperationalError as error:
                raise unreachable(target, error) from None
            made.execute(_SESSION)
        except (GaugebookError, psycopg.Error, OSError) as error:
            raise NoLedger(_told(error)) from error
        self._all.add(made)
        return made


class NoAnswer(psycopg.OperationalError):
    """The server did not answer in time."""


class Punctual(psycopg.Connection[Any]):
    """A connection whose every answer has to come within `WAIT_S`: a server that hangs keeps the network alive."""

    def wait(self, gen: PQGen[T], interval: float = 0, timeout: float | None = None) -> T:
        del interval
        end = time.monotonic() + (WAIT_S if timeout is None else timeout)
        poll = select.poll()
        try:
            wanted = next(gen)
            while True:
                reads, writes = bool(wanted & Wait.R), bool(wanted & Wait.W)
                poll.register(self.pgconn.socket, reads * select.POLLIN | writes * select.POLLOUT)
                happened = poll.poll(max(0.0, end - time.monotonic()) * 1000)
                if not happened:
                    raise NoAnswer(f"no answer within {WAIT_S:g} s")
                writable = bool(happened[0][1] & select.POLLOUT)
                readable = bool(happened[0][1] & ~select.POLLOUT)  # an error is met by reading
                wanted = gen.send(Ready.RW if writable and readable else Ready.W if writable else Ready.R)
        except StopIteration as ended:
            answer: T = ended.value
            return answer


def _told(error: Exception) -> str:
    reason = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, psycopg.errors.UndefinedFunction | psycopg.errors.InvalidSchemaName):
        return f"{reason}: run `gaugebook db migrate`"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"{reason}: run `gaugebook db roles`, and make this role a member of gaugebook_writer"
    return reason
