"""The watch: what hangs or fails holds up nothing, what changes is told, and real servers that go are missed in time."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from psycopg.conninfo import make_conninfo

from collectors.exposition import Exposition, Health
from collectors.sink import Batch, StoreSink
from pipelines.cli.doctor import doctor
from pipelines.doctor import Finding
from pipelines.looks import looks, spools
from pipelines.watch import Look, Watch
from pipelines.watched_servers import Servers, Target
from store.connect import connect
from store.errors import ParameterInvalid, SourceError
from store.settings import load
from tests.fix_alertmanager import alertmanager_serving
from tests.fix_prometheus import prometheus_program, serving, wait_until
from tests.network import Proxy
from tests.servers import free_port

NOTICED_S = 10.0
DEFAULT_S = 5.0  # between two looks, if nobody says otherwise
EVERY_S = 0.5


def finding(state, found="as it is", what="thing", parts=()):
    return Finding(what, state, found, "", parts)


def test_what_hangs_or_fails_holds_up_nothing():
    free, begun = threading.Event(), []

    def hang():
        begun.append(1)
        free.wait()
        return [finding("ok", what="slow")]

    def fail():
        raise ValueError("no such\nthing")

    watch = Watch([Look("slow", hang), Look("bad", fail), Look("thing", lambda: [finding("ok")])], limit_s=0.2)
    began = time.monotonic()
    found, changes = watch.round()
    assert time.monotonic() - began < 5
    assert [(one.what, one.state) for one in found] == [("slow", "broken"), ("bad", "broken"), ("thing", "ok")]
    assert found[0].found.startswith("no answer since ")
    assert found[1].found == "ValueError: no such"
    assert [change.before for change in changes] == [None] * 3
    assert watch.round()[1] == []
    assert len(begun) == 1  # the one that hangs is not begun again and again
    free.set()
    wait_until(lambda: watch.round()[0][0].state == "ok", 5)


def test_changes_are_told_once_and_what_was_there_is_missed():
    said = [finding("absent", "none")]
    watch = Watch([Look("thing", lambda: list(said))])

    def changed(*now):
        said[:] = now
        return [re.sub(r"^\d\d:\d\d:\d\d ", "", str(change)) for change in watch.round()[1]]

    assert changed(finding("absent", "none")) == ["thing: absent: none"]
    assert changed(finding("ok", "1 s ago")) == ["thing: absent -> ok: 1 s ago"]
    assert changed(finding("ok", "2 s ago")) == []  # other words are no news
    assert changed(finding("absent", "gone")) == ["thing: ok -> broken: gone"]
    assert changed(finding("broken", "a", parts=("a",))) == ["thing: broken: a"]  # and other causes are
    assert changed() == []  # of a server that is away nothing else is known
    assert changed(finding("ok", "well"), finding("broken", "not")) == ["thing: broken: not"]
    assert changed(finding("ok", "well")) == ["thing: broken -> ok: well"]


def test_what_waits_in_spools_is_seen_from_outside(tmp_path, monkeypatch):
    away = load(dsn="postgresql://nobody@127.0.0.1:1/none", spool=tmp_path / "spool", connect_timeout_s=2)
    assert spools(away).state == "absent"
    health = Health("rabbitmq", CollectorRegistry())
    sink = StoreSink(away, health, "rabbitmq")
    assert (spools(away).state, spools(away).found) == ("ok", f"nothing waits in {tmp_path}/spool")
    sink.write(
        Batch("metrics.rabbitmq_overview", ("ts", "cluster"), [(f"2026-01-01T00:00:{n:02d}Z", "c") for n in range(60)])
    )
    there = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    found = spools(away)
    assert found.state == "ok"  # it may wait for a moment
    assert re.search(r"wait in \S+/spool: rabbitmq-0; the oldest row for", found.found)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == there
    sink.close(0.1)
    assert "rabbitmq-0" in spools(away).found  # and when its program has ended
    later = time.time() + 3600
    monkeypatch.setattr("pipelines.looks.time.time", lambda: later)
    assert (spools(away).state, spools(away).parts) == ("broken", ("rabbitmq-0",))


CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}
scrape_configs:
  - {{job_name: gaugebook-rabbitmq, static_configs: [{{targets: ["127.0.0.1:{page}"]}}]}}
"""
RULES = """\
groups:
  - name: all
    rules:
      - {alert: Watchdog, expr: vector(1), labels: {severity: none}}
      - {alert: StoreDown, expr: "up{job='gaugebook-rabbitmq'} == 0", labels: {severity: critical}}
      - {alert: QueueDeep, expr: "gaugebook_collector_rows_buffered > 1e9", labels: {severity: warning}}
"""


class Site:
    """All that is watched, each behind a port that can be cut, and what the watch has said of it."""

    def __init__(self, proxies, watch):
        self.proxies, self.watch, self.said, self.found = proxies, watch, [], {}

    def look(self):
        found, changes = self.watch.round()
        self.found = {one.what: one for one in found}
        self.said += map(str, changes)
        return self.found

    def state(self, *names):
        return {name: self.found[name].state for name in names if name in self.found}


@pytest.fixture
def site(store, broker, tmp_path):
    """A database, a broker, a collector's page, Prometheus and Alertmanager."""
    registry = CollectorRegistry()
    health = Health("rabbitmq", registry)
    health.succeeded(0.1)
    manager, server = tmp_path / "alertmanager", tmp_path / "prometheus"
    manager.mkdir()
    server.mkdir()
    (server / "rules.yml").write_text(RULES)
    lonely = "route: {receiver: none}\nreceivers: [{name: none}]\n"
    with Exposition(load(metrics_port=0), registry) as page, alertmanager_serving(manager, lonely) as alerts:
        proxies = {
            "database": Proxy.of_database(store),
            "RabbitMQ": Proxy.of_port(broker.management_port),
            "plugin": Proxy.of_port(broker.prometheus_port),
            "program": Proxy.of_port(page.port),
            "Alertmanager": Proxy.of_port(alerts.port),
        }
        config = CONFIG.format(alertmanager=proxies["Alertmanager"].port, page=proxies["program"].port)
        with serving(prometheus_program(2), server, config=config) as prometheus:
            proxies["Prometheus"] = Proxy.of_port(prometheus.port)
            dsn = make_conninfo(store.dsn.get_secret_value(), host="127.0.0.1", port=proxies["database"].port)
            settings = load(
                dsn=dsn,
                home=tmp_path,
                rabbitmq_url=f"http://guest:guest@127.0.0.1:{proxies['RabbitMQ'].port}",
                rabbitmq_prometheus_url=(f"http://127.0.0.1:{proxies['plugin'].port}",),
                prometheus_url=f"http://127.0.0.1:{proxies['Prometheus'].port}",
                metrics_port=free_port(),
            )
            made = Site(proxies, Watch(looks(settings)))
            made.health = health
            made.program = f"program rabbitmq 127.0.0.1:{proxies['program'].port}"
            try:
                yield made
            finally:
                for proxy in proxies.values():
                    proxy.close()


def test_what_is_killed_or_stands_still_is_noticed_in_time(site):
    watched = ("database", "RabbitMQ", site.program, "Prometheus", "Alertmanager")
    well = dict.fromkeys(watched, "ok")
    wait_until(lambda: site.look() and site.state(*watched) == well, 30, EVERY_S)
    wait_until(lambda: site.look()["targets"].state == "ok" and "1 scraped" in site.found["targets"].found, 30, EVERY_S)
    assert site.state("alerts", "rules", "rollups", "schedule") == {
        "alerts": "ok",  # Watchdog is none
        "rules": "ok",
        "rollups": "ok",
        "schedule": "absent",
    }
    assert site.found["Prometheus"].found.endswith(f"at http://127.0.0.1:{site.proxies['Prometheus'].port}")

    # It stands still: nobody is told that a connection is dead, and nothing comes.
    began = time.monotonic()
    with ExitStack() as still:
        for proxy in site.proxies.values():
            still.enter_context(proxy.cut())
        wait_until(lambda: site.look() and set(site.state(*watched).values()) == {"broken"}, NOTICED_S, EVERY_S)
        assert time.monotonic() - began + DEFAULT_S < NOTICED_S + EVERY_S
    wait_until(lambda: site.look() and site.state(*watched) == well, 60, EVERY_S)

    site.health.dropped(7, "spool_full")
    wait_until(lambda: site.look()[site.program].parts == ("7 rows were lost just now",), 10, EVERY_S)
    assert site.look()[site.program].state == "ok"
    site.said.clear()

    # It is gone.
    began = time.monotonic()
    for name in ("database", "RabbitMQ", "plugin", "program"):
        site.proxies[name].close()
    wait_until(lambda: site.look() and set(site.state(*watched[:3]).values()) == {"broken"}, NOTICED_S, EVERY_S)
    assert time.monotonic() - began + DEFAULT_S < NOTICED_S
    told = "\n".join(site.said)
    assert re.search(r"^\d\d:\d\d:\d\d database: ok -> broken: cannot reach the database", told, re.MULTILINE)
    assert re.search(r"RabbitMQ: ok -> broken: .*nobody answers", told)
    assert re.search(rf"{site.program}: ok -> broken: .*nobody answers", told)
    wait_until(lambda: site.look()["alerts"].parts, 20, EVERY_S)  # and Prometheus says so, too
    assert site.found["alerts"].found == f"1 firing: StoreDown 127.0.0.1:{site.proxies['program'].port}"
    gone = (f"gaugebook-rabbitmq 127.0.0.1:{site.proxies['program'].port}",)
    wait_until(lambda: site.look()["targets"].parts == gone, 20, EVERY_S)
    for name in ("Prometheus", "Alertmanager"):
        site.proxies[name].close()
    wait_until(
        lambda: site.look() and site.state(*watched[3:]) == dict.fromkeys(watched[3:], "broken"), NOTICED_S, EVERY_S
    )


def test_a_page_that_only_prometheus_reaches_is_not_called_dead():
    servers, far = Servers(load()), Target("gaugebook-otlp", "http://far.example:9467/metrics")
    away = SourceError("http://far.example:9467", "nobody answers", "down")
    states = []
    for up in (True, False):
        servers._targets = {far: up}
        states.append(servers._page(far, away).state)
    assert states == ["absent", "broken"]
    servers._targets = {far: True}
    assert servers._page(far, httpx2.Response(200, text="llm_waiting_rows 3.0\n")).found == "3 rows wait"
    assert servers._page(far, away).state == "broken"  # it did answer


def test_it_writes_nothing(store, tmp_path):
    settings = load(
        dsn=store.dsn, home=tmp_path, rabbitmq_url="http://127.0.0.1:9", prometheus_url="http://127.0.0.1:9"
    )
    with connect(store, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        written = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_all_tables WHERE schemaname IN ('metrics', 'analytics', 'audit')"
        before = connection.execute(written).fetchone()
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        watch = Watch(looks(settings))
        for _ in range(2):
            found = {one.what: one for one in watch.round()[0]}
            assert found["database"].state == "ok"
            assert found["rollups"].state == "ok"
            assert found["schedule"].state == "absent"
        assert connection.execute(written).fetchone() == before


def gaugebook(store, tmp_path, *words, **how):
    nowhere = {f"GAUGEBOOK_{name}_URL": "http://127.0.0.1:9" for name in ("RABBITMQ", "PROMETHEUS")}
    dsn = store.dsn.get_secret_value()
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "doctor", *words],
        env={**os.environ, **nowhere, "GAUGEBOOK_DSN": dsn, "GAUGEBOOK_HOME": str(tmp_path), "TERM": "xterm"},
        **how,
    )


def test_where_there_is_no_terminal_each_change_is_a_line(store, tmp_path):
    proxy = Proxy.of_database(store)
    there = load(dsn=make_conninfo(store.dsn.get_secret_value(), host="127.0.0.1", port=proxy.port))
    watch = gaugebook(
        there, tmp_path, "--watch", "--every", "1s", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    lines = iter(watch.stdout.readline, "")
    first = []
    for line in lines:
        first.append(line.rstrip())
        if " Alertmanager: " in line:  # the last of the first round
            break
    assert all(re.match(r"\d\d:\d\d:\d\d [\w./: ]+: (ok|absent|broken): ", line) for line in first)
    assert any(" database: ok: PostgreSQL" in line for line in first)
    proxy.close()
    assert " database: ok -> broken: cannot reach the database" in next(lines)
    watch.send_signal(signal.SIGINT)
    out, err = watch.communicate(timeout=20)
    assert (watch.returncode, out, err) == (0, "", "")


def test_on_a_terminal_it_is_a_table_until_ctrl_c(store, tmp_path):
    ours, theirs = pty.openpty()
    watch = gaugebook(store, tmp_path, "--watch", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""

    def read():
        nonlocal shown
        if select.select([ours], [], [], 0.2)[0]:
            shown += os.read(ours, 1 << 16)
        return b"Alertmanager" in shown and b"every 5 s" in shown

    wait_until(read, 30)
    watch.send_signal(signal.SIGINT)
    assert watch.wait(20) == 0
    wait_until(lambda: read() and shown.endswith(b"\x1b[?25h"), 5)  # the cursor is back
    assert b"Traceback" not in shown
    os.close(ours)


@pytest.mark.parametrize("every", ["5", "0s", "100ms", "soon"])
def test_a_time_that_is_none(every):
    with pytest.raises(ParameterInvalid, match="'every'.*5s or 1m"):
        doctor(watch=True, every=every)


def test_a_time_goes_with_the_watch():
    with pytest.raises(ParameterInvalid, match="--watch"):
        doctor(every="10s")
