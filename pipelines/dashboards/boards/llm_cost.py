"""LLM cost: who spends what, where it leads, whether budgets hold, what runs out when."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from pipelines.dashboards.board import Places, Variable, board, choice, of_store
from pipelines.dashboards.panels import BAD, GOOD, PLAIN, WATCH, Column, Panel, lines, listing, number
from pipelines.dashboards.sources import sql, sql_series

USD, PART = "currencyUSD", "by what is chosen above"
TEAM = of_store("team", "Team", "teams")
MODEL = of_store("model", "Model", "models")
CHANCE = ((None, GOOD), (0.2, WATCH), (0.5, BAD))


def variables() -> list[Variable]:
    """Whose spend is shown, split how, and which budget and which forecast are drawn."""
    return [
        choice("by", "Split by", ("team", "project", "model", "provider"), "team"),
        TEAM,
        MODEL,
        of_store("budget", "Budget", "budget_names", several=False),
        of_store("series", "Forecast of", "forecast_series", several=False),
    ]


def llm_cost(places: Places | None = None) -> dashboard.Dashboard:
    """The dashboard. Its time reaches a week ahead: forecasts are of the future."""
    return board(
        "gaugebook-llm-cost",
        "LLM cost",
        "Spend by team, project and model, budgets, forecasts and anomalies, from the store. Days are UTC.",
        {"Spend": _spend(), "Where it leads": _ahead(), "Budgets": _budgets(), "What does not fit": _findings()},
        variables=variables(),
        report="llm_cost",
        runbook="HighLLMCosts",
        anomalies="llm",
        since="now-30d",
        until="now+7d",
        refresh="5m",
        places=places,
    )


def _spend() -> list[Panel]:
    columns = {
        "team": Column(),
        "project": Column(),
        "model": Column(),
        "cost": Column(unit=USD),
        "share": Column(unit="percentunit"),
        "requests": Column(unit="short"),
        "a request": Column(unit=USD),
        "a million tokens": Column(unit=USD),
        "from cache": Column(unit="percentunit"),
    }
    return [
        number("Today", "What this day has cost so far.", USD, sql("cost_today"), decimals=2),
        number("Yesterday by now", "What yesterday had cost by this hour.", USD, sql("cost_yesterday"), decimals=2),
        number("This month", "What this month has cost so far.", USD, sql("cost_month"), decimals=2),
        number("Time shown", "What the time that is shown has cost.", USD, sql("cost_shown"), decimals=2),
        number(
            "Next seven days",
            "What all teams will probably spend: the median of the latest forecast.",
            USD,
            sql("cost_next_week"),
            decimals=2,
        ),
        number(
            "Without a price",
            "Share of the good requests whose price is not known; their cost is in no figure here.",
            "percentunit",
            sql("unpriced_share"),
            steps=((None, GOOD), (0.001, WATCH), (0.05, BAD)),
            decimals=2,
        ),
        lines(
            "Spend a day",
            f"USD a day, {PART}; the twelve that cost most, and the others together.",
            USD,
            sql_series("cost_over_time", rollup="daily"),
            width=16,
            height=9,
            bars=True,
            stacked=True,
            interval="1d",
        ),
        lines(
            "Spend an hour",
            f"USD an hour of the last two days, {PART}.",
            USD,
            sql_series("cost_over_time", rollup="hourly"),
            height=9,
            bars=True,
            stacked=True,
            interval="1h",
            span="48h",
        ),
        listing("Who spends", "In the time that is shown.", columns, sql("spend_table"), height=9, sort="cost"),
        lines(
            "Unit cost",
            "USD per million tokens, those given and those made, by model.",
            USD,
            sql_series("unit_cost_by_day"),
            width=12,
            interval="1d",
        ),
        lines(
            "Cost of a request",
            f"USD, the mean of each day, {PART}.",
            USD,
            sql_series("request_cost_by_day"),
            width=12,
            interval="1d",
        ),
    ]


def _ahead() -> list[Panel]:
    columns = {
        "series": Column(),
        "horizon": Column(),
        **{name: Column(unit=USD) for name in ("expected", "lower 80", "upper 80", "lower 95", "upper 95")},
        "made": Column(unit="dateTimeFromNow"),
    }
    return [
        lines(
            "Forecast",
            "USD an hour, what was and what will be: the line is the median, the bands hold it with 80 and 95 %.",
            USD,
            sql_series("forecast_actual"),
            sql_series("forecast_fan"),
            width=14,
            height=10,
            fan=True,
            interval="1h",
        ),
        listing(
            "Sums to come",
            "With intervals of the sum, which are narrower than the sum of intervals.",
            columns,
            sql("forecast_totals"),
            width=10,
            height=10,
        ),
    ]


def _budgets() -> list[Panel]:
    columns = {
        "name": Column(),
        "team": Column(),
        "period": Column(),
        "limit": Column(unit=USD),
        "spent": Column(unit=USD),
        "used": Column(unit="percentunit", steps=((None, PLAIN), (0.8, WATCH), (1.0, BAD))),
        "expected": Column(unit=USD),
        "chance": Column(unit="percentunit", steps=CHANCE),
        "exhausted": Column(unit="dateTimeFromNow"),
        "resets": Column(unit="dateTimeFromNow"),
        "driver": Column(),
    }
    ends = {
        "what": Column(),
        "name": Column(),
        "when": Column(unit="dateTimeFromNow"),
        "chance": Column(unit="percentunit", steps=CHANCE),
    }
    return [
        lines(
            "Burn-down",
            "USD left of the budget in its period; below the even pace it will not last. The bands: where it will end.",
            USD,
            sql_series("budget_left"),
            sql_series("budget_fan"),
            width=14,
            height=9,
            fan=True,
            least=None,
            interval="1h",
        ),
        listing(
            "What runs out when",
            "Budgets, and queues that have a limit, the soonest first.",
            ends,
            sql("runs_out"),
            width=10,
            height=9,
        ),
        listing(
            "All budgets",
            "How each stands and will probably end; chance is that of exceeding its limit.",
            columns,
            sql("budgets"),
            height=7,
        ),
    ]


def _findings() -> list[Panel]:
    found = {
        "when": Column(unit="dateTimeAsIso"),
        "series": Column(),
        "cost": Column(unit=USD),
        "expected": Column(unit=USD),
        "impact": Column(unit=USD),
        "severity": Column(),
    }
    changed = {
        "since": Column(unit="dateTimeAsIso"),
        "series": Column(),
        "before": Column(unit=USD),
        "after": Column(unit=USD),
        "relative": Column(unit="percentunit"),
    }
    return [
        listing(
            "Anomalies",
            "Hours that the past does not explain; impact is what they cost more. `gaugebook verdict` mutes one.",
            found,
            sql("cost_anomalies"),
            width=12,
            height=8,
        ),
        listing(
            "Changes of level",
            "Spend an hour that has changed for good.",
            changed,
            sql("cost_changes"),
            width=12,
            height=8,
        ),
    ]
