"""vLLM: how full the servers are, how long requests wait in them, how fast they answer."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from pipelines.dashboards.board import Places, board, of_prometheus
from pipelines.dashboards.boards.llm import ratio
from pipelines.dashboards.panels import BAD, GOOD, UP, WATCH, Panel, cloud, lines, number
from pipelines.dashboards.sources import heat, prom

HERE = 'source="vllm", gateway=~"$gateway", model=~"$model"'
SERVER = "{{gateway}} {{model}}"


def vllm(places: Places | None = None) -> dashboard.Dashboard:
    """The dashboard."""
    found = 'label_values(llm_requests_total{source="vllm"%s}, %s)'
    return board(
        "gaugebook-vllm",
        "vLLM",
        "Servers of vLLM as `gaugebook collect llm-gateway` reads them: load, cache, waiting and speed.",
        {"Now": _now(), "Load": _load(), "Speed": _speed(), "Where the time goes": _phases(), "Collection": _health()},
        variables=(
            of_prometheus("gateway", "Server", found % ("", "gateway")),
            of_prometheus("model", "Model", found % (', gateway=~"$gateway"', "model")),
        ),
        report="llm_performance",
        runbook="LLMRequestsWaiting",
        anomalies="llm",
        places=places,
    )


def _now() -> list[Panel]:
    return [
        number(
            "Servers",
            "Down: a page was not to be had.",
            "none",
            prom('min(llm_gateway_up{source="vllm", gateway=~"$gateway"})'),
            names=UP,
        ),
        number("Running", "Requests in work.", "short", prom(f"sum(llm_requests_running{{{HERE}}})")),
        number(
            "Waiting",
            "Requests that no engine has room for. If they stay, a server is missing.",
            "short",
            prom(f"sum(llm_requests_waiting{{{HERE}}})"),
            steps=((None, GOOD), (1, WATCH), (20, BAD)),
        ),
        number(
            "Fullest KV cache",
            "Share in use of the fullest engine; full, it puts requests off.",
            "percentunit",
            prom(f"max(llm_kv_cache_usage_ratio{{{HERE}}})"),
            steps=((None, GOOD), (0.8, WATCH), (0.95, BAD)),
        ),
        number(
            "First token, 95 %",
            "Seconds, of all servers.",
            "s",
            prom(_quantile(0.95, "llm_time_to_first_token_seconds", "")),
            steps=((None, GOOD), (2, WATCH), (5, BAD)),
        ),
        number("Tokens out", "Tokens a second.", "cps", prom(_rate("llm_tokens_total", "", 'kind="output"'))),
    ]


def _load() -> list[Panel]:
    return [
        lines("Requests running", "By server.", "short", prom(f"llm_requests_running{{{HERE}}}", SERVER), stacked=True),
        lines("Requests waiting", "By server.", "short", prom(f"llm_requests_waiting{{{HERE}}}", SERVER), stacked=True),
        lines(
            "KV cache in use",
            "Share, of the fullest engine of each server.",
            "percentunit",
            prom(f"llm_kv_cache_usage_ratio{{{HERE}}}", SERVER),
            most=1,
        ),
        lines(
            "Requests finished",
            "Requests a second, for whatever reason they ended.",
            "reqps",
            prom(_rate("llm_requests_total", "gateway, model"), SERVER),
            stacked=True,
        ),
        lines(
            "Tokens",
            "Tokens a second that go in and come out, of all servers.",
            "cps",
            prom(_rate("llm_tokens_total", "kind"), "{{kind}}"),
        ),
        lines(
            "Prefix cache share",
            "Share of the tokens that go in which were in the cache.",
            "percentunit",
            prom(
                ratio(
                    _rate("llm_tokens_total", "gateway, model", 'kind="cached"'),
                    _rate("llm_tokens_total", "gateway, model", 'kind="input"'),
                ),
                SERVER,
            ),
            most=1,
        ),
    ]


def _speed() -> list[Panel]:
    return [
        _both("Time to first token", "Seconds until the first token.", "llm_time_to_first_token_seconds"),
        _both("Time per token", "Seconds from one token to the next.", "llm_time_per_output_token_seconds"),
        _both("Whole request", "Seconds from request to last byte.", "llm_request_duration_seconds"),
        cloud(
            "How requests begin",
            "Requests by their time to the first token.",
            "s",
            heat(f"sum by (le) (increase(llm_time_to_first_token_seconds_bucket{{{HERE}}}[$__rate_interval]))"),
            width=24,
        ),
    ]


def _phases() -> list[Panel]:
    return [
        _both("Queue", "Seconds that requests wait in the server.", "llm_request_queue_seconds"),
        _both("Prefill", "Seconds to read the prompt.", "llm_request_prefill_seconds"),
        _both("Decode", "Seconds to write the answer.", "llm_request_decode_seconds"),
    ]


def _health() -> list[Panel]:
    where = 'source="vllm", gateway=~"$gateway"'
    return [
        lines(
            "Pages fetched",
            "1 where the last one was.",
            "none",
            prom(f"llm_gateway_up{{{where}}}", "{{gateway}}"),
            most=1,
        ),
        lines(
            "Restarts",
            "Times that counters began anew.",
            "short",
            prom(f"sum by (gateway) (increase(llm_gateway_resets_total{{{where}}}[$__rate_interval]))", "{{gateway}}"),
        ),
        lines(
            "Lines that cannot be read",
            "Of the server's page: it says something new.",
            "short",
            prom(
                f"sum by (gateway) (increase(llm_gateway_bad_lines_total{{{where}}}[$__rate_interval]))", "{{gateway}}"
            ),
        ),
    ]


def _rate(counter: str, by: str, *more: str) -> str:
    return f"sum by ({by}) (rate({counter}{{{', '.join([HERE, *more])}}}[$__rate_interval]))"


def _quantile(share: float, histogram: str, by: str) -> str:
    labels = ", ".join(label for label in (by, "le") if label)
    return (
        f"histogram_quantile({share:g}, sum by ({labels}) (rate({histogram}_bucket{{{HERE}}}[$__rate_interval]))) >= 0"
    )


def _both(title: str, said: str, histogram: str) -> Panel:
    """Median and 95th percentile, by model."""
    asked = [
        prom(_quantile(share, histogram, "model"), f"{name} {{{{model}}}}")
        for share, name in ((0.5, "median"), (0.95, "95 %"))
    ]
    return lines(title, said, "s", *asked)
