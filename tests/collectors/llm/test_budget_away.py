"""The ledger is away, hangs, comes back: the switch says what becomes of calls, and none of them waits for long."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from psycopg.conninfo import make_conninfo

from collectors.llm.budget import Budgets, Lease, Refusal, guard, ledger
from collectors.llm.budget.declare import put, standings
from store.connect import connect
from store.settings import Settings, load
from tests.collectors.llm.budget_race import CALL, ask
from tests.servers import free_port
from tests.store.faults import administration


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where somebody takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def away(port: int, switch: str) -> Budgets:
    return Budgets(load(dsn=make_conninfo(host="127.0.0.1", port=port, user="me"), llm_budgets=switch))


@pytest.mark.parametrize("switch", ["fail_open", "fail_closed"])
def test_nobody_is_there(caplog, switch):
    budgets = away(free_port(), switch)
    began = time.monotonic()
    answers = [budgets.reserve(ask("search")) for _ in range(100)]
    assert time.monotonic() - began < 1
    budgets.close(0.1)
    if switch == "fail_open":
        assert answers == [None] * 100
        assert budgets.counts == {"unguarded": 100}
    else:
        assert all(isinstance(answer, Refusal) and answer.why == "no_ledger" for answer in answers)
        assert "the ledger of budgets cannot be reached" in answers[0].message
        assert budgets.counts == {"refused": 100}
    assert (
        len([record for record in caplog.records if "the ledger of budgets cannot be reached" in record.message]) == 1
    )


def test_somebody_is_there_who_says_nothing(silent, monkeypatch):
    monkeypatch.setattr(ledger, "WAIT_S", 2.0)  # the shortest that libpq knows
    budgets = away(silent, "fail_open")
    began = time.monotonic()
    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(budgets.reserve, [ask("search")] * 40)) == [None] * 40
    assert time.monotonic() - began < 8
    budgets.close(0.1)


def cut(store: Settings) -> None:
    with administration(store) as boss:
        boss.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gaugebook' AND pid <> pg_backend_pid()"
        )


def test_connections_that_were_cut_are_made_anew(store):
    put(store, "b", limit_usd=Decimal(1))
    budgets = Budgets(store.model_copy(update={"llm_budgets": "fail_closed"}))
    lease = budgets.reserve(ask("search"))
    cut(store)
    again = budgets.reserve(ask("search"))
    assert isinstance(again, Lease)
    cut(store)
    for one in (lease, again):
        budgets.settle(one, CALL)
    assert budgets.flush()
    budgets.close()
    (stands,) = standings(store)
    assert (stands.spent_usd, stands.reserved_usd) == (2 * CALL, 0)


def test_a_ledger_that_hangs_is_given_up_and_comes_back(store, monkeypatch, caplog):
    put(store, "b", limit_usd=Decimal(1))
    monkeypatch.setattr(ledger, "WAIT_S", 0.5)
    monkeypatch.setattr(guard, "AWAY_S", 0.5)
    budgets = Budgets(store.model_copy(update={"llm_budgets": "fail_open"}))
    lease = budgets.reserve(ask("search"))
    with connect(store) as connection:
        connection.execute("SELECT FROM analytics.budget_periods FOR UPDATE")
        began = time.monotonic()
        assert budgets.reserve(ask("search")) is None
        assert 0.4 < time.monotonic() - began < 2
        assert budgets.reserve(ask("search")) is None
        budgets.settle(lease, CALL)
        assert not budgets.flush(0.2)
    monkeypatch.setattr(ledger, "WAIT_S", 5.0)
    time.sleep(0.6)
    assert isinstance(budgets.reserve(ask("search")), Lease)
    assert budgets.flush()
    assert "the ledger of budgets answers again" in caplog.text
    budgets.close()
    (stands,) = standings(store)
    assert stands.spent_usd == CALL  # the reservation that was given up was taken back
    assert stands.reserved_usd in (CALL, 2 * CALL)  # unless it came after that: then it expires


def test_a_database_without_a_ledger(empty_database, caplog):
    budgets = Budgets(empty_database.model_copy(update={"llm_budgets": "fail_open"}))
    assert budgets.reserve(ask("search")) is None
    budgets.close()
    assert "run `gaugebook db migrate`" in caplog.text


def test_a_call_that_cannot_be_asked_about_harms_no_other(store):
    put(store, "b", limit_usd=Decimal(1))
    budgets = Budgets(store.model_copy(update={"llm_budgets": "fail_closed"}))
    assert budgets.reserve(ask("a\0b")).why == "no_ledger"
    assert isinstance(budgets.reserve(ask("search")), Lease)
    budgets.close()
