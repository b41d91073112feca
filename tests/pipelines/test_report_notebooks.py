"""The project's own reports, on a store with a little data and on an empty one."""

from datetime import UTC, datetime

import pytest

from collectors.llm.record import COLUMNS, Request
from pipelines import simulate
from pipelines.index import write_index
from pipelines.notebooks import names
from pipelines.publish import Wanted, make_reports
from store.connect import connect
from store.rollup import refresh
from store.settings import load
from store.write import write
from tests.fix_postgres import fresh_database
from tests.pipelines.reports import charts_in

UNTIL = datetime(2026, 3, 15, 12, tzinfo=UTC)
DAYS = 14
PARAMETERS = {"llm_cost": {"days": 10, "horizon_days": 2}, "queue_health": {"days": 10, "horizon_days": 1, "most": 4}}
LEAST_CHARTS = {"llm_cost": 6, "queue_health": 5}


@pytest.fixture(scope="module")
def made(embedded_server, migrated_template, tmp_path_factory):
    with fresh_database(embedded_server.conninfo(), template=migrated_template) as dsn:
        folder = tmp_path_factory.mktemp("reports")
        settings = load(dsn=dsn, reports=folder)
        with connect(settings) as connection:
            for requests in simulate.llm_requests(UNTIL, DAYS):
                write(connection, "metrics.llm_requests", COLUMNS, map(Request.values, requests))
            for samples in simulate.queue_samples(UNTIL, DAYS):
                write(connection, "metrics.rabbitmq_queues", simulate.QUEUE_COLUMNS, samples)
        refresh(settings)
        made = make_reports(settings, [Wanted(*one) for one in PARAMETERS.items()])
        write_index(settings, folder)
        yield {report.report: report for report in made}


@pytest.mark.parametrize("report", PARAMETERS)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_every_chart_is_drawn(made, browser, report, scheme, width):
    visit = browser.visit(made[report].html, scheme=scheme, width=width)
    assert visit.plots == charts_in(made[report].notebook) >= LEAST_CHARTS[report]
    assert (visit.failed, visit.outside, visit.console) == ([], [], [])
    assert visit.scroll_width <= width
    drawn = "return [...document.querySelectorAll('.plot')].every(p => p.querySelector('.trace, .hm, .bars'))"
    assert browser(drawn)
    assert browser("return document.querySelectorAll('.article table').length") >= 2
    assert "Traceback" not in browser("return document.body.innerText")


@pytest.mark.parametrize("report", PARAMETERS)
def test_it_says_what_it_covers(made, browser, report):
    browser.visit(made[report].html)
    facts = browser("return document.querySelector('.facts').innerText")
    assert "days\n10" in facts
    assert len(browser("return document.querySelector('meta[name=description]').content")) > 20


@pytest.mark.parametrize("report", names())
def test_an_empty_store_makes_a_page_that_says_so(store, browser, tmp_path, report):
    (page,) = make_reports(store, [Wanted(report)], output=tmp_path)
    visit = browser.visit(page.html)
    assert visit.plots == charts_in(page.notebook)
    assert visit.console == []
    assert "no rows" in browser("return document.body.innerText").lower()
