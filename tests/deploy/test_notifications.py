"""What people are told: a real Alertmanager with the files that are shipped, and receivers that keep what comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.deploy.receivers import Desk, desk
from tests.fix_alertmanager import NIGHT, NOON, alertmanager_serving
from tests.fix_browser import Browser
from tests.fix_prometheus import wait_until

DOWN = {
    "alertname": "RabbitMQNodeDown",
    "severity": "critical",
    "component": "rabbitmq",
    "site": "main",
    "cluster": "prod",
    "node": "rabbit@b",
}
GROWS = {"alertname": "QueueGrowing", "severity": "warning", "site": "main", "cluster": "prod", "vhost": "/"}
GROWS["component"] = "queue"
COST = {"alertname": "HighLLMCosts", "severity": "warning", "component": "cost", "site": "main", "team": "search"}
SAYS = {
    "summary": "RabbitMQ node rabbit@b is down",
    "description": "The other nodes of prod say that rabbit@b does not run.",
    "dashboard": "/d/gaugebook-rabbitmq-overview?var-cluster=prod&var-node=rabbit%40b",  # as the rules have it
    "runbook_url": "docs/runbooks/RabbitMQNodeDown.md",
}
LINKS = {  # what addresses.tmpl makes of these paths
    "Dashboard": f"https://grafana.example.com{SAYS['dashboard']}",
    "Runbook": f"https://git.example.com/gaugebook/blob/main/{SAYS['runbook_url']}",
}
CHEAP = {
    "summary": "search has spent $70 on models within an hour",
    "description": "More than $50. The cost dashboard shows which project and model it was.",
    "dashboard": "https://grafana.example.com/d/gaugebook-llm-cost?var-team=search",
    "runbook_url": "https://wiki.example.com/HighLLMCosts?a=b&c=d",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("told")


@pytest.fixture(scope="module")
def receivers(folder: Path) -> Iterator[Desk]:
    with desk(folder) as told:
        yield told


@pytest.fixture
def told(receivers: Desk) -> Iterator[Desk]:
    """Everybody, who has not been told anything yet. What they refuse fails the test."""
    receivers.clear()
    yield receivers
    assert receivers.refused == []


def queue(n: int, **more: str) -> dict[str, str]:
    return {**GROWS, "queue": f"orders.{n:04}", **more}


def test_a_page_begins_and_ends(told: Desk, tmp_path: Path) -> None:
    with alertmanager_serving(tmp_path, told.config(faster=6000), environment=told.environment) as server:
        server.fire(DOWN, **SAYS)
        wait_until(lambda: told.pagerduty and told.program)
        server.resolve(DOWN, **SAYS)
        wait_until(lambda: len(told.pagerduty) == len(told.program) == 2)
    begins, ends = told.pagerduty
    assert begins["dedup_key"] == ends["dedup_key"]
    assert (begins["event_action"], ends["event_action"]) == ("trigger", "resolve")
    assert begins["payload"]["summary"] == "Critical: RabbitMQ node rabbit@b is down · prod"
    assert ends["payload"]["summary"] == "Resolved: RabbitMQ node rabbit@b is down · prod"
    told_of = {name: begins["payload"][name] for name in ("source", "severity", "class", "group")}
    assert told_of == {"source": "rabbit@b", "severity": "critical", "class": "RabbitMQNodeDown", "group": "prod"}
    details = begins["payload"]["custom_details"]
    assert (details["num_firing"], details["num_resolved"], details["resolved"]) == ("1", "0", "")
    assert "rabbit@b is down · prod, since " in details["firing"]
    assert SAYS["description"] in details["firing"]
    assert {link["text"]: link["href"] for link in begins["links"]} == LINKS
    assert begins["client_url"] == LINKS["Dashboard"]
    assert [each["status"] for each in told.program] == ["firing", "resolved"]
    assert told.program[0]["alerts"][0]["labels"] == DOWN
    assert told.slack == []


def test_a_warning_begins_and_ends(told: Desk, tmp_path: Path) -> None:
    with alertmanager_serving(tmp_path, told.config(faster=6000), environment=told.environment) as server:
        server.fire(COST, **CHEAP)
        wait_until(lambda: told.slack)
        server.resolve(COST, **CHEAP)
        wait_until(lambda: len(told.slack) == 2)
    begins, ends = told.slack
    assert begins["title"] == begins["fallback"] == f"Warning: {CHEAP['summary']}"
    assert ends["title"] == f"Resolved: {CHEAP['summary']}"
    assert (begins["color"], ends["color"]) == ("warning", "good")
    assert begins["title_link"] == CHEAP["dashboard"]
    said, about = begins["text"].splitlines()
    assert said == CHEAP["description"]
    assert about.startswith("_since ")
    assert about.endswith(f"_ · <{CHEAP['dashboard']}|Dashboard> · <{CHEAP['runbook_url']}|Runbook>")
    assert ", for " in ends["text"]
    assert told.pagerduty == []


def test_the_digest_has_all_of_it_in_html_and_in_text(told: Desk, tmp_path: Path, browser: Browser) -> None:
    with alertmanager_serving(tmp_path, told.config(faster=12_000), environment=told.environment) as server:
        server.fire(COST, **CHEAP)
        server.fire(DOWN, **SAYS)
        wait_until(lambda: told.mail)
        server.resolve(DOWN, **SAYS)
        wait_until(lambda: len(told.mail) == 2)
        server.resolve(COST, **CHEAP)
        wait_until(lambda: len(told.mail) == 3)
    first, second, third = told.mail
    assert first["Subject"] == "main: 1 critical, 1 warning, 0 resolved"
    assert second["Subject"] == "main: 0 critical, 1 warning, 1 resolved"
    assert third["Subject"] == "main: all well, 1 resolved"
    assert (first["From"], first["To"]) == ("alerts@example.com", "oncall@example.com")
    text, html = (first.get_body((kind,)).get_content() for kind in ("plain", "html"))  # type: ignore[union-attr]
    page = tmp_path / "digest.html"
    page.write_text(html)
    assert all(words in text for words in [*SAYS.values(), *LINKS.values(), *CHEAP.values()])
    assert text.index(SAYS["summary"]) < text.index(CHEAP["summary"])  # the worse comes first
    visit = browser.visit(page, width=360)
    assert visit.scroll_width == visit.width == 360
    assert visit.outside == []
    assert browser.serious() == []
    shown = browser("return document.body.innerText")
    said = [f"{SAYS['summary']} · prod", SAYS["description"], CHEAP["summary"], CHEAP["description"]]
    assert [line for line in shown.splitlines() if line in said] == said
    links = browser("return [...document.querySelectorAll('a')].map(link => link.href)")
    assert links == [*LINKS.values(), CHEAP["dashboard"], CHEAP["runbook_url"]]


def test_a_name_that_would_call_everybody_does_not(told: Desk, tmp_path: Path) -> None:
    named = "<!channel>\n<b>&amp"
    with alertmanager_serving(tmp_path, told.config(faster=6000), environment=told.environment) as server:
        server.fire({**GROWS, "queue": named}, **CHEAP | {"summary": f"{named} grows", "description": f"{named}!"})
        wait_until(lambda: told.slack and told.mail)
    assert told.slack[0]["title"] == "Warning: ‹!channel› ‹b›&amp grows · prod"
    html = told.mail[0].get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "<b>" not in html
    assert "&lt;!channel&gt;" in html


def test_of_many_the_first_are_named_and_all_are_counted(told: Desk, tmp_path: Path) -> None:
    with alertmanager_serving(tmp_path, told.config(faster=600), environment=told.environment) as server:
        for n in range(60):
            server.fire(queue(n, severity="critical"), **SAYS | {"summary": f"queue {n} is full", "dashboard": ""})
        wait_until(lambda: told.mail)
    assert told.pagerduty[-1]["payload"]["summary"] == "Critical: 60 × QueueGrowing · prod · /"
    assert "… the first 20 of 60" in told.pagerduty[-1]["payload"]["custom_details"]["firing"]
    text = told.mail[0].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert text.count("is full") == 50
    assert "… the first 50 of 60 critical" in text


CAUSES = [
    DOWN,
    {**DOWN, "alertname": "RabbitMQDown", "cluster": "old", "instance": "10.0.0.7:9466"},
    {**DOWN, "alertname": "RabbitMQFileDescriptors", "node": "rabbit@a"},
    {"alertname": "StoreDown", "severity": "critical", "site": "main"},
]
WARNED = {"severity": "warning", "site": "main"}
FOLLOWS = [  # from them
    *(queue(n) for n in range(50)),
    queue(50, severity="critical", alertname="QueueNotRunning"),
    queue(51, cluster="old"),
    {**WARNED, "alertname": "RabbitMQClusterShrunk", "cluster": "prod"},
    {**WARNED, "alertname": "RabbitMQFileDescriptors", "cluster": "prod", "node": "rabbit@a"},
    {**WARNED, "alertname": "LLMTrafficStopped", "team": "search", "depends_on": "rabbitmq"},
    {**WARNED, "alertname": "StoreWritesFail", "severity": "critical", "job": "gaugebook-otlp"},
]
STANDS_ALONE = [
    queue(52, cluster="test"),
    {**WARNED, "alertname": "RabbitMQClusterShrunk", "cluster": "prod", "severity": "critical"},
    {**WARNED, "alertname": "RabbitMQFileDescriptors", "cluster": "prod", "node": "rabbit@c"},
    {**WARNED, "alertname": "LLMTrafficStopped", "site": "other", "depends_on": "rabbitmq"},
    {**WARNED, "alertname": "SpoolBacklog", "severity": "critical", "job": "gaugebook-otlp"},
]


def test_what_follows_from_something_worse_is_not_told(told: Desk, tmp_path: Path) -> None:
    with alertmanager_serving(tmp_path, told.config(faster=600), environment=told.environment) as server:
        server.fire(*CAUSES, **SAYS)
        wait_until(lambda: len(told.pagerduty) == len(CAUSES))
        server.fire(*FOLLOWS, *STANDS_ALONE, **SAYS)
        wait_until(lambda: len(told.slack) == 3 and len(told.pagerduty) == len(CAUSES) + 2 and len(told.mail) == 2)
        muted = [sorted(each["labels"].items()) for each in server.alerts() if each["status"]["inhibitedBy"]]
        assert sorted(muted) == sorted(sorted(labels.items()) for labels in FOLLOWS)
        server.resolve(DOWN, **SAYS)
        wait_until(lambda: any("50 × QueueGrowing" in each["title"] for each in told.slack))


@pytest.mark.parametrize(("hour", "weekend"), [(NIGHT, False), (NOON, True)], ids=["night", "weekend"])
def test_warnings_wait_for_the_morning(told: Desk, tmp_path: Path, hour: int, weekend: bool) -> None:
    muted = told.config(faster=1200, hour=hour, weekend=weekend)
    with alertmanager_serving(tmp_path, muted, environment=told.environment) as server:
        server.fire(COST, **CHEAP)
        server.fire(queue(1), DOWN, {"alertname": "NoSeverity"}, **SAYS)
        server.fire(queue(2), **SAYS)
        wait_until(lambda: told.pagerduty and told.program and told.mail)
        time.sleep(0.3)  # a group_interval more
        assert [each["title"] for each in told.slack] == [f"Alert: {SAYS['summary']}"]
        server.resolve(queue(2), COST)
        time.sleep(0.3)
        (tmp_path / "alertmanager.yml").write_text(told.config(faster=1200))
        assert server.client.post("/-/reload").status_code == httpx2.codes.OK
        server.resolve(DOWN)
        wait_until(lambda: len(told.slack) > 1)
        time.sleep(0.3)
    assert [each["title"] for each in told.slack[1:]] == [f"Warning: {SAYS['summary']} · prod"]
    assert [each["event_action"] for each in told.pagerduty] == ["trigger", "resolve"]  # nobody is told twice


def test_a_silence_is_kept(told: Desk, tmp_path: Path) -> None:
    with alertmanager_serving(tmp_path, told.config(faster=600), environment=told.environment) as server:
        server.silence(alertname="HighLLMCosts", team="search")
        server.fire(COST, {**COST, "team": "other"}, **CHEAP)
        wait_until(lambda: told.slack)
        assert [each["labels"]["team"] for each in server.alerts() if each["status"]["silencedBy"]] == ["search"]
    assert told.slack[0]["title"] == f"Warning: {CHEAP['summary']}"
