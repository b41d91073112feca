"""Calls through the providers' clients, with the tap in or not, and their rows beside the truth."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row

from collectors import llm
from store.connect import connect
from store.settings import Settings
from tests.dialects.plan import Plan
from tests.llm_clients import Api, plain
from tests.llm_server import LLMServer

Row = dict[str, Any]
TOKENS = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


@dataclass(frozen=True, slots=True)
class Way:
    """An API, sync or async."""

    api: Api
    asynchronous: bool

    def __str__(self) -> str:
        return f"{self.api}{' async' if self.asynchronous else ''}"

    def call(self, server: LLMServer, plans: Sequence[Plan], *, streamed: bool, at_once: int = 1) -> list[list[Any]]:
        """What the application gets for each plan; the call is booked to the project that its plan's key names."""
        if self.asynchronous:
            answers = asyncio.run(self._call_async(server, plans, streamed, at_once))
        else:
            with self.api.make(server.url) as client, ThreadPoolExecutor(at_once) as pool:
                answers = list(pool.map(lambda plan: self._ask(client, plan, streamed), plans))
        return [[plain(piece) for piece in answer] for answer in answers]

    def _ask(self, client: Any, plan: Plan, streamed: bool) -> list[Any]:
        with llm.attribute(project=plan.key):
            return list(self.api.ask(client, plan.prompt, streamed))

    async def _call_async(
        self, server: LLMServer, plans: Sequence[Plan], streamed: bool, at_once: int
    ) -> list[list[Any]]:
        assert self.api.make_async is not None
        turns = asyncio.Semaphore(at_once)

        async def ask(client: Any, plan: Plan) -> list[Any]:
            assert self.api.ask_async is not None
            async with turns:
                with llm.attribute(project=plan.key):
                    return [piece async for piece in self.api.ask_async(client, plan.prompt, streamed)]

        async with self.api.make_async(server.url) as client:
            return list(await asyncio.gather(*(ask(client, plan) for plan in plans)))


def ways(apis: Iterable[Api]) -> list[Way]:
    """Each API, sync and, where its client can, async."""
    return [Way(api, a) for api in apis for a in (False, True) if not a or api.make_async is not None]


def rows_by_project(settings: Settings) -> dict[str, list[Row]]:
    """All rows of the store, in order."""
    found: dict[str, list[Row]] = {}
    with connect(settings) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        for row in cursor.execute("SELECT * FROM metrics.llm_requests ORDER BY ts"):
            found.setdefault(row["project"], []).append(row)
    return found


def wrong_tokens(way: Way, plan: Plan, row: Row) -> dict[str, tuple[int | None, int | None]]:
    """The kinds of tokens whose count is not the truth, each with the truth and what the row says."""
    truth = way.api.speaks.usage(plan)
    if way.api.dialect == "openai.embeddings":
        truth["output_tokens"] = 0 if row["output_tokens"] == 0 else None  # there are none: both say so
    return {kind: (truth[kind], row[kind]) for kind in TOKENS if truth[kind] != row[kind]}


@dataclass(frozen=True, slots=True)
class Errors:
    """How far `ttft_s` is from the truth, in seconds."""

    each: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.each)

    @property
    def worst(self) -> float:
        return max(self.each)

    def __str__(self) -> str:
        return f"{len(self.each)} streams, off by {1e3 * self.median:.2f} ms at the median, {1e3 * self.worst:.2f} at worst"


def first_token_errors(server: LLMServer, plans: Sequence[Plan], rows: dict[str, list[Row]]) -> Errors:
    """Of one row for each plan."""
    errors = []
    for plan in plans:
        (row,) = rows[plan.key]
        (served,) = server.served(plan.key)
        assert row["ttft_s"] is not None, (plan, row)
        errors.append(abs(row["ttft_s"] - served.ttft_s))
    return Errors(tuple(errors))
