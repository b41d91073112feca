"""How budgets will stand when their period ends, and when they are used up."""

from __future__ import annotations

from pipelines.jobs.keep import Asked, Result, Rows
from pipelines.jobs.series import Days, KeepDays

COLUMNS = (
    *("budget", "starts_at", "resets_at", "limit_usd", "spent_usd", "total_usd", "lo_80", "hi_80", "lo_95", "hi_95"),
    *("p_exceed", "run_rate_usd", "exhausted_at", "exhausted_lo_80", "exhausted_hi_80", "driver"),
    *("engine", "trained_from", "trained_until"),
)
TOLD = ("limit", "spent", "total", "total-lo-80", "total-hi-80", "total-lo-95", "total-hi-95", "p_exceed", "run_rate")
MOMENTS = ("exhausted", "exhausted-lo-80", "exhausted-hi-80", "driver")
ENGINE = "ensemble"


def budgets(asked: Asked, *, days: Days = 90, keep_days: KeepDays = 400) -> Result:
    """An outlook of every budget that is switched on, in the period that the slot is in."""
    del keep_days  # a matter of `keep`
    from collectors.llm.budget import declare
    from pipelines.outlooks import outlooks

    found = [one for one in declare.standings(asked.settings) if one.enabled]
    rows = []
    for one, ahead, trained in outlooks(asked.settings, found, at=asked.slot, days=days):
        if ahead is not None:
            told = ahead.table.row(0, named=True)
            period = (one.name, one.starts_at, one.resets_at)
            rows.append((*period, *(told[name] for name in (*TOLD, *MOMENTS)), ENGINE, *trained))
    return Result([Rows("analytics.budget_outlooks", COLUMNS, rows)])
