"""One awkward data set in both back ends: every rollup row and every named query is the same."""

from __future__ import annotations

import math
import random
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from store.connect import connect
from store.files import sql_folder
from store.queries import named
from store.read import read
from store.rollup import refresh
from store.settings import Settings
from store.write import write
from tests.fix_postgres import BACK_ENDS, migrated

# From the night in which the clocks of Europe go forward to the day after; then five months of nothing; then the night back.
SPANS = (datetime(2026, 3, 28, 21, tzinfo=UTC), datetime(2026, 10, 24, 21, tzinfo=UTC))
PRICE_CHANGE = SPANS[0] + timedelta(hours=13, minutes=30)
REQUESTS = (
    "ts", "request_id", "provider", "model", "team", "project", "source", "status", "error_type", "http_status", "ttft_s",
    "duration_s", "output_tokens_per_s", "input_tokens", "cached_tokens", "output_tokens", "usage_source", "cost_usd", "price_version",
)  # fmt: skip
USAGE = ("ts", "width_s", "source", "provider", "team", "requests", "input_tokens", "output_tokens", "usage_source", "cost_usd")  # fmt: skip
QUEUES = (
    "ts", "cluster", "vhost", "queue", "messages", "messages_ready", "messages_unacked", "consumers", "head_age_s",
    "published_per_s", "delivered_per_s", "acked_per_s",
)  # fmt: skip
FAILURES = [("RateLimitError", 429), ("APITimeoutError", None), ("overloaded", 503), ("BadRequestError", 400), ("incomplete_stream", 200)]  # fmt: skip
Row = tuple[object, ...]


def requests(seed: int, count: int, prefix: str) -> list[Row]:
    """Out of order, over empty hours, with errors of every class, missing usage and a price that changes."""
    chance = random.Random(seed)
    rows: list[Row] = []
    for n in range(count):
        hour = chance.choice([h for h in range(40) if h % 5])
        ts = chance.choice(SPANS) + timedelta(hours=hour, microseconds=chance.randrange(3_600_000_000))
        status = chance.choices(["ok", "error", "cancelled"], [80, 15, 5])[0]
        error, http = chance.choice(FAILURES) if status == "error" else (None, 200)
        metered = chance.random() < 0.8
        tokens = chance.randrange(5000)
        price = Decimal("0.0000025") if ts < PRICE_CHANGE else Decimal("0.000003")
        rows.append((
            ts, f"{prefix}{n}", chance.choice(["openai", "anthropic"]), chance.choice(["a", 'b "q"', "ü"]), chance.choice(["x", "y"]), "p", "test",
            status, error, http, chance.choice([None, 0.0, 1e-9, 3600.0, chance.lognormvariate(-1, 1)]),
            chance.choice([None, 30.0, chance.lognormvariate(1, 2)]), chance.choice([None, 0.0, chance.uniform(5, 200)]),
            *((tokens, tokens // 3, chance.randrange(900), "reported", tokens * price, "2026-03") if metered else (None, None, None, "missing", None, None)),
        ))  # fmt: skip
    chance.shuffle(rows)
    return rows


def usage(seed: int) -> list[Row]:
    chance = random.Random(seed)
    return [
        (span + timedelta(minutes=10 * n), 600, "s", "azure", chance.choice(["x", "y"]), n, n * 10, chance.choice([None, n]), "estimated", chance.choice([None, Decimal(n) / 7]))
        for span in SPANS for n in range(300) if n % 13
    ]  # fmt: skip


def queues(seed: int) -> list[Row]:
    chance = random.Random(seed)
    rows: list[Row] = []
    for span in SPANS:
        for n in range(400):
            depth = chance.choice([None, 0, chance.randrange(10_000)])
            rate = chance.choice([None, chance.uniform(0, 50)])
            rows.append((
                span + timedelta(minutes=5 * n), "c", "/", chance.choice(["q", 'weird "q"\\']), depth, depth, 0, chance.choice([None, 0, 3]),
                chance.choice([None, 5.5]), rate, rate, rate,
            ))  # fmt: skip
    return rows


def fill(settings: Settings) -> None:
    """Rows, a refresh, late and doubled rows, a correction, a deletion, a refresh."""
    first, late = requests(1, 2500, "r"), requests(2, 150, "late")
    with connect(settings) as connection:
        write(connection, "metrics.llm_requests", REQUESTS, first)
        write(connection, "metrics.llm_usage", USAGE, usage(3))
        write(connection, "metrics.rabbitmq_queues", QUEUES, queues(4))
        nodes = [(SPANS[1] + timedelta(minutes=n), "east", "a", n % 2 == 0, 10**9 + n) for n in range(10)]
        write(connection, "metrics.rabbitmq_nodes", ("ts", "cluster", "node", "running", "memory_bytes"), nodes)
        connection.commit()
        refresh(settings)
        assert write(connection, "metrics.llm_requests", REQUESTS, late + first[:200]).duplicate == 200
        connection.execute("UPDATE metrics.llm_requests SET team = 'z' WHERE request_id LIKE 'r7_'")
        connection.execute("DELETE FROM metrics.llm_requests WHERE request_id LIKE 'r8_'")
        connection.execute("DELETE FROM metrics.rabbitmq_queues WHERE ts >= %s", [SPANS[1] + timedelta(hours=20)])
    refresh(settings)


@pytest.fixture(scope="module")
def filled(request: pytest.FixtureRequest):
    with ExitStack() as stack:
        every = {}
        for back_end in BACK_ENDS:
            try:
                every[back_end] = stack.enter_context(migrated(request, back_end))
            except pytest.skip.Exception:
                continue
            fill(every[back_end])
        yield every


RELATIONS = [
    *(f"{name}_{grain}" for name in ("llm_requests", "llm_usage", "rabbitmq_queues", "llm_metrics", "rabbitmq_metrics") for grain in ("hourly", "daily")),
    "llm_requests_visible", "llm_usage_visible",
]  # fmt: skip


@pytest.mark.parametrize("relation", RELATIONS)
def test_every_rollup_row(filled, relation):
    found = {name: rows_of(settings, relation) for name, settings in filled.items()}
    expected = found.pop("embedded")
    assert len(expected) >= 5
    for name, rows in found.items():
        assert rows.keys() == expected.keys(), name
        for key, values in expected.items():
            for column, value in values.items():
                assert alike(rows[key][column], value), (name, key, column, rows[key][column], value)


def rows_of(settings: Settings, relation: str) -> dict[tuple[object, ...], dict[str, object]]:
    """The rows by their key; histograms as text, which shows where they begin."""
    with connect(settings) as connection:
        cursor = connection.execute(f"SELECT * FROM metrics.{relation} LIMIT 0")  # type: ignore[call-overload]
        columns = [column.name for column in cursor.description or ()]
        chosen = ", ".join(f"{name}::text AS {name}" if name.endswith("_hist") else name for name in columns)
        rows = connection.execute(f"SELECT {chosen} FROM metrics.{relation}").fetchall()  # type: ignore[call-overload]
    names = ("bucket", "ts", "request_id", "width_s", "provider", "model", "team", "project", "source", "cluster", "vhost", "queue")  # fmt: skip
    key = [n for n, name in enumerate(columns) if name in names]
    by_key = {tuple(row[n] for n in key): dict(zip(columns, row, strict=True)) for row in rows}
    assert len(by_key) == len(rows)
    return by_key


def alike(one: object, other: object) -> bool:
    """Equal; floating-point sums up to the order in which they were added."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other


# What is declared, forecast or noted, and the same wherever it is kept.
UNMEASURED = ("report_", "budget", "scorer_", "anomaly_", "policies", "table_columns", "forecast_", "latest_", "recent_findings", "schedule_health", "write_back_", "rollup_lag")  # fmt: skip
SPAN = {"since": SPANS[0] - timedelta(days=1), "until": SPANS[1] + timedelta(days=5)}
DAYS = {end: moment.replace(hour=0) for end, moment in SPAN.items()}
PARAMETERS: dict[str, list[dict[str, object]]] = {
    "data_spans": [{}],
    "table_sizes": [{}],
    "newest_rows": [{}],
    "llm_latency": [{**SPAN, "grain": grain, "by": by, "quantiles": [0.5, 0.95, 0.99]} for grain in ("hourly", "daily", "span") for by in ([], ["model", "team"])],
    "llm_minutes": [{**SPAN, "by": ["provider"]}],
    "llm_errors": [{**SPAN, "team": team} for team in (None, "x")],
    "llm_week": [{**SPAN, "quantiles": [0.5, 0.95], "team": team, "model": None} for team in (None, "x")],
    "llm_within": [{**SPAN, "by": ["model"], "bound_s": bound_s, "team": "x"} for bound_s in (0.0, 0.7, 5000.0)],
    "llm_rows": [{**SPAN, "grain": grain} for grain in ("hourly", "daily")],
    "llm_series": [{**SPAN, "grain": grain, "by": ["team"]} for grain in ("hourly", "daily")],
    "queue_rows": [{**SPAN, "grain": grain} for grain in ("hourly", "daily")],
    "queue_sums": [{**SPAN, "grain": grain} for grain in ("hourly", "daily")],
    "usage_rows": [{**SPAN, "grain": grain} for grain in ("hourly", "daily")],
    "usage_series": [{**SPAN, "grain": grain, "by": ["team"]} for grain in ("hourly", "daily")],
    "llm_requests": [SPAN],
    "llm_points": [SPAN],
    "queue_samples": [SPAN],
    "queues_now": [{**SPAN, "cluster": ["c", "c"], "vhost": ["/", "/"], "queue": ["q", "absent"]}],
    "queue_counters": [SPAN],
    "node_samples": [SPAN],
    "series_names": [
        {**SPAN, "source": "llm_requests", "by": ["team"]},
        {**SPAN, "source": "rabbitmq_queues", "by": ["vhost", "queue"]},
    ],
    "series_some": [
        {**SPAN, "source": "llm_requests", "grain": grain, "value": "cost_usd", "by": ["team"], "ids": None}
        for grain in ("hourly", "daily")
    ],
    "queue_sample_keys": [SPAN],
    "prices_missing": [SPAN],
    "prices_whatif": [{**DAYS, "sizes": [100, 1000], "provider": None, "model": None, "team": None, "project": None}],
    "schedule_sets": [{"dimension": "team", "days": 10_000, "most": 50}],
    "reconcile": [{**DAYS, "provider": "openai"}],
}  # fmt: skip


def test_every_named_query(filled):
    for path in sorted((sql_folder() / "queries").glob("*.sql")):
        query = named(path.stem)
        if query.name.startswith(UNMEASURED):
            continue
        assert query.name in PARAMETERS, f"{query.name} is not compared"
        for parameters in PARAMETERS[query.name]:
            frames = {name: read(settings, query.name, **parameters) for name, settings in filled.items()}
            expected = frames.pop("embedded")
            assert expected.height or query.name == "prices_missing", (query.name, parameters)  # all have a price
            for frame in frames.values():
                order = [
                    name for name, kind in expected.schema.items() if kind in (pl.String, pl.Datetime("us", "UTC"))
                ]
                assert_frame_equal(frame.sort(order), expected.sort(order), rel_tol=1e-9)


def test_errors_have_classes_and_no_latency(filled):
    for settings in filled.values():
        with connect(settings) as connection:
            sums = connection.execute(
                "SELECT sum(errors), sum(errors_rate_limit), sum(errors_timeout), sum(errors_server), sum(errors_client), sum(errors_other) "
                "FROM metrics.llm_requests_hourly"
            ).fetchone()
            raw = connection.execute(
                "SELECT count(*) FILTER (WHERE status = 'error'), count(*) FILTER (WHERE http_status = 429), "
                "count(*) FILTER (WHERE error_type = 'APITimeoutError'), count(*) FILTER (WHERE http_status = 503), "
                "count(*) FILTER (WHERE http_status = 400), count(*) FILTER (WHERE error_type = 'incomplete_stream'), "
                "count(ttft_s) FILTER (WHERE status <> 'error'), count(duration_s) FILTER (WHERE status = 'ok') FROM metrics.llm_requests"
            ).fetchone()
            counted = connection.execute(
                "SELECT sum(ttft_count), sum(duration_count) FROM metrics.llm_requests_daily"
            ).fetchone()
        assert tuple(map(int, sums)) == raw[:6]
        assert min(raw) > 0
        assert tuple(map(int, counted)) == raw[6:]
