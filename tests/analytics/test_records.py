"""What the store keeps besides series, against what the raw rows say."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics import load, performance, records
from analytics.spans import Span
from store.connect import connect
from store.errors import ParameterInvalid
from store.rollup import refresh
from store.write import write
from tests.analytics.seed import NASTY, REQUESTS, START, busy_requests, request

COLUMNS = (*REQUESTS, "error_type", "http_status")
CLASSES = {429: "rate_limit", 504: "timeout", 503: "server", 400: "client"}


@pytest.fixture
def span(store, monkeypatch):
    """Ten days of requests, every ninth of which failed, in a store that the environment names."""
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())
    rows = []
    for k, row in enumerate(busy_requests(240)):
        failed = k % 9 == 0
        ttft = 0.05 + (k * 37 % 400) / 100
        made = request(k, 0, team=row[4], model=row[3], status="error" if failed else "ok", ttft=ttft)
        rows.append((row[0], *made[1:], "x" if failed else None, list(CLASSES)[k % 4] if failed else 200))
    with connect(store) as connection:
        write(connection, "metrics.llm_requests", COLUMNS, rows)
    refresh(store)
    return load.span()


def raw(store, sql, *values):
    with connect(store) as connection:
        return connection.execute(sql.encode(), values).fetchall()


@pytest.mark.parametrize("bound_s", [0.04, 0.5, 1.0, 2.345, 9.0])
def test_requests_within_a_bound_are_counted_to_three_per_cent(store, span, bound_s):
    found = records.within(span, bound_s)
    for model, measured, within, near in raw(
        store,
        "SELECT model, count(ttft_s), count(*) FILTER (WHERE ttft_s <= %s), count(*) FILTER (WHERE abs(ln(ttft_s / %s)) < 0.06) "
        "FROM metrics.llm_requests WHERE status <> 'error' GROUP BY model",
        bound_s,
        bound_s,
    ):
        own = found.filter(model=model)
        assert own["measured"].sum() == measured
        assert own["within"].sum() == pytest.approx(within, abs=near + 1e-6)
    made = performance.slo(found, bound_s, 0.9)
    (requests, failed), *_ = raw(
        store, "SELECT count(*), count(*) FILTER (WHERE status = 'error') FROM metrics.llm_requests"
    )
    assert made.table["errors"].sum() == failed
    assert found["requests"].sum() == requests


def test_a_team_sees_its_own_alone(store, span):
    (count,), *_ = raw(store, "SELECT count(*) FROM metrics.llm_requests WHERE team = %s", NASTY)
    assert records.within(span, 1.0, team=NASTY)["requests"].sum() == count
    assert records.week(span, team=NASTY)["requests"].sum() == count
    assert records.errors(span, team=NASTY)["requests"].sum() == count
    assert load.metrics(team=NASTY)["requests"].sum() == count
    assert load.latency(team=NASTY, grain="span")["requests"].sum() == count
    series = load.reader(span, NASTY)(value="requests", by=("model",))
    assert (series["y"].sum(), "team" in series.columns) == (count, False)
    assert set(series["unique_id"]) == {"gpt-4o", "o3", "home-made"}
    assert load.reader(span, "nobody")(value="requests").is_empty()


def test_the_week_and_the_classes_are_those_of_the_raw_rows(store, span):
    week = {(row["weekday"], row["hour"]): row for row in records.week(span).iter_rows(named=True)}
    for weekday, hour, hours, requests, errors, tokens in raw(
        store,
        "SELECT extract(isodow FROM ts AT TIME ZONE 'UTC')::int, extract(hour FROM ts AT TIME ZONE 'UTC')::int, "
        "count(DISTINCT date_trunc('hour', ts)), count(*), count(*) FILTER (WHERE status = 'error'), "
        "coalesce(sum(output_tokens), 0)::int FROM metrics.llm_requests GROUP BY 1, 2",
    ):
        row = week.pop((weekday, hour))
        assert [row[name] for name in ("hours", "requests", "errors", "output_tokens")] == [
            hours,
            requests,
            errors,
            tokens,
        ]
        assert requests == errors or 0.04 < row["ttft_s"] < 4.5
    assert not week
    found = records.errors(span)
    for status, name in CLASSES.items():
        (count,), *_ = raw(
            store, "SELECT count(*) FROM metrics.llm_requests WHERE status = 'error' AND http_status = %s", status
        )
        assert found[name].sum() == count > 0
    assert found["errors"].sum() == found.select(*CLASSES.values(), "other").sum_horizontal().sum()


def test_budgets_are_those_of_the_period_that_ends_with_the_span(store, monkeypatch):
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())
    with connect(store) as connection:
        for name, team, period, enabled in (
            ("m", "a", "month", True),
            ("d", None, "day", True),
            ("off", None, "day", False),
        ):
            connection.execute(
                "INSERT INTO analytics.budgets (name, team, period, limit_usd, enabled) VALUES (%s, %s, %s, 10, %s)",
                (name, team, period, enabled),
            )
    found = {row["name"]: row for row in records.budgets(datetime(2026, 4, 1, tzinfo=UTC)).iter_rows(named=True)}
    assert found.keys() == {"m", "d"}
    assert (found["m"]["starts_at"], found["m"]["ends_at"]) == (
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 4, 1, tzinfo=UTC),
    )
    assert (found["d"]["starts_at"], found["d"]["limit_usd"]) == (datetime(2026, 3, 31, tzinfo=UTC), 10.0)
    assert records.budgets(START, team="a")["name"].to_list() == ["m"]


def test_bills_and_missing_prices_are_read_by_whole_days(store, span):
    with connect(store) as connection:
        connection.execute(
            "INSERT INTO metrics.llm_billed (ts, width_s, source, reported_at, provider, line_item, model, cost_usd) "
            "VALUES (%s, 86400, 's', %s, 'openai', 'x', 'o3', 7)",
            (START + timedelta(days=1), START + timedelta(days=5)),
        )
    found = records.bills(span)
    assert found.filter(side="billed").select("provider", "cost_usd").rows() == [("openai", 7.0)]
    (cost,), *_ = raw(store, "SELECT sum(cost_usd)::float8 FROM metrics.llm_requests WHERE provider = 'openai'")
    assert found.filter(side="metered")["cost_usd"].sum() == pytest.approx(cost)
    assert records.unpriced(span).is_empty()
    assert records.spans().filter(source="llm_requests")["first"][0] == span.since
    assert records.forecasts(span.since, span.until).is_empty()


def test_a_bound_of_nothing_is_refused():
    at = datetime(2026, 3, 2, tzinfo=UTC)
    with pytest.raises(ParameterInvalid, match="bound_s"):
        records.within(Span("llm_requests", "hourly", at, at, None, None), 0)
