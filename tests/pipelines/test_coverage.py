"""What a report says of its data: what it covers, and what is missing."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from collectors.llm.record import COLUMNS, Request
from pipelines import ledger
from pipelines.coverage import Coverage, coverage
from pipelines.ledger import Run
from store.connect import connect
from store.rollup import refresh
from store.write import write
from tests.pipelines.reports import NOTEBOOKS

FIRST = datetime(2026, 5, 1, tzinfo=UTC)
LLM = 'load.span("llm_requests", days=days)'


@pytest.fixture
def covered(any_store, tmp_path):
    """What is said of a run over these hours with requests, of which some have no price or no tokens."""

    def said(hours, *, text=LLM, begun=48, unpriced=(), unmetered=(), **parameters):
        requests = [
            Request(
                ts=FIRST + timedelta(hours=hour, minutes=5),
                request_id=f"r{hour}",
                source="test",
                usage_source="missing" if hour in unmetered else "reported",
                input_tokens=None if hour in unmetered else 10,
                output_tokens=None if hour in unmetered else 10,
                cost_usd=None if hour in (*unpriced, *unmetered) else Decimal("0.5"),
            )
            for hour in hours
        ]
        with connect(any_store) as connection:
            write(connection, "metrics.llm_requests", COLUMNS, map(Request.values, requests))
        refresh(any_store)
        begun_at = FIRST + timedelta(hours=begun, minutes=10)
        output = str(tmp_path / "a.html")
        run = Run(uuid4(), "a", begun_at, parameters, begun_at, None, "running", None, output)
        ledger.started(any_store, run)
        ledger.note_data(any_store, run)
        notebook = tmp_path / "a.py"
        notebook.write_text(text)
        made = coverage(any_store, ledger.run_of(any_store, str(run.run_id)), notebook)
        ledger.finished(any_store, run)
        return made

    return said


def test_complete(covered):
    said = covered(range(48), days=1)
    assert said == Coverage(
        spans=("LLM requests: 2026-05-02 00:00 UTC to 2026-05-03 00:00 UTC",),
        data=("LLM requests: 2026-05-01 00:00 UTC to 2026-05-03 00:00 UTC",),
        faults=(),
    )


def test_gaps_prices_and_tokens_are_named(covered):
    hours = [hour for hour in range(48) if hour not in (30, 40, 41, 42)]
    said = covered(hours, days=1, unpriced=[25, 3], unmetered=[26])
    assert said.faults == (
        "LLM requests: 4 of 24 hours have no rows, the longest silence from 2026-05-02 16:00 UTC to 2026-05-02 19:00 UTC",
        "LLM requests: 2 of 20 requests have no known price and are in no cost",
        "LLM requests: 1 of 20 requests have no token counts",
    )


def test_data_that_end_before_the_report_are_late_unless_it_asks_for_no_later(covered):
    assert covered(range(48), days=1, begun=55).faults == (
        "LLM requests: late: the latest rows are 7 hours older than this report",
    )
    assert covered([], days=1, begun=55, until=(FIRST + timedelta(hours=30)).isoformat()).faults == ()


def test_rows_that_came_after_the_report_before_or_are_gone_are_named(covered, any_store):
    hours = [*range(20), *range(22, 48)]
    assert covered(hours, days=2, begun=48).faults[1:] == ()  # there is no report before
    with connect(any_store, autocommit=True) as connection:
        connection.execute("DELETE FROM metrics.llm_requests WHERE request_id = 'r30'")
    said = covered([20, 21, 48, 49], days=2, begun=50)  # the last two were yet to come
    assert said.faults == (
        "LLM requests: 1 of 48 hours have no rows, the longest silence from 2026-05-02 06:00 UTC to 2026-05-02 07:00 UTC",
        "LLM requests: 2 rows of 2026-05-01 late, not in the report of 2026-05-03 00:10 UTC",
        "LLM requests: 1 row of 2026-05-02 gone that were in the report of 2026-05-03 00:10 UTC",
    )
    assert covered([30], days=1, begun=51).faults == (
        "LLM requests: 1 row of 2026-05-02 late, not in the report of 2026-05-03 02:10 UTC",
    )


def test_data_that_end_before_the_time_asked_for_are_late(covered):
    until = (FIRST + timedelta(hours=51)).isoformat()
    assert covered(range(48), days=1, begun=90, until=until).faults == (
        "LLM requests: late: the latest rows are 3 hours older than this report",
    )


def test_a_report_without_days_says_what_there_is(covered):
    said = covered(range(3))
    assert (said.spans, len(said.data), said.faults) == ((), 1, None)


def test_a_report_of_another_source_or_none(covered):
    assert covered(range(3), text="load.queues()", days=1) == Coverage()
    assert covered([], text="1 + 1", days=1) == Coverage()


def test_it_stands_at_the_head_of_the_page(store, tmp_path):
    from pipelines.execute import execute
    from pipelines.render import Heading, render

    made = Coverage(("LLM requests: a to b",), ("LLM requests: c to d",), ("5 of 9 hours <b> have no rows",))
    execute("breaks", NOTEBOOKS / "reports/breaks.py", {"how": "no"}, store, tmp_path / "a.ipynb")
    page = render(tmp_path / "a.ipynb", Heading("breaks", "", FIRST, 1.0, coverage=made, slot=FIRST)).html
    assert "<dt>Covers</dt><dd>LLM requests: a to b</dd>" in page
    assert "<dt>Data on record</dt><dd>LLM requests: c to d</dd>" in page
    assert "<dt>Data complete</dt><dd>no</dd>" in page
    assert "<li>5 of 9 hours &lt;b&gt; have no rows</li>" in page
    assert "<dt>Slot</dt>" in page
    whole = render(tmp_path / "a.ipynb", Heading("breaks", "", FIRST, 1.0, coverage=Coverage(faults=()))).html
    assert "<dt>Data complete</dt><dd>yes</dd>" in whole
    assert 'incomplete"' not in whole
