"""The guard of budgets on a real ledger: what is reserved, refused, settled, expired and announced."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest

from collectors.llm.budget import Budgets, Lease, Refusal
from collectors.llm.budget.declare import Standing, put, remove, standings
from store import roles
from store.connect import connect
from store.errors import StoreError
from store.settings import Settings
from tests.collectors.llm.budget_race import CALL, ask
from tests.people import person

LIMIT = Decimal("0.10")


@contextmanager
def guarded(store: Settings, **changes: object) -> Iterator[Budgets]:
    budgets = Budgets(store.model_copy(update={"llm_budgets": "fail_closed", "llm_lease_s": 60, **changes}))
    yield budgets
    budgets.close()


def stands(store: Settings, name: str = "b") -> Standing:
    (found,) = [one for one in standings(store) if one.name == name]
    return found


def count(store: Settings, table: str) -> int:
    with connect(store) as connection:
        return int(connection.execute(f"SELECT count(*) FROM analytics.{table}".encode()).fetchone()[0])


def late(store: Settings) -> None:
    """Let all leases be past their expiry."""
    with connect(store) as connection:
        connection.execute("UPDATE analytics.budget_leases SET expires_at = now() - interval '1 second'")


def test_a_call_is_reserved_and_settled(any_store):
    put(any_store, "b", team="search", limit_usd=LIMIT)
    with guarded(any_store) as budgets:
        lease = budgets.reserve(ask("search"))
        assert isinstance(lease, Lease)
        assert (lease.amount_usd, lease.budgets, lease.max_output_tokens) == (CALL, ("b",), None)
        assert (stands(any_store).reserved_usd, stands(any_store).left_usd) == (CALL, LIMIT - CALL)
        assert budgets.left() == {"b": (LIMIT - CALL, LIMIT)}
        budgets.settle(lease, Decimal("0.0123456789"))
        assert budgets.flush()
        assert (stands(any_store).spent_usd, stands(any_store).reserved_usd) == (Decimal("0.0123456789"), 0)
        assert stands(any_store).calls == 1
        assert budgets.left() == {"b": (Decimal("0.0876543211"), LIMIT)}
        budgets.settle(lease, Decimal(1))  # once is enough
        assert budgets.flush()
        assert stands(any_store).spent_usd == Decimal("0.0123456789")
    assert count(any_store, "budget_leases") == 0


def test_a_call_without_room_is_refused_and_told_why(store):
    put(store, "b", team="search", limit_usd=Decimal("0.05"), period="day")
    with guarded(store) as budgets:
        first = budgets.reserve(ask("search"))
        second = budgets.reserve(ask("search"))
        assert isinstance(second, Refusal)
        assert (second.budget, second.limit_usd, second.spent_usd, second.held_usd) == ("b", Decimal("0.05"), 0, CALL)
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        assert second.resets_at == midnight
        assert 0 < second.retry_after_s() <= 86_401
        budgets.settle(first, CALL)
        assert budgets.flush()
        third = budgets.reserve(ask("search"))
        assert "$0.03 of $0.05 is spent, and this one may cost $0.03. " in third.message
        assert budgets.counts == {"reserved": 1, "refused": 2}
        small = budgets.reserve(ask("search", 2000))
        assert small.amount_usd == Decimal("0.02")
    assert stands(store).refused_at is not None


def test_all_budgets_hold_a_call_or_none(store):
    put(store, "team", team="search", limit_usd=Decimal(1))
    put(store, "day", limit_usd=Decimal("0.04"), period="day")
    put(store, "model", model="gpt-4*", limit_usd=Decimal(1))
    with guarded(store) as budgets:
        assert budgets.reserve(ask("search")).budgets == ("team", "day", "model")
        assert budgets.reserve(ask("search")).budget == "day"
        assert [stands(store, name).reserved_usd for name in ("team", "day", "model")] == [CALL] * 3
    assert count(store, "budget_leases") == 1


@pytest.mark.parametrize(
    ("scope", "counts"),
    [
        ({}, True),
        ({"team": "search"}, True),
        ({"team": "Search"}, False),
        ({"team": "search", "project": "p"}, True),
        ({"team": "search", "project": "q"}, False),
        ({"model": "gpt-4o"}, True),
        ({"model": "gpt-4"}, False),
        ({"model": "gpt*o"}, True),
        ({"model": "gpt_4o"}, False),
        ({"model": "%"}, False),
        ({"model": "*4o", "key": "0a1b2c3d"}, True),
        ({"key": "ffffffff"}, False),
    ],
)
def test_what_a_budget_counts(store, scope, counts):
    put(store, "b", limit_usd=LIMIT, **scope)
    with guarded(store) as budgets:
        assert isinstance(budgets.reserve(ask("search", key="0a1b2c3d")), Lease) is counts


def test_calls_without_a_key_count_against_no_budget_of_a_key(store):
    put(store, "b", limit_usd=LIMIT, key="0a1b2c3d")
    with guarded(store) as budgets:
        assert budgets.reserve(ask("search")) is None


def test_where_no_budget_counts_the_ledger_is_left_in_peace(store):
    with guarded(store) as budgets:
        assert budgets.reserve(ask("search")) is None
        put(store, "b", limit_usd=Decimal(0))
        assert budgets.reserve(ask("search")) is None
        assert isinstance(budgets.reserve(ask("another")), Refusal)
        budgets._free.clear()
        assert isinstance(budgets.reserve(ask("search")), Refusal)


def test_off_disabled_and_removed(store):
    put(store, "b", limit_usd=Decimal(0))
    with guarded(store, llm_budgets="off") as budgets:
        assert budgets.reserve(ask("search")) is None
    put(store, "b", enabled=False)
    with guarded(store) as budgets:
        assert budgets.reserve(ask("search")) is None
    put(store, "b", enabled=True)
    remove(store, "b")
    with guarded(store) as budgets:
        assert budgets.reserve(ask("search")) is None


def test_a_cost_that_nobody_knows_is_the_worst_case(store):
    put(store, "b", limit_usd=LIMIT)
    with guarded(store) as budgets:
        for cost in (None, Decimal("NaN"), Decimal(-1)):
            budgets.settle(budgets.reserve(ask("search")), cost)
        assert budgets.flush()
    assert stands(store).spent_usd == 3 * CALL


def test_more_than_the_worst_case_is_booked_and_shown(store, caplog):
    put(store, "b", limit_usd=LIMIT)
    with guarded(store) as budgets:
        budgets.settle(budgets.reserve(ask("search")), Decimal("0.15"))
        assert budgets.flush()
        assert budgets.counts["overrun"] == 1
        assert budgets.left() == {"b": (Decimal(0), LIMIT)}
    assert (stands(store).spent_usd, stands(store).overrun_usd) == (Decimal("0.15"), Decimal("0.12"))
    assert "a call cost $0.15, and no more than $0.03" in caplog.text


def test_a_lease_that_expires_is_booked_at_its_worst_case(any_store):
    put(any_store, "b", limit_usd=LIMIT)
    with guarded(any_store) as budgets:
        leases = [budgets.reserve(ask("search")) for _ in range(3)]
        late(any_store)
        assert isinstance(budgets.reserve(ask("search")), Refusal)  # it frees nothing
        assert (stands(any_store).spent_usd, stands(any_store).reserved_usd) == (3 * CALL, 0)
        assert (stands(any_store).expired_usd, stands(any_store).calls) == (3 * CALL, 3)
        assert count(any_store, "budget_leases") == 0
        budgets.settle(leases[0], Decimal("0.01"))  # it only took its time
        budgets.settle(leases[1], None)
        assert budgets.flush()
        assert (stands(any_store).spent_usd, stands(any_store).expired_usd) == (Decimal("0.07"), 2 * CALL)
        assert stands(any_store).calls == 3


def test_expired_leases_are_noticed_by_the_next_call(store):
    put(store, "b", limit_usd=Decimal(1))
    with guarded(store) as budgets:
        budgets.reserve(ask("search"))
        late(store)
        budgets.reserve(ask("search"))
        assert budgets.flush()
    assert count(store, "budget_leases") == 1


def test_a_process_looks_after_its_leases_while_it_waits(store):
    put(store, "b", limit_usd=LIMIT)
    with guarded(store, llm_lease_s=1) as budgets:
        budgets.reserve(ask("search"))
        end = time.monotonic() + 10
        while count(store, "budget_leases"):
            assert time.monotonic() < end
            time.sleep(0.05)
        put(store, "b", limit_usd=Decimal(5))
        while budgets.left() != {"b": (Decimal(5) - CALL, Decimal(5))}:
            assert time.monotonic() < end
            time.sleep(0.05)
        remove(store, "b")
        while budgets.left():
            assert time.monotonic() < end
            time.sleep(0.05)


def test_what_is_left_allows_fewer_tokens(store):
    put(store, "b", limit_usd=Decimal("0.05"))
    with guarded(store, llm_fit_max_tokens=True) as budgets:
        assert budgets.reserve(ask("search")).max_output_tokens is None
        cut = budgets.reserve(ask("search", input_tokens=2000))  # $0.005 of input
        assert (cut.amount_usd, cut.max_output_tokens) == (Decimal("0.02"), 1500)
        assert isinstance(budgets.reserve(ask("search")), Refusal)
        budgets.settle(cut, Decimal("0.0175"))
        assert budgets.flush()
        assert isinstance(budgets.reserve(ask("search")), Refusal)  # 250 tokens are no answer
        assert isinstance(budgets.reserve(ask("search", 200)), Lease)


def test_a_call_that_names_no_maximum(store):
    put(store, "b", limit_usd=Decimal(1))
    with guarded(store) as budgets:
        refusal = budgets.reserve(ask("search", None))
        assert "may cost $1.28 (it names no maximum: 128,000 output tokens)" in refusal.message
    with guarded(store, llm_max_output_tokens=1000) as budgets:
        assert budgets.reserve(ask("search", None)).amount_usd == Decimal("0.01")
        assert budgets.reserve(ask("search", -1, answers=3)).amount_usd == CALL  # -1: Ollama's way to say nothing


def test_a_call_without_a_price(store):
    put(store, "b", team="search", limit_usd=LIMIT)
    unknown = replace(ask("search"), model="nobody-knows")
    with guarded(store) as budgets:
        assert budgets.reserve(unknown) is None
        assert budgets.counts == {"unpriced": 1}
    with guarded(store, llm_unpriced="refuse") as budgets:
        refusal = budgets.reserve(unknown)
        assert (refusal.budget, refusal.why) == ("b", "unpriced")
        assert "the price of 'nobody-knows' is not known" in refusal.message
        assert budgets.reserve(replace(unknown, team="another")) is None


def test_periods_are_days_and_months_of_utc(store):
    with connect(store) as connection:
        connection.execute("SET TIME ZONE 'America/New_York'")
        for moment, period, starts, ends in (
            ("2026-03-31 23:59:59.999Z", "day", "2026-03-31Z", "2026-04-01Z"),
            ("2026-03-31 23:59:59.999Z", "month", "2026-03-01Z", "2026-04-01Z"),
            ("2026-04-01 00:00:00Z", "day", "2026-04-01Z", "2026-04-02Z"),
            ("2024-02-29 12:00:00Z", "month", "2024-02-01Z", "2024-03-01Z"),
            ("2026-12-31 12:00:00Z", "month", "2026-12-01Z", "2027-01-01Z"),
        ):
            found = connection.execute(
                "SELECT starts_at = %s::timestamptz, ends_at = %s::timestamptz FROM analytics.budget_span(%s, %s::timestamptz)",
                [starts, ends, period, moment],
            ).fetchone()
            assert found == (True, True), moment


def test_a_new_period_begins_at_nothing(store):
    """The clock is the database's: what stands in the ledger becomes yesterday's."""
    put(store, "b", limit_usd=LIMIT, period="day")
    with guarded(store) as budgets:
        lease = budgets.reserve(ask("search"))
        with connect(store) as connection:
            for table in (
                "budget_periods SET ends_at = ends_at - interval '1 day', starts_at = starts_at",
                "budget_leases SET starts_at[1] = starts_at[1]",
            ):
                connection.execute(f"UPDATE analytics.{table} - interval '1 day'".encode())
        assert stands(store).reserved_usd == 0
        budgets.reserve(ask("search"))
        budgets.settle(lease, CALL)  # it belongs to the day that it began in
        assert budgets.flush()
        assert (stands(store).spent_usd, stands(store).reserved_usd) == (0, CALL)
        assert budgets.left() == {"b": (LIMIT - CALL, LIMIT)}
    with connect(store) as connection:
        assert connection.execute("SELECT settled_usd FROM analytics.budget_periods ORDER BY starts_at").fetchall() == [
            (CALL,),
            (0,),
        ]


def test_a_forked_child_goes_on_by_itself(store):
    put(store, "b", limit_usd=Decimal(1))
    with guarded(store) as budgets:
        budgets.settle(budgets.reserve(ask("search")), CALL)
        assert budgets.flush()
        if not (child := os.fork()):
            code = 1
            try:
                lease = budgets.reserve(ask("search"))
                budgets.settle(lease, CALL)
                code = 0 if budgets.flush() and budgets.counts["reserved"] == 1 else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        budgets.settle(budgets.reserve(ask("search")), CALL)
        assert budgets.flush()
    assert stands(store).spent_usd == 3 * CALL


def test_no_ledger_takes_nonsense(store):
    put(store, "b", limit_usd=LIMIT)
    lease = uuid4()
    with connect(store, autocommit=True) as connection:
        reserve = "SELECT * FROM analytics.reserve(%s, 't', 'p', 'm', NULL, %s::numeric, %s::numeric, %s)"
        for most, least, lasts in (
            ("-1", "-1", 60),
            ("NaN", "NaN", 60),
            ("1", "2", 60),
            ("Infinity", "0", 60),
            ("1", "1", 0),
        ):
            with pytest.raises(psycopg.errors.InvalidParameterValue):
                connection.execute(reserve, [lease, most, least, lasts])
        connection.execute(reserve, [lease, "0.01", "0.01", 60])
        for cost in ("-0.01", "NaN", "Infinity"):
            with pytest.raises(psycopg.errors.InvalidParameterValue):
                connection.execute("SELECT * FROM analytics.settle(ARRAY[%s], ARRAY[%s::numeric])", [lease, cost])
    assert stands(store).reserved_usd == Decimal("0.01")


@contextmanager
def logged_in(store: Settings, kind: str, *teams: str) -> Iterator[psycopg.Connection]:
    roles.ensure(store)
    with connect(store, autocommit=True) as connection, person(connection, kind, f"gaugebook_{kind}") as name:
        if teams:
            roles.grant(store, name, teams)
        connection.execute(f"SET SESSION AUTHORIZATION {name}".encode())
        yield connection


RESERVE = "SELECT outcome FROM analytics.reserve(gen_random_uuid(), 'search', 'p', 'm', NULL, 0.01, 0.01, 60)"
LEDGER = ("budgets", "budget_periods", "budget_leases", "budget_expired", "budget_status")


def test_a_writer_books_and_changes_nothing(any_store):
    put(any_store, "b", team="search", limit_usd=LIMIT, webhook_url="https://hooks.example/s3cret")
    with logged_in(any_store, "writer") as writer:
        for put_on in ("RESET ROLE", "SET ROLE gaugebook_writer"):
            writer.execute(put_on.encode())
            assert writer.execute(RESERVE).fetchone() == ("reserved",)
            writer.execute("SELECT analytics.expire_leases()")
            assert writer.execute("SELECT left_usd > 0 FROM analytics.budgets_left('{b}')").fetchone() == (True,)
            for statement in (
                "UPDATE analytics.budgets SET limit_usd = 100",
                "UPDATE analytics.budget_periods SET settled_usd = 0",
                "DELETE FROM analytics.budget_leases",
                "INSERT INTO analytics.budgets (name, period, limit_usd) VALUES ('mine', 'day', 1)",
                *(f"SELECT * FROM analytics.{table}" for table in LEDGER),
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    writer.execute(statement.encode())


def test_a_reader_sees_the_budgets_of_its_teams_and_books_nothing(any_store):
    for team in ("search", "payments", None):
        put(any_store, f"of {team}", team=team, limit_usd=LIMIT, webhook_url="https://hooks.example/s3cret")
    with guarded(any_store) as budgets:
        assert isinstance(budgets.reserve(ask("search")), Lease)
    with logged_in(any_store, "reader", "search") as reader:
        assert reader.execute("SELECT name FROM analytics.budget_status").fetchall() == [("of search",)]
        assert reader.execute("SELECT count(*) FROM analytics.budget_periods").fetchone() == (1,)
        for statement in (
            RESERVE,
            "SELECT * FROM analytics.settle('{}', '{}')",
            "SELECT analytics.expire_leases()",
            "SELECT * FROM analytics.budgets_left('{}')",
            "SELECT webhook_url FROM analytics.budgets",
            "SELECT * FROM analytics.budget_leases",
            "UPDATE analytics.budgets SET limit_usd = 100",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement.encode())


def test_changes_are_for_administrators_and_noted(store):
    roles.ensure(store)
    put(store, "b", team="search", limit_usd=LIMIT, webhook_url="https://hooks.example/s3cret")
    put(store, "b", limit_usd=Decimal(2))
    remove(store, "b")
    with connect(store, autocommit=True) as connection:
        noted = connection.execute(
            "SELECT action, resource, details FROM audit.access_log WHERE action LIKE 'budget%' ORDER BY timestamp"
        ).fetchall()
    assert [row[:2] for row in noted] == [("budget.set", "b"), ("budget.set", "b"), ("budget.remove", "b")]
    assert (noted[1][2]["limit_usd"], noted[1][2]["limit_usd_before"]) == ("2", "0.10")
    assert "s3cret" not in str(noted)


def test_whoever_may_not_change_budgets_is_told_who_may(store, monkeypatch):
    with logged_in(store, "writer") as writer:
        monkeypatch.setattr("collectors.llm.budget.declare.connect", lambda *_, **__: _kept(writer))
        with pytest.raises(StoreError, match="may not change budgets: .*gaugebook_admin"):
            put(store, "b", limit_usd=LIMIT)


@contextmanager
def _kept(connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    yield connection
