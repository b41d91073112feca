"""One queue of RabbitMQ: its depth and flow, how old its messages are, and when it will be full or empty."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from pipelines.dashboards.board import Places, board
from pipelines.dashboards.boards.rabbitmq import ONE_QUEUE, REPORT, clusters, queue
from pipelines.dashboards.panels import BAD, GOOD, WATCH, Column, Panel, lines, listing, number
from pipelines.dashboards.sources import prom, rows, sql, sql_series

OURS = f'job="gaugebook-rabbitmq", {ONE_QUEUE}'


def rabbitmq_queue(places: Places | None = None) -> dashboard.Dashboard:
    """The dashboard."""
    return board(
        "gaugebook-rabbitmq-queue",
        "RabbitMQ queue",
        "One queue: depth, consumers, rates, the age of its oldest message, its past in the store and what is to come.",
        {
            "Now": _now(),
            "Flow": _flow(),
            "What holds it": _inside(),
            "Ahead": _ahead(),
            "The past, from the store": _past(),
        },
        variables=(*clusters(several=False), queue()),
        report=REPORT,
        runbook="QueueGrowing",
        anomalies="queues",
        places=places,
    )


def _now() -> list[Panel]:
    return [
        number("Depth", "Messages, ready and unacknowledged.", "short", prom(f"max({_recorded('messages:max')})")),
        number("Ready", "Messages that wait for a consumer.", "short", prom(f"max({_told('messages_ready')})")),
        number(
            "Unacknowledged", "Messages in the hands of consumers.", "short", prom(f"max({_told('messages_unacked')})")
        ),
        number(
            "Consumers",
            "None: nobody takes the messages.",
            "short",
            prom(f"max({_recorded('consumers:max')})"),
            steps=((None, BAD), (1, GOOD)),
        ),
        number(
            "Head age",
            "How old the oldest message is, where publishers stamp the time; not of quorum queues and streams.",
            "s",
            prom(f"max({_told('head_message_age_seconds')})"),
        ),
        number(
            "Full in",
            "At the rates of the last day; a dash: it never will be, or has no limit.",
            "s",
            prom(f"min(gaugebook_queue_time_to_full_seconds{{{ONE_QUEUE}}})"),
            steps=((None, BAD), (4 * 3600, WATCH), (24 * 3600, GOOD)),
        ),
    ]


def _flow() -> list[Panel]:
    rates = [
        prom(_recorded(f"messages_{what}:rate5m"), what) for what in ("published", "delivered", "acked", "redelivered")
    ]
    return [
        lines(
            "Messages",
            "Ready and unacknowledged, and what the queue may hold.",
            "short",
            prom(_told("messages_ready"), "ready"),
            prom(_told("messages_unacked"), "unacknowledged"),
            prom(_told("max_length"), "limit"),
            width=12,
        ),
        lines("Rates", "Messages a second, over five minutes.", "mps", *rates, width=12),
        lines(
            "Growth over half an hour",
            "Messages a second that come in more than go out; below nothing it drains.",
            "mps",
            prom(f"deriv({_recorded('messages:max')}[30m])", "growth"),
            least=None,
        ),
        lines(
            "Consumers over time",
            "A queue that loses them fills.",
            "short",
            prom(_recorded("consumers:max"), "consumers"),
        ),
        lines(
            "Consumer utilisation",
            "Share of the time that consumers could take a message at once; low: raise their prefetch, or add some.",
            "percentunit",
            prom(_told("consumer_utilisation"), "utilisation"),
            most=1,
        ),
    ]


def _inside() -> list[Panel]:
    about = {
        name: Column(title)
        for name, title in (
            ("queue", "queue"),
            ("type", "type"),
            ("policy", "policy"),
            ("node", "leader on"),
            ("dead_letter_exchange", "dead letters to"),
            ("dead_letter_routing_key", "with key"),
        )
    }
    return [
        listing(
            "What it is", "Kind, policy, and where its dead letters go.", about, rows(_told("info")), width=24, height=4
        ),
        lines(
            "Age of the oldest message",
            "Seconds, where publishers stamp the time.",
            "s",
            prom(_told("head_message_age_seconds"), "head age"),
            width=6,
        ),
        lines("Size", "Bodies of its messages.", "bytes", prom(_told("message_bytes"), "bodies"), width=6),
        lines("Memory", "Of its process.", "bytes", prom(_told("process_memory_bytes"), "memory"), width=6),
        lines(
            "Lag of replicas",
            "Raft entries from the newest written to the oldest applied; offsets that the slowest reader is behind.",
            "short",
            prom(_told("raft_lag"), "raft"),
            prom(_told("stream_lag"), "stream"),
            width=6,
        ),
    ]


def _ahead() -> list[Panel]:
    columns = {
        "made": Column(unit="dateTimeFromNow"),
        "messages": Column(unit="short"),
        "consumers": Column(unit="short"),
        "arriving": Column(unit="mps"),
        "served": Column(unit="mps"),
        "capacity": Column(unit="mps"),
        "utilisation": Column(unit="percentunit", steps=((None, GOOD), (0.8, WATCH), (1.0, BAD))),
        "empty in": Column(unit="s"),
        "full in": Column(unit="s"),
        "chance to be full": Column(unit="percentunit"),
        "consumers needed": Column(unit="short"),
    }
    return [
        listing(
            "Outlooks",
            "What each of the last runs said, the latest first: arrivals against what consumers can serve.",
            columns,
            sql("queue_outlooks"),
            height=7,
        ),
        lines(
            "Time to full and to empty",
            "As the outlooks had it; a line that falls to nothing is a queue that fills.",
            "s",
            prom(f"max(gaugebook_queue_time_to_full_seconds{{{ONE_QUEUE}}})", "full"),
            prom(f"max(gaugebook_queue_time_to_empty_seconds{{{ONE_QUEUE}}})", "empty"),
            width=12,
        ),
        lines(
            "Forecast of the depth",
            "The median and bands of 80 and 95 %, where the schedule has a job that forecasts the messages of queues.",
            "short",
            sql_series("queue_forecast"),
            width=12,
            fan=True,
            interval="1h",
        ),
    ]


def _past() -> list[Panel]:
    return [
        lines(
            "Depth by the hour",
            "Mean and most of each hour, thirty days.",
            "short",
            sql_series("queue_depth_by_hour"),
            width=12,
            interval="1h",
            span="30d",
        ),
        lines(
            "Rates by the hour",
            "Messages a second, mean of each hour, thirty days.",
            "mps",
            sql_series("queue_rates_by_hour"),
            width=12,
            interval="1h",
            span="30d",
        ),
    ]


def _recorded(what: str) -> str:
    return f"queue:rabbitmq_queue_{what}{{{ONE_QUEUE}}}"


def _told(what: str) -> str:
    return f"rabbitmq_queue_{what}{{{OURS}}}"
