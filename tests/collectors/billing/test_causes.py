"""One day and model for each cause, and what stands beside it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from collectors.billing.causes import Cause, Line, Side, cause_of

DAY = date(2026, 11, 3)
METERED = {"requests": 100, "input_tokens": 10_000, "output_tokens": 1_000, "cost_usd": Decimal(10)}
USAGE = {"requests": 100, "input_tokens": 10_000, "output_tokens": 1_000}


def line(metered: Any = None, usage: Any = None, billed: Any = None, *, day: date = DAY, **more: Any) -> Line:
    sides = {"metered": metered, "usage": usage, "billed": billed}
    return Line(day=day, model="m", **{name: side and Side(**side) for name, side in sides.items()}, **more)


def usd(amount: float | str, **more: Any) -> dict[str, Any]:
    return {"cost_usd": Decimal(str(amount))} | more


@pytest.mark.parametrize(
    ("cause", "metered", "usage", "billed"),
    [
        (Cause.AGREES, METERED, USAGE, usd(10)),
        (Cause.AGREES, METERED, USAGE, usd("10.09")),
        (Cause.AGREES, METERED | usd("0.001"), None, usd("0.01")),
        (Cause.NOT_METERED, None, USAGE, usd(10)),
        (Cause.NOT_METERED, METERED, USAGE | {"requests": 150, "input_tokens": 15_000}, usd(15)),
        (Cause.NOT_METERED, METERED | {"unmetered": 3}, USAGE | {"requests": 150, "input_tokens": 15_000}, usd(15)),
        (Cause.NOT_METERED, METERED, USAGE | {"requests": None, "input_tokens": 15_000}, usd(15)),
        (Cause.NOT_METERED, None, None, usd(15)),
        (Cause.MISSING_USAGE, METERED | {"unmetered": 30}, USAGE | {"input_tokens": 15_000}, usd(15)),
        (Cause.MISSING_USAGE, METERED | {"unmetered": 30}, None, usd(15)),
        (Cause.UNPRICED, METERED | usd(3, unpriced=70), USAGE, usd(10)),
        (Cause.NOT_BILLED, METERED, USAGE | {"input_tokens": 5_000}, usd(5)),
        (Cause.NOT_BILLED, METERED, None, None),
        (Cause.CACHE_WRITES, METERED, USAGE | {"cache_write_tokens": 5_000}, usd(12)),
        (Cause.CACHE_READS, METERED | {"cached_tokens": 100}, USAGE | {"cached_tokens": 9_000}, usd(3)),
        (Cause.DISCOUNT, METERED, USAGE | {"discounted_tokens": 11_000}, usd(5)),
        (Cause.DISCOUNT, METERED, None, usd(5, discounted_usd=Decimal(5))),
        (Cause.PRICE, METERED, USAGE, usd(8)),
        (Cause.PRICE, METERED | {"discounted_tokens": 11_000}, USAGE | {"discounted_tokens": 11_000}, usd(8)),
        (Cause.PRICE, METERED, USAGE | {"input_tokens": 10_050}, usd(12)),
        (Cause.NO_USAGE, METERED, None, usd(8)),
        (Cause.NOT_FINAL, METERED, USAGE, usd(4, final=False)),
    ],
)
def test_each_cause(cause: Cause, metered: Any, usage: Any, billed: Any) -> None:
    assert cause_of(line(metered, usage, billed)) is cause


def test_a_day_without_a_report_has_no_gap() -> None:
    unknown = line(METERED, reported=False)
    assert unknown.gap_usd is None
    assert cause_of(unknown) is Cause.NO_REPORT


def test_what_has_no_tokens() -> None:
    tools = line(billed=usd(3), item="web search tool calls")
    assert tools.gap_usd == 3
    assert cause_of(tools) is Cause.NOT_TOKENS


@pytest.mark.parametrize(
    ("other", "cause"), [(-2, Cause.DAY_BOUNDARY), (-1.7, Cause.DAY_BOUNDARY), (2, None), (-9, None)]
)
def test_calls_around_midnight_show_on_the_day_beside(other: float, cause: Cause | None) -> None:
    late = line(METERED, USAGE | {"input_tokens": 12_000}, usd(12))
    beside = line(METERED, USAGE, usd(10 + other), day=DAY + timedelta(days=1))
    assert cause_of(late, [beside]) is (cause or Cause.NOT_METERED)
    assert cause_of(late, [line(METERED, USAGE, reported=False)]) is Cause.NOT_METERED


def test_every_cause_has_a_test() -> None:
    parameters = next(mark for mark in test_each_cause.pytestmark if mark.name == "parametrize").args[1]  # type: ignore[attr-defined]
    assert {cause for cause, *_ in parameters} | {Cause.NO_REPORT, Cause.NOT_TOKENS, Cause.DAY_BOUNDARY} == set(Cause)
