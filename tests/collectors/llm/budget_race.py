"""Threads, tasks and processes that race for one budget, and are killed while they do."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from collectors.llm.budget import Ask, Budgets, Lease, Refusal
from collectors.llm.budget.declare import put, standings
from store.connect import connect
from store.settings import Settings, load

AT_ONCE = 50
LIMIT, CALL = Decimal("1.00"), Decimal("0.03")
LEASE_S = 1


def ask(team: str, output_tokens: int | None = 3000, **more: object) -> Ask:
    """A call that costs $0.03 at worst, unless it is said otherwise."""
    known = {"provider": "openai", "model": "gpt-4o", "project": "p", "key": None, "input_tokens": 0} | more
    return Ask(team=team, max_output_tokens=output_tokens, **known)


def by_threads(dsn: str, team: str, spent: Path) -> None:
    budgets = guard(dsn)
    seed = os.getpid()

    def caller(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        while isinstance(lease := reserve(budgets, team), Lease):
            cost = spend(chance, spent)
            time.sleep(chance.random() / 200)
            budgets.settle(lease, cost)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(caller, range(AT_ONCE)))
    budgets.close()


def by_tasks(dsn: str, team: str, spent: Path) -> None:
    budgets = guard(dsn)
    chance = random.Random(os.getpid())

    async def caller() -> None:
        while isinstance(lease := await asyncio.to_thread(reserve, budgets, team), Lease):
            cost = spend(chance, spent)
            await asyncio.sleep(chance.random() / 200)
            budgets.settle(lease, cost)

    async def race() -> None:
        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))

    asyncio.run(race())
    budgets.close()


def guard(dsn: str) -> Budgets:
    return Budgets(load(dsn=dsn, llm_budgets="fail_closed", llm_lease_s=LEASE_S))


def reserve(budgets: Budgets, team: str) -> Lease | Refusal | None:
    answer = budgets.reserve(ask(team))
    assert isinstance(answer, Lease) or (isinstance(answer, Refusal) and answer.why == "used_up"), answer
    return answer


def spend(chance: random.Random, spent: Path) -> Decimal:
    """Pay for a call, as the provider would count it: what has been written here has been paid, whoever dies afterwards."""
    cost = CALL if chance.random() < 0.5 else CALL * chance.randrange(100) / 100
    with spent.open("ab", buffering=0) as file:
        file.write(f"{cost}\n".encode())
    return cost


def race(settings: Settings, folder: Path, rounds: int) -> None:
    """Each round: 50 threads and 50 tasks to their end, and as many again that are killed somewhere on the way."""
    assert settings.dsn is not None
    dsn = settings.dsn.get_secret_value()
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    chance = random.Random(4)
    killed_underway = 0
    for number in range(rounds):
        team, spent = f"round-{number}", folder / f"spent-{number}"
        spent.touch()
        put(settings, team, team=team, limit_usd=LIMIT)
        runs: list[tuple[Callable[[str, str, Path], None], bool]] = [
            (by_threads, True), (by_tasks, True), (by_threads, False), (by_tasks, False)
        ]  # fmt: skip
        racing = [(processes.Process(target=run, args=(dsn, team, spent)), dies) for run, dies in runs]
        for process, _ in racing:
            process.start()
        while not spent.stat().st_size:
            time.sleep(0.005)
        for process, dies in racing:
            if dies:
                time.sleep(chance.random() * 0.1)
                process.kill()
        for process, dies in racing:
            process.join(60)
            assert dies or process.exitcode == 0
            process.close()
        time.sleep(0.2)
        killed_underway += leases(settings)
        settle_what_is_left(settings)
        check(settings, team, spent)
    print(f"{rounds} rounds, {killed_underway} leases of processes that were killed")


def settle_what_is_left(settings: Settings) -> None:
    end = time.monotonic() + LEASE_S + 10
    while leases(settings):
        with connect(settings) as connection:
            (now,) = connection.execute("SELECT now()").fetchone()
        standings(settings)
        assert leases(settings, until=now) == 0, "a lease outlived its expiry"
        assert time.monotonic() < end
        time.sleep(0.05)


def leases(settings: Settings, until: datetime = datetime(2200, 1, 1, tzinfo=UTC)) -> int:
    """How many there are that expire at `until` or earlier."""
    with connect(settings) as connection:
        question = "SELECT count(*) FROM analytics.budget_leases WHERE expires_at <= %s::timestamptz"
        (count,) = connection.execute(question, [until]).fetchone()
        return int(count)


def check(settings: Settings, team: str, spent: Path) -> None:
    (stands,) = [one for one in standings(settings) if one.name == team]
    paid = sum(map(Decimal, spent.read_text().split()), Decimal(0))
    assert paid <= stands.spent_usd <= LIMIT
    assert stands.spent_usd > LIMIT / 2
    assert stands.reserved_usd == 0
    assert stands.overrun_usd == 0
