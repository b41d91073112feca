"""The project's own reports: on two weeks that look like a company's, on an hour, on nothing, and for one team."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from analytics import forecast, load
from collectors.llm.record import COLUMNS, Request
from pipelines import simulate
from pipelines.notebooks import names
from pipelines.writeback import save_forecast
from store.connect import connect
from store.rollup import refresh
from store.settings import load as load_settings
from store.write import write
from tests.fix_postgres import fresh_database
from tests.pipelines.executed import execute, page_of, told
from tests.pipelines.reports import charts_in

UNTIL = datetime(2026, 3, 15, 12, tzinfo=UTC)
DAYS = 15
NASTY = 'a "q" \\ <script>alert(1)</script> | $x$ `y`'
PARAMETERS = {
    "llm_cost": {"days": 7, "horizon_days": 2},
    "queue_health": {"days": 7, "horizon_days": 1, "most": 4},
    "llm_performance": {"days": 7},
    "forecast_quality": {"days": 7, "windows": 2},
    "data_quality": {"days": 7},
    "weekly_summary": {},
}
CHARTS = {  # at least
    "llm_cost": 11, "queue_health": 7, "llm_performance": 9, "forecast_quality": 3, "data_quality": 2, "weekly_summary": 2,
}  # fmt: skip
SAID = {
    "llm_cost": (
        "LLM calls cost",
        "March has cost",
        "1 of 2 budgets",
        "came from a cache",
        "instead of",
        "Raise the budget",
    ),
    "queue_health": ("4 queues hold", "its capacity of", "No gap", "consumers"),
    "llm_performance": ("first token of", "the objective of 95 %", "Slowest on", "requests failed"),
    "forecast_quality": ("1 forecast met", "was off by", "In a backtest 2 forecasts", "ensemble was best"),
    "data_quality": ("have no known price", "gap (", "openai billed", "gaugebook reconcile"),
    "weekly_summary": ("LLM calls cost", "March has cost", "1 of 2 budgets", "Raise the budget"),
}


def simulated(settings):
    """Two weeks; one team with a name to beware of, without a price; three hours that got lost; budgets; a bill."""
    lost = UNTIL - timedelta(days=3, hours=3)
    with connect(settings) as connection:
        for requests in simulate.llm_requests(UNTIL, DAYS):
            kept = [one for one in requests if not lost <= one.ts < lost + timedelta(hours=3)]
            odd = random.Random(len(kept)).sample(kept, 20)
            for one in odd:
                one.team, one.model, one.cost_usd, one.price_version = NASTY, NASTY, None, None
            write(connection, "metrics.llm_requests", COLUMNS, map(Request.values, kept))
        for samples in simulate.queue_samples(UNTIL, DAYS):
            write(connection, "metrics.rabbitmq_queues", simulate.QUEUE_COLUMNS, samples)
        for name, limit in (("all of it", 90), ("search", 900)):
            connection.execute(
                "INSERT INTO analytics.budgets (name, team, period, limit_usd) VALUES (%s, %s, 'month', %s)",
                (name, "search" if name == "search" else None, limit),
            )
        for k in range(8):
            day = UNTIL.replace(hour=0) - timedelta(days=k + 1)
            connection.execute(
                "INSERT INTO metrics.llm_billed (ts, width_s, source, reported_at, provider, line_item, model, cost_usd) "
                "VALUES (%s, 86400, 'openai-costs', %s, 'openai', 'gpt-4o', 'gpt-4o', %s)",
                (day, UNTIL, Decimal("9.5")),
            )
    refresh(settings)
    past = load.llm(settings, by=("team",), until=UNTIL - timedelta(days=2))
    save_forecast(settings, forecast(past, 36), "hourly cost_usd", source="llm_requests", by=("team",))


def one_hour(settings):
    begun = UNTIL - timedelta(hours=1)
    with connect(settings) as connection:
        *_, requests = simulate.llm_requests(UNTIL, 1)
        write(connection, "metrics.llm_requests", COLUMNS, [one.values() for one in requests if one.ts >= begun])
        *_, samples = simulate.queue_samples(UNTIL, 1)
        write(
            connection, "metrics.rabbitmq_queues", simulate.QUEUE_COLUMNS, [row for row in samples if row[0] >= begun]
        )
    refresh(settings)


def a_store(fill):
    @pytest.fixture(scope="module")
    def filled(embedded_server, embedded_template):
        with fresh_database(embedded_server.conninfo(), template=embedded_template) as dsn:
            settings = load_settings(dsn=dsn)
            fill(settings)
            yield settings

    return filled


company = a_store(simulated)
hour = a_store(one_hour)
nothing = a_store(lambda _settings: None)


@pytest.fixture(scope="module")
def made(company, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    return {report: execute(company, report, folder, **values) for report, values in PARAMETERS.items()}


def test_every_report_is_tested():
    assert names() == sorted(PARAMETERS)


@pytest.mark.parametrize("report", PARAMETERS)
def test_it_says_what_there_is_to_say(made, report):
    text = "\n".join(told(made[report]))
    plain = text.replace("<span>&#36;</span>", "$").replace("&#95;", "_").replace("&#96;", "`").replace("<code>", "")
    for sentence in SAID[report]:
        assert sentence in plain
    assert "<script>" not in text
    assert "Missing" not in text


@pytest.mark.parametrize(
    "report",
    [pytest.param(one, marks=[pytest.mark.drill] * (one not in ("llm_cost", "queue_health"))) for one in PARAMETERS],
)
def test_every_chart_is_drawn_and_the_page_is_small_and_accessible(made, browser, report):
    page = page_of(made[report])
    visit = browser.visit(page, scheme="dark", width=390)
    assert visit.plots == charts_in(made[report]) >= CHARTS[report]
    assert (visit.failed, visit.outside, visit.console) == ([], [], [])
    assert visit.scroll_width <= 390
    drawn = "return [...document.querySelectorAll('.plot')].every(p => p.querySelector('.trace, .hm, .bars'))"
    assert browser(drawn)
    assert len(browser("return document.querySelector('meta[name=description]').content")) > 20
    assert page.stat().st_size < 1_000_000
    browser(
        "document.querySelectorAll('details').forEach(one => one.open = true); document.getElementById('code').click()"
    )
    inside = ".plot > *"  # is a picture to a screen reader, and takes axe long
    assert browser.serious(but=inside) == []
    browser.scheme("light")
    browser.wait("return [...document.querySelectorAll('.plot')].every(p => p.dataset.drawn === 'light')")
    assert browser.serious(but=inside) == []


@pytest.mark.parametrize("report", PARAMETERS)
def test_the_numbers_of_every_table_and_chart_are_whole(made, report):
    page = page_of(made[report])
    there = {path.name for path in page.with_suffix("").iterdir()}
    names = {name.partition(".")[0] for name in there}
    assert there == {f"{name}.{ending}" for name in names for ending in ("csv", "parquet")}
    assert sum(name.startswith("chart-") for name in names) == charts_in(made[report])
    assert sum(name.startswith("table-") for name in names) == page.read_text().count("<table") >= 1


@pytest.mark.parametrize("report", PARAMETERS)
def test_an_hour_is_enough_to_say_something(hour, tmp_path, report):
    said = told(execute(hour, report, tmp_path))
    assert "has no rows" not in said[0]


@pytest.mark.parametrize("report", PARAMETERS)
def test_an_empty_store_is_one_clear_sentence(nothing, tmp_path, report):
    notebook = execute(nothing, report, tmp_path)
    first, *others = told(notebook)
    assert "has no rows. Is the collector running?" in first
    assert charts_in(notebook) == 0
    assert "Start what collects" in "".join(others)


@pytest.mark.parametrize("report", ["llm_performance", "weekly_summary"])
def test_a_report_for_one_team_knows_no_other(company, tmp_path, report):
    text = "\n".join(told(execute(company, report, tmp_path, team="search", **PARAMETERS[report])))
    assert "gpt-4o" in text
    for other in ("claude", "engineering", "code-review", "all of it"):
        assert other not in text


def test_usage_in_buckets_is_reported_too(nothing, tmp_path):
    with connect(nothing) as connection:
        rows = [(UNTIL - timedelta(hours=k), 3600, "s", "m", 100 + k % 24, 10, 10) for k in range(1, 200)]
        columns = ("ts", "width_s", "source", "model", "requests", "input_tokens", "output_tokens")
        write(connection, "metrics.llm_usage", columns, rows)
    refresh(nothing)
    text = "\n".join(told(execute(nothing, "llm_cost", tmp_path, source="llm_usage", days=5, horizon_days=1)))
    assert "none of them has a known price" in text
    assert "will end at" in text
