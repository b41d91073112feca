"""LLM overview: how fast models answer, how much, how often they fail, and what that costs now."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from pipelines.dashboards.board import Places, board
from pipelines.dashboards.boards.llm import CALLS, OF_MODEL, TIMED, a_second, quantile, ratio, variables
from pipelines.dashboards.panels import BAD, GOOD, PLAIN, WATCH, Column, Panel, cloud, lines, listing, number, ranking
from pipelines.dashboards.sources import heat, now, prom, rows, sql, sql_series

USD = "currencyUSD"
MODEL, TEAM = "{{provider}} {{model}}", "{{team}}"
TTFT, TPOT, DURATION = (
    "llm_time_to_first_token_seconds",
    "llm_time_per_output_token_seconds",
    "llm_request_duration_seconds",
)
FAILED, REQUESTS = 'status="error"', "llm_requests_total"
SHARES = ((None, GOOD), (0.01, WATCH), (0.05, BAD))


def llm_overview(places: Places | None = None) -> dashboard.Dashboard:
    """The dashboard."""
    return board(
        "gaugebook-llm-overview",
        "LLM overview",
        "Calls of models as the tap meters them: latency, traffic, errors and cost by provider, model and team.",
        {
            "Now": _now(),
            "Latency": _latency(),
            "Traffic": _traffic(),
            "Errors": _errors(),
            "Cost": _cost(),
            "Models": _models(),
        },
        variables=variables(),
        report="llm_performance",
        runbook="LLMErrorBudgetBurn",
        anomalies="llm",
        places=places,
    )


def _now() -> list[Panel]:
    failing = ratio(a_second(REQUESTS, "", FAILED), a_second(REQUESTS, ""))
    return [
        number("Requests", "Requests a second.", "reqps", prom(a_second(REQUESTS, ""))),
        number("Errors", "Share of the requests that fail.", "percentunit", prom(failing), steps=SHARES, decimals=2),
        number(
            "First token, 95 %",
            "Seconds until the first real token of a stream, that 95 of 100 wait at most.",
            "s",
            prom(quantile(0.95, TTFT, "")),
            steps=((None, GOOD), (2, WATCH), (5, BAD)),
            decimals=2,
        ),
        number("Tokens out", "Tokens a second that models make.", "cps", prom(_tokens("output", ""))),
        number("Cost an hour", "USD of the last hour.", USD, prom(f"sum({_hour('team')})"), decimals=2),
        number("Cost today", "USD since midnight UTC, from the store.", USD, sql("cost_today_of_teams"), decimals=2),
    ]


def _latency() -> list[Panel]:
    return [
        lines(
            "Time to first token, median",
            "Half of the streams begin sooner, by model.",
            "s",
            prom(f"model:llm_time_to_first_token_seconds:p50_rate5m{{{OF_MODEL}}}", MODEL),
        ),
        lines(
            "Time to first token, 95 %",
            "95 of 100 streams begin sooner, by model.",
            "s",
            prom(f"model:llm_time_to_first_token_seconds:p95_rate5m{{{OF_MODEL}}}", MODEL),
        ),
        lines(
            "Time per token, 95 %",
            "Seconds per token after the first, by model: a reader follows 0.1 s.",
            "s",
            prom(f"model:llm_time_per_output_token_seconds:p95_rate5m{{{OF_MODEL}}}", MODEL),
        ),
        cloud(
            "How streams begin",
            "Requests by their time to the first token: two dark bands are two kinds of requests.",
            "s",
            heat(f"sum by (le) (increase({TTFT}_bucket{{{TIMED}}}[$__rate_interval]))"),
            width=16,
        ),
        lines(
            "Duration, 95 %",
            "95 of 100 good requests end sooner, by model.",
            "s",
            prom(f"model:llm_request_duration_seconds:p95_rate5m{{{OF_MODEL}}}", MODEL),
        ),
    ]


def _traffic() -> list[Panel]:
    def by(label: str, name: str) -> Panel:
        said = f"Requests a second, by {label}."
        return lines(name, said, "reqps", prom(a_second(REQUESTS, label), f"{{{{{label}}}}}"), width=6, stacked=True)

    return [
        by("provider", "Requests by provider"),
        by("model", "Requests by model"),
        by("team", "Requests by team"),
        lines(
            "Tokens by kind",
            "Tokens a second; cached ones are a part of those that go in, reasoning is a part of what comes out.",
            "cps",
            prom(a_second("llm_tokens_total", "kind"), "{{kind}}"),
            width=6,
        ),
        lines(
            "Tokens made", "Tokens a second, by model.", "cps", prom(_tokens("output", "model"), "{{model}}"), width=12
        ),
        lines(
            "Cache share",
            "Share of the tokens that go in which a cache gave, by model: it is what makes long prompts cheap.",
            "percentunit",
            prom(ratio(_tokens("cached", "model"), _tokens("input", "model")), "{{model}}"),
            width=12,
            most=1,
        ),
    ]


def _errors() -> list[Panel]:
    return [
        lines(
            "Error share by model",
            "Share of the requests that fail.",
            "percentunit",
            prom(
                ratio(a_second(REQUESTS, "model", FAILED), a_second(REQUESTS, "model")),
                "{{model}}",
            ),
        ),
        lines(
            "Errors by what they say",
            "A second: the error of the provider, else http_STATUS, else the exception.",
            "reqps",
            prom(f"topk(10, {a_second('llm_errors_total', 'error_type')})", "{{error_type}}"),
            stacked=True,
        ),
        lines(
            "Error share by team",
            "Share of the requests of a team that fail.",
            "percentunit",
            prom(ratio(a_second(REQUESTS, "team", FAILED), a_second(REQUESTS, "team")), TEAM),
        ),
        lines(
            "Errors by class",
            "Errors an hour, from the store: limits of rate, timeouts, those of the server, of the caller, and others.",
            "short",
            sql_series("errors_by_class"),
            width=16,
            bars=True,
            stacked=True,
            interval="1h",
            span="48h",
        ),
        lines(
            "Without a price",
            "Requests of the last hour that no price is known for: their cost is in no sum.",
            "short",
            prom(f"model:llm_unpriced_requests:increase1h{{{OF_MODEL}}}", MODEL),
        ),
    ]


def _cost() -> list[Panel]:
    def by(label: str) -> Panel:
        said = f"USD of the last hour at each moment, by {label}."
        return lines(f"Cost by {label}", said, USD, prom(_hour(label), f"{{{{{label}}}}}"), width=6, stacked=True)

    return [
        by("model"),
        by("team"),
        by("project"),
        ranking(
            "Budgets left",
            "Share that is left in the period, as the processes that spend it see it.",
            "percentunit",
            now("sort(budget:llm_budget_left:ratio)", "{{budget}}"),
            width=6,
            steps=((None, BAD), (0.1, WATCH), (0.3, GOOD)),
        ),
    ]


def _models() -> list[Panel]:
    by = "provider, model"
    span = "[$__range]"
    requests = f"sum by ({by}) (increase({REQUESTS}{{{CALLS}}}{span}))"
    asked = {
        "requests": (requests, "short", ()),
        "errors": (
            ratio(f"sum by ({by}) (increase({REQUESTS}{{{CALLS}, {FAILED}}}{span}))", requests),
            "percentunit",
            SHARES,
        ),
        "first token": (_over(0.5, TTFT), "s", ()),
        "first token, 95 %": (_over(0.95, TTFT), "s", ()),
        "per token, 95 %": (_over(0.95, TPOT), "s", ()),
        "duration, 95 %": (_over(0.95, DURATION), "s", ()),
        "tokens out": (f'sum by ({by}) (increase(llm_tokens_total{{{CALLS}, kind="output"}}{span}))', "short", ()),
        "cost": (f"sum by ({by}) (increase(llm_cost_usd_total{{{CALLS}}}{span}))", USD, ((None, PLAIN),)),
    }
    columns = {
        "provider": Column("provider"),
        "model": Column("model"),
        **{
            f"Value #{ref}": Column(name, unit, steps=steps)
            for ref, (name, (_, unit, steps)) in zip("ABCDEFGH", asked.items(), strict=True)
        },
    }
    return [
        listing(
            "All models",
            "In the time that is shown. Costs count from the second scrape of a process on; months are in LLM cost.",
            columns,
            *[rows(expr) for expr, _, _ in asked.values()],
            sort="cost",
        )
    ]


def _tokens(kind: str, by: str) -> str:
    return a_second("llm_tokens_total", by, f'kind="{kind}"')


def _hour(by: str) -> str:
    return f"sum by ({by}) (increase(llm_cost_usd_total{{{CALLS}}}[1h]))"


def _over(share: float, histogram: str) -> str:
    buckets = f"increase({histogram}_bucket{{{TIMED}}}[$__range])"
    return f"histogram_quantile({share:g}, sum by (provider, model, le) ({buckets})) >= 0"
