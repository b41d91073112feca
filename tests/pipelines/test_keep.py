"""Which runs keep their files."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from pipelines import ledger
from pipelines.index import write_index
from pipelines.keep import superfluous
from pipelines.ledger import Run
from pipelines.pages import files
from store.settings import load

NOW = datetime(2026, 5, 31, tzinfo=UTC)


def run(age, outcome="ok", page="a", slot=None, deliveries=()):
    begun = NOW - timedelta(days=age)
    return Run(uuid4(), page, slot or begun, {}, begun, begun, outcome, None, f"/r/{page}.html", deliveries=deliveries)


@pytest.mark.parametrize(
    ("outcomes", "most", "days", "gone"),
    [
        (["ok", "ok", "ok", "ok"], None, None, []),
        (["ok", "ok", "ok", "ok"], 2, None, [2, 3]),
        (["ok", "ok", "ok", "ok"], None, 2, [3]),
        (["ok", "ok", "ok", "ok"], 3, 1, [2, 3]),
        (["failed", "failed", "ok", "ok"], 2, None, [3]),  # the last good one stays
        (["failed", "failed", "failed", "ok"], 1, 1, [1, 2]),
        (["ok", "interrupted", "running", "replaced"], 1, None, [1, 3]),
    ],
)
def test_what_goes(outcomes, most, days, gone):
    runs = [run(age, outcome) for age, outcome in enumerate(outcomes)]
    assert superfluous(runs, most, days, now=NOW) == [runs[nr] for nr in gone]


def test_each_page_counts_by_itself():
    runs = [run(age, page=page) for page in "ab" for age in range(3)]
    assert len(superfluous(runs, 2, None, now=NOW)) == 2


def test_what_a_page_shows_is_the_run_of_the_latest_slot():
    late = run(0, slot=NOW - timedelta(days=9))  # made today for a slot of last week
    shown = run(3)
    assert superfluous([late, shown], 1, None, now=NOW) == []


def test_what_is_to_be_delivered_stays():
    runs = [run(0), run(1, deliveries=[{"outcome": "waiting"}]), run(2, deliveries=[{"outcome": "ok"}])]
    assert superfluous(runs, 1, None, now=NOW) == [runs[2]]


def test_files_go_and_the_ledger_stays(store, tmp_path):
    keep = load(dsn=store.dsn.get_secret_value(), keep_report_runs=1)
    history = tmp_path / "history"
    runs = [replace(run(age), output=str(tmp_path / "a.html"), finished_at=None) for age in (2, 1, 0)]
    for one, error in zip(runs, (None, None, "LookupError"), strict=True):
        ledger.started(store, one)
        ledger.finished(store, one, error=error)
        (tmp_path / files(one)).mkdir(parents=True)
        for path in (one.notebook, one.page, f"{files(one)}/table-1.csv", f"{files(one)}/report.pdf"):
            (tmp_path / path).write_text("")
    stranger = history / "other-20260101T000000Z-00000000.ipynb"
    stranger.write_text("{}")
    write_index(store, tmp_path)
    assert len(list(history.iterdir())) == 3 * 3 + 1  # all are kept unless a setting says otherwise
    index = write_index(keep, tmp_path).read_text()
    left = {path.name.partition(".")[0] for path in history.iterdir()}
    assert left == {stranger.stem, *(Path(one.page).stem for one in runs[1:])}  # the last good one stays
    assert Path(runs[0].notebook).name not in index
    assert len(ledger.runs(store, tmp_path)) == 3
