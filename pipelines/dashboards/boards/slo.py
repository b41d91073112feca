"""SLO: are objectives met, how much of the error budget is left, how fast is it spent."""

from __future__ import annotations

from collections.abc import Callable

from grafana_foundation_sdk.builders import dashboard

from pipelines.dashboards.board import Places, board, choice
from pipelines.dashboards.boards.llm import OF_MODEL, variables
from pipelines.dashboards.boards.rabbitmq import IN_CLUSTER, clusters, in_cluster
from pipelines.dashboards.panels import BAD, GOOD, WATCH, Panel, lines, number, ranking
from pipelines.dashboards.sources import now, prom

# The rates at which an error budget of 30 days is spent too fast: as the alerts have them, by window.
TOO_FAST = {"1h": 14.4, "6h": 6.0, "1d": 3.0, "3d": 1.0}
OF_TEAM = f'{OF_MODEL}, team=~"$team"'
LEFT = ((None, BAD), (0.0, WATCH), (0.25, GOOD))


def slo(places: Places | None = None) -> dashboard.Dashboard:
    """The dashboard."""
    return board(
        "gaugebook-slo",
        "SLO",
        "Objectives of LLM calls and brokers: what is promised, what was kept, how fast the error budget is spent.",
        {
            "Requests that succeed": _rows("Success", "$objective", _failed, "model"),
            "First token within 3 s": _rows("In time", "$objective_ttft", _late, "model"),
            "Broker": _broker(),
        },
        variables=(
            *variables(),
            choice("objective", "Succeed", ("0.9", "0.95", "0.99", "0.995", "0.999"), "0.99"),
            choice("objective_ttft", "In time", ("0.9", "0.95", "0.99"), "0.95"),
            clusters()[0],
        ),
        report="llm_performance",
        runbook="LLMErrorBudgetBurn",
        anomalies="llm",
        since="now-24h",
        places=places,
    )


def _failed(window: str, by: str) -> str:
    """Share of the requests that failed."""
    return _share("team_model:llm_errors:rate5m", "team_model:llm_requests:rate5m", OF_TEAM, window, by)


def _late(window: str, by: str) -> str:
    """Share of the streams whose first token came after three seconds, which is what the alerts hold them to."""
    return _share("model:llm_slow_first_tokens:rate5m", "model:llm_first_tokens:rate5m", OF_MODEL, window, by)


def _share(part: str, whole: str, of: str, window: str, by: str) -> str:
    """Of what the rules have recorded, as the alerts have it: over days that is a hundredth of what counters are."""

    def over(name: str) -> str:
        return f"sum by ({by}) (sum_over_time({name}{{{of}}}[{window}]))"

    return f"{over(part)} / ({over(whole)} > 0)"


def _rows(name: str, objective: str, missed: Callable[[str, str], str], by: str) -> list[Panel]:
    """How an objective is kept; `missed` is the share that missed it, over a window and by a label."""
    spent = f"(1 - {objective})"
    burns = [
        number(
            f"{name}: burn over {window}",
            f"How many times faster than the objective allows it was missed; {fast:g} calls somebody.",
            "short",
            prom(f"({missed(window, '')}) / {spent}"),
            steps=((None, GOOD), *(((1, WATCH),) if fast > 1 else ()), (fast, BAD)),
            decimals=2,
        )
        for window, fast in TOO_FAST.items()
    ]
    return [
        number(
            f"{name}: kept",
            "Share, over the time that is shown.",
            "percentunit",
            now(f"1 - ({missed('$__range', '')})"),
            decimals=3,
        ),
        number(
            f"{name}: error budget left",
            "Share of the errors that the objective allows in the time that is shown; below nothing it is broken.",
            "percentunit",
            now(f"1 - ({missed('$__range', '')}) / {spent}"),
            steps=LEFT,
            decimals=1,
        ),
        *burns,
        lines(
            f"{name}: burn rate",
            "Over an hour and over six. 1 spends the budget exactly; both above 14.4 or 6 calls somebody.",
            "short",
            prom(f"({missed('1h', '')}) / {spent}", "1 h"),
            prom(f"({missed('6h', '')}) / {spent}", "6 h"),
            width=10,
            steps=((None, GOOD), (1, WATCH), (14.4, BAD)),
        ),
        lines(
            f"{name}: missed by {by}",
            "Share of the requests of the last hour.",
            "percentunit",
            prom(missed("1h", by), f"{{{{{by}}}}}"),
            width=7,
        ),
        ranking(
            f"{name}: budget spent by {by}",
            "Share of what the objective allows, over the time that is shown.",
            "percentunit",
            now(f"sort_desc(({missed('$__range', by)}) / {spent})", f"{{{{{by}}}}}"),
            width=7,
            steps=((None, GOOD), (0.75, WATCH), (1.0, BAD)),
        ),
    ]


def _broker() -> list[Panel]:
    received = in_cluster("increase(rabbitmq_global_messages_received_total[$__range])")

    def lost(how: str) -> str:
        return in_cluster(f"increase(rabbitmq_global_messages_unroutable_{how}_total[$__range])")

    health = f"cluster:rabbitmq_health:min{{{IN_CLUSTER}}}"
    return [
        number(
            "Broker: well",
            "Share of the time that is shown in which the cluster was well.",
            "percentunit",
            now(f"min(avg_over_time({health}[$__range]))"),
            steps=((None, BAD), (0.99, WATCH), (0.999, GOOD)),
            decimals=3,
            width=6,
            height=7,
        ),
        number(
            "Broker: routed",
            "Share of the published messages that some queue was bound for.",
            "percentunit",
            now(f"1 - ({lost('dropped')} + {lost('returned')}) / ({received} > 0)"),
            steps=((None, BAD), (0.99, WATCH), (0.999, GOOD)),
            decimals=3,
            width=6,
            height=7,
        ),
        lines(
            "Broker: health",
            "1 where all nodes run, none is alarmed or cut off, and the broker's own checks passed.",
            "none",
            prom(health, "{{cluster}}"),
            width=12,
            height=7,
            most=1,
        ),
    ]
