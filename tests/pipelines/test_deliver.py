"""What the ledger says of deliveries: at least once, later again, given up in the end, and never a secret."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.types.json import Jsonb

from pipelines import deliver, ledger
from pipelines.delivery.wanted import Email, Folder, Print, Webhook
from pipelines.index import write_index
from store.connect import connect
from tests.servers import free_port

NOW = datetime(2026, 5, 1, 6, tzinfo=UTC)
CANARY = "canary-0f8e5b"


@pytest.fixture
def sent(reports, good_run):
    """Delivers the run to these places, once at each of these moments: what was told, and what the ledger then holds."""

    def run(*deliveries, moments=(NOW,)):
        with connect(reports, autocommit=True) as connection:
            note = "UPDATE analytics.report_run SET job = 'walk', deliveries = %s WHERE run_id = %s"
            connection.execute(note, [Jsonb(deliver.wanted(deliveries)), good_run.run_id])
            told = []
            for now in moments:
                told += deliver.deliver(connection, ledger.run_of(reports, str(good_run.run_id)), now=now)
        return told, ledger.run_of(reports, str(good_run.run_id)).deliveries

    return run


def test_each_delivery_has_an_outcome_of_its_own(sent, service, tmp_path):
    dead = Email(to="email", addresses=["a@example.com"], port=free_port(), pictures=False)
    hook = Webhook(to="webhook", url=service.url)
    told, (folder, email, webhook) = sent(Folder(to="folder", path=str(tmp_path / "www")), dead, hook)
    assert told == []
    assert [one["outcome"] for one in (folder, email, webhook)] == ["ok", "waiting", "ok"]
    assert email["error"] == "localhost: Connection refused"
    assert email["retry_at"] == NOW.isoformat()
    assert len(service.asked) == 1


def test_each_is_noted_before_the_next_begins(sent, service, reports, good_run, tmp_path):
    """So that a tick that is killed during the second does not make the first again."""
    seen = []

    def look(_asked):
        seen.extend(one["outcome"] for one in ledger.run_of(reports, str(good_run.run_id)).deliveries)
        return 200, b""

    service.answers = look
    sent(Folder(to="folder", path=str(tmp_path / "www")), Webhook(to="webhook", url=service.url))
    assert seen == ["ok", "waiting"]


def test_one_that_fails_is_tried_later_and_given_up(sent, service):
    service.answers = lambda asked: (500, b"no")
    minutes = [NOW + timedelta(minutes=10 * nr) for nr in range(6 * 6)]
    told, (one,) = sent(Webhook(to="webhook", url=service.url), moments=minutes)
    assert (one["outcome"], one["attempts"], len(service.asked)) == ("failed", deliver.ATTEMPTS, deliver.ATTEMPTS)
    assert told == [f"walk: delivery to {service.url}: given up after 10: it answers 500: no"]
    assert timedelta(hours=2) < datetime.fromisoformat(one["at"]) - NOW < timedelta(hours=6)


def test_it_is_tried_until_it_works(sent, service):
    service.answers = lambda asked: (503 if len(service.asked) < 3 else 200, b"")
    moments = [NOW + timedelta(minutes=nr) for nr in range(10)]
    told, (one,) = sent(Webhook(to="webhook", url=service.url), moments=moments)
    assert (told, one["outcome"], one["attempts"], one["error"]) == ([], "ok", 3, None)
    assert len({asked.headers["idempotency-key"] for asked in service.asked}) == 1


def test_a_delivery_of_another_release_is_given_up_at_once(sent, reports, good_run):
    class Fax(Folder):
        to: str = "fax"

    (told,), (one,) = sent(Fax.model_construct(to="fax", path="1"))
    assert one["outcome"] == "failed"
    assert "this release cannot carry it out" in told
    index = write_index(reports, reports.reports).read_text()
    assert "Not delivered: " in index


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_secret_is_nowhere(sent, service, reports, good_run, monkeypatch, tmp_path, caplog, place):
    """The service says it back, which is what logs and ledgers are made of."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HOOK_URL", f"{service.url}/{CANARY}")
    (tmp_path / "url").write_text(f"{service.url}/{CANARY}")
    secret = {"env": "HOOK_URL"} if place == "environment" else {"file": str(tmp_path / "url")}
    hook = Webhook.model_validate({"to": "webhook", "url": secret, "secret": secret})
    service.answers = lambda asked: (500, f"no {service.url}{asked.path}".encode())
    minutes = [NOW + timedelta(hours=nr) for nr in range(12)]
    told, ledger_says = sent(hook, moments=minutes)
    assert service.asked[0].path == f"/{CANARY}"
    assert ledger_says[0]["outcome"] == "failed"
    assert "it answers 500: no ***" in told[0]
    index = write_index(reports, reports.reports).read_text()
    seen = [*told, json.dumps(ledger_says), caplog.text, index, (reports.reports / "walk.html").read_text()]
    assert not any(CANARY in text for text in seen)
    with connect(reports) as connection:
        assert connection.execute(
            "SELECT count(*) FROM audit.access_log WHERE access_log::text LIKE %s", [f"%{CANARY}%"]
        ).fetchone() == (0,)


def test_a_print_is_a_delivery(sent, reports, good_run, browser):
    told, (one,) = sent(Print(to="print"))
    assert (told, one["outcome"]) == ([], "ok")
    index = write_index(reports, reports.reports)
    visit = browser.visit(index)
    assert (visit.failed, visit.console) == ([], [])
    pdf = browser("return document.querySelector('.card a[href$=\".pdf\"]').href")
    assert pdf.endswith("/report.pdf")
    assert browser("return document.querySelectorAll('.card details a[href$=\".csv\"]').length") == 7
