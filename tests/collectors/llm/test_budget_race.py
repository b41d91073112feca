"""Threads, tasks and processes race for a budget, and are killed: what is settled stays within it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from collectors.llm.budget import Lease
from collectors.llm.budget.declare import put, standings
from tests.collectors.llm.budget_race import LIMIT, ask, guard, race


def test_a_race_with_processes_that_are_killed(store, tmp_path):
    race(store, tmp_path, rounds=2)


def test_calls_that_count_against_several_budgets_wait_for_no_circle(store):
    """Each budget is shared with calls that hold it together with another one: in every order."""
    names = [f"b{number}" for number in range(4)]
    put(store, "all", limit_usd=Decimal(1000), period="day")
    for name in names:
        put(store, name, team=name, limit_usd=LIMIT)
        put(store, f"model of {name}", team=name, model="gpt-4*", limit_usd=LIMIT / 2, period="day")
    budgets = guard(store.dsn.get_secret_value())
    begin = threading.Barrier(20)

    def caller(number: int) -> Decimal:
        begin.wait()
        spent = Decimal(0)
        for step in range(12):
            if isinstance(lease := budgets.reserve(ask(names[(number + step) % 4])), Lease):
                budgets.settle(lease, lease.amount_usd)
                spent += lease.amount_usd
        return spent

    with ThreadPoolExecutor(20) as threads:
        spent = sum(threads.map(caller, range(20)), Decimal(0))
    assert budgets.flush()
    assert budgets.counts["unguarded"] == 0
    budgets.close()
    stands = {one.name: one for one in standings(store)}
    assert stands["all"].spent_usd == spent == 4 * Decimal("0.48")
    for name in names:
        assert stands[name].spent_usd == stands[f"model of {name}"].spent_usd == Decimal("0.48")
        assert stands[name].reserved_usd == 0
