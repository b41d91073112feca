"""The dashboards: built from code, in form, and every panel asks something that is there."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.dashboards import check
from pipelines.dashboards.ask import Asker
from pipelines.dashboards.build import build, load
from pipelines.dashboards.lint import panels, problems
from pipelines.dashboards.matrix import matrix
from pipelines.dashboards.preview import preview
from pipelines.simulate import WORKLOADS
from store import policies
from store.embedded import EmbeddedServer
from store.settings import Settings
from store.settings import load as settings_of
from tests.deploy.dialect import as_4_2, elsewhere
from tests.deploy.living import fill
from tests.deploy.pages import of_gateways, of_otlp, of_tap, of_tick
from tests.deploy.record import HERE as RECORDED
from tests.deploy.replay import Page, Past, replay
from tests.deploy.site import DEPLOY
from tests.fix_browser import Browser
from tests.fix_postgres import migrated
from tests.fix_prometheus import Prometheus

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/grafana/dashboards"
MATRIX = ROOT / "docs/operations/panels.md"
BOARDS = load(FOLDER)
CLUSTERS = {"RabbitMQ 3.10.8": "rabbit@broker", "names of 4.2": "rabbit@fourth"}
NAMES = (*CLUSTERS, "store")


@pytest.fixture(scope="module")
def living(embedded_server: EmbeddedServer, embedded_template: str) -> Iterator[tuple[Settings, datetime]]:
    """A store with three weeks of a company, and the hour until which it goes."""
    from tests.fix_postgres import fresh_database  # a plugin: pytest wants to import it itself

    with fresh_database(embedded_server.conninfo(), template=embedded_template) as dsn:
        settings = settings_of(dsn=dsn)
        yield settings, fill(settings, clusters=CLUSTERS.values())


@pytest.fixture(scope="module")
def site(living: tuple[Settings, datetime], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has watched a broker of 3.10, one that has the names of 4.2, and all of ours."""
    with replay(
        tmp_path_factory.mktemp("prometheus-"), pages_of(living[0]), Past(living[1], span_s=1800), json.dumps(BOARDS)
    ) as server:
        yield server


def pages_of(settings: Settings) -> list[Page]:
    """Of every job of prometheus.yml, the pages that it shows."""
    told = {path.stem: path.read_text() for path in RECORDED.glob("*.prom")}
    plugin, collector = told["rabbitmq"], told["gaugebook-rabbitmq"]
    return [
        Page("rabbitmq", "127.0.0.1:15692", plugin),
        Page("rabbitmq-detailed", "127.0.0.1:15692", told["rabbitmq-detailed"]),
        Page("gaugebook-rabbitmq", "127.0.0.1:9466", collector),
        Page("rabbitmq", "127.0.0.2:15692", as_4_2(plugin)),
        Page("gaugebook-rabbitmq", "127.0.0.2:9466", elsewhere(collector)),
        Page("gaugebook-otlp", "127.0.0.1:9467", of_otlp()),
        Page("gaugebook-gateways", "127.0.0.1:9468", of_gateways()),
        Page("gaugebook-llm", "127.0.0.1:9469", of_tap()),
        Page("gaugebook-tick", "127.0.0.1:9470", of_tick(settings)),
        Page("alertmanager", "127.0.0.1:9093", told["alertmanager"]),
    ]


@pytest.fixture(scope="module")
def found(living: tuple[Settings, datetime], site: Prometheus) -> dict[str, list[check.Finding]]:
    """How every query did: of the cluster of 3.10, of that of 4.2, and of the store."""
    settings, hour = living
    asker = Asker(prometheus=site.url)
    answers = {
        name: check.check(BOARDS, asker, on=name, now=hour, chosen={"cluster": [cluster], "queue": "orders"})
        for name, cluster in CLUSTERS.items()
    }
    asker.close()
    return answers | {"store": of_store(settings)}


def of_store(settings: Settings) -> list[check.Finding]:
    """How every query of the store did; what variables take from Prometheus is given."""
    chosen: dict[str, Any] = {"cluster": [*CLUSTERS.values()], "vhost": ["/"], "queue": "orders"}
    chosen |= {name: [*{getattr(work, name) for work in WORKLOADS}] for name in ("provider", "model", "team")}
    return check.check(BOARDS, Asker(store=settings), on="store", chosen=chosen)


def test_what_is_committed_is_what_the_code_builds() -> None:
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == build()


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_every_dashboard_is_in_form(board: dict[str, Any]) -> None:
    assert problems(board, BOARDS) == []


def test_what_panels_ask_of_prometheus_parses() -> None:
    assert check.parse(BOARDS) == []
    broken = [_overview()]
    target = next(target for panel in panels(broken[0]) for target in panel["targets"] if "expr" in target)
    target["expr"] = "sum("
    (said,) = check.parse(broken) or []
    assert "unclosed left parenthesis" in said


@pytest.mark.parametrize("name", NAMES)
def test_every_query_has_data_or_a_reason(found: dict[str, list[check.Finding]], name: str) -> None:
    asked = [one for one in found[name] if one.outcome != "not asked"]
    assert len(asked) > 20
    assert [one for one in asked if one.bad] == []
    slow = [one for one in asked if one.took_ms > 2000]
    assert slow == []


def test_every_query_has_data_on_timescaledb(request: pytest.FixtureRequest) -> None:
    with migrated(request, "timescale") as settings:
        policies.apply(settings)  # as `gaugebook db migrate` does
        fill(settings, clusters=CLUSTERS.values())
        assert [one for one in of_store(settings) if one.bad] == []


def test_anomalies_of_the_store_are_marked(found: dict[str, list[check.Finding]]) -> None:
    marks = {one.board: one.outcome for one in found["store"] if one.panel == "annotations: Anomalies"}
    assert set(marks) == {board["uid"] for board in BOARDS}
    assert marks["gaugebook-llm-cost"] == "data"


def test_every_reason_is_needed(found: dict[str, list[check.Finding]]) -> None:
    given = {one.said for findings in found.values() for one in findings if one.outcome == "excused"}
    assert {reason["reason"] for reason in check.reasons()} == given - {check.NOTHING_TO_MARK}


def test_the_matrix_of_the_documentation_is_what_was_found(
    found: dict[str, list[check.Finding]], tmp_path: Path
) -> None:
    head, table = MATRIX.read_text().partition("\n## ")[0], matrix(BOARDS, found)
    (tmp_path / "panels.md").write_text(f"{head}\n{table}")
    assert MATRIX.read_text() == f"{head}\n{table}", f"put {tmp_path / 'panels.md'} in its place"


def test_links_lead_to_reports_and_runbooks_that_there_are() -> None:
    for board in BOARDS:
        urls = [link["url"] for link in board["links"] if link.get("url")]
        (report,) = re.findall(r"\$\{reports\}/(\w+)\.html", " ".join(urls))
        assert (ROOT / f"notebooks/reports/{report}.py").is_file(), report
        (runbook,) = re.findall(r"\$\{runbooks\}/(\w+)\.md", " ".join(urls))
        assert (ROOT / f"docs/runbooks/{runbook}.md").is_file(), runbook


def test_alerts_lead_to_dashboards_and_variables_that_there_are() -> None:
    known = {board["uid"]: {each["name"] for each in board["templating"]["list"]} for board in BOARDS}
    links = [link for path in (DEPLOY / "rules").glob("*.yml") for link in re.findall(r"/d/\S+", path.read_text())]
    assert links
    for link in links:
        uid = re.split(r"[?\"']", link.removeprefix("/d/"))[0]
        assert uid in known, link
        assert set(re.findall(r"[?&]var-(\w+)=", link)) <= known[uid], link


def _panel(board: dict[str, Any], title: str) -> dict[str, Any]:
    return next(panel for panel in board["panels"] if panel["title"] == title)


def _overview() -> dict[str, Any]:
    return copy.deepcopy(next(board for board in BOARDS if board["uid"] == "gaugebook-rabbitmq-overview"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda board: board.update(editable=True), "it can be edited"),
        (lambda board: board.update(description=""), "no description"),
        (lambda board: board.update(unheard_of=1), "the SDK reads it and writes something else"),
        (lambda board: board["templating"]["list"].pop(0), "no variable prometheus"),
        (lambda board: board["templating"]["list"][2].update(refresh=1), "does not look again"),
        (lambda board: board["templating"]["list"][2].update(name="other"), "$cluster is used and is no variable"),
        (lambda board: _panel(board, "Depth").update(title="Ready"), "two panels are called so"),
        (lambda board: _panel(board, "Depth")["fieldConfig"]["defaults"].update(unit=""), "Depth: no unit"),
        (lambda board: _panel(board, "Depth").update(description=""), "no title or no description"),
        (lambda board: _panel(board, "Depth").update(targets=[]), "asks nothing"),
        (lambda board: _panel(board, "Depth")["datasource"].update(uid="abc"), "names a data source"),
        (lambda board: _panel(board, "Depth")["targets"][0].update(legendFormat=""), "does not name its series"),
        (lambda board: _panel(board, "Depth")["targets"][0].update(expr="rate(a_total[7m])"), "rates over 7m"),
        (lambda board: _panel(board, "Depth")["targets"][0].update(expr="sum(a_total)"), "counter a_total as it is"),
        (lambda board: _panel(board, "Depth")["gridPos"].update(x=20), "beyond the right edge"),
        (lambda board: _panel(board, "Depth")["gridPos"].update(x=8), "lies on"),
        (lambda board: board.update(links=[]), "no link to ${reports}"),
    ],
)
def test_a_fault_is_named(change: Any, said: str) -> None:
    board = _overview()
    change(board)
    assert any(said in problem for problem in problems(board, BOARDS)), problems(board, BOARDS)


def test_the_official_overview_has_nothing_that_ours_has_not() -> None:
    """Of its 41 panels each has one of ours, or two: what it asks the plugin is asked here."""
    asked = json.dumps(_overview())
    for name in OFFICIAL:
        assert name in asked, name


# The series that the 41 panels of RabbitMQ's own overview (2026-10) stand on, by ours where a rule records them.
OFFICIAL = (
    *("messages_ready:sum", "messages_delivered:rate5m", "global_publishers", "connections:sum", "queues:sum"),
    *("messages_unacked:sum", "messages_published:rate5m", "consumers:sum", "channels:sum", "rabbitmq_running:max"),
    *(
        "erlang_uptime_seconds",
        "rabbitmq_build_info",
        "resident_memory_limit_bytes",
        "disk_space_available_limit_bytes",
    ),
    *(
        "process_max_fds",
        "rabbitmq_queue_messages_ready",
        "rabbitmq_queue_messages_unacked",
        "global_messages_received_total",
    ),
    *("message_size_bytes_sum", "message_size_bytes_bucket", "global_messages_routed_total"),
    *(
        "global_messages_confirmed_total",
        "unroutable_dropped_total",
        "unroutable_returned_total",
        "received_confirm_total",
    ),
    *("delivered_consume_auto_ack_total", "delivered_consume_manual_ack_total", "messages_redelivered_total"),
    *("messages_acknowledged_total", "delivered_get_auto_ack_total", "messages_get_empty_total"),
    *("delivered_get_manual_ack_total", "queues_declared_total", "queues_created_total", "queues_deleted_total"),
    *("channels_opened_total", "channels_closed_total", "connections_opened_total", "connections_closed_total"),
)


def test_a_panel_drawn_from_the_store_is_seen(
    living: tuple[Settings, datetime], browser: Browser, tmp_path: Path
) -> None:
    costs = [board for board in BOARDS if board["uid"] == "gaugebook-llm-cost"]
    (page,) = preview(costs, Asker(store=living[0]), tmp_path)
    visit = browser.visit(page, width=1500)
    assert (visit.failed, visit.outside, [line for line in visit.console if "favicon" not in line]) == ([], [], [])
    assert visit.plots == sum(panel["type"] == "timeseries" for panel in panels(costs[0]))
    assert browser("return [...document.querySelectorAll('.fault, .nothing')].map(e => e.textContent)") == []


def test_the_command_checks_and_says_what_is_wrong(tmp_path: Path) -> None:
    run = CliRunner()
    assert run.invoke(app, ["dashboards", "build", str(tmp_path)]).exit_code == 0
    assert run.invoke(app, ["dashboards", "check", "--from", str(tmp_path)]).exit_code == 0
    path = tmp_path / "gaugebook-slo.json"
    path.write_text(path.read_text().replace('"editable": false', '"editable": true'))
    told = run.invoke(app, ["dashboards", "check", "--from", str(tmp_path)])
    assert told.exit_code == 1
    assert "gaugebook-slo: it can be edited" in told.stdout
    assert "gaugebook-slo.json" in run.invoke(app, ["dashboards", "build", str(tmp_path)]).stdout
