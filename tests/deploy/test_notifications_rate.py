"""How often people are told: storms, alerts that flap, and the switch that hears nothing any more."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.receivers import Desk, desk
from tests.fix_alertmanager import SHIPPED, Alertmanager, alertmanager_serving
from tests.fix_prometheus import prometheus_program, serving, wait_until

RULES = SHIPPED.parent / "prometheus/rules"
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
SENT_AT_ONCE = 64  # alerts in one request of Prometheus


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "desk").mkdir()
    with desk(tmp_path / "desk") as receivers:
        yield receivers
    assert receivers.refused == []


@pytest.mark.drill
def test_a_storm_of_1000_queues_is_at_most_5_notifications(told: Desk, tmp_path: Path) -> None:
    """A minute is 0.3 s: 400 queues of two vhosts in each of two minutes, 100 in each of two more, by four alerts."""
    names = ("QueueGrowing", "QueueWithoutConsumers", "QueueHeadOld", "QueueFullSoon")
    storm = [
        {
            "alertname": names[n % 4],
            "severity": "warning",
            "component": "queue",
            "site": "main",
            "cluster": "prod",
            "vhost": f"/{n % 2}",
            "queue": f"orders.{n:04}",
        }
        for n in range(1000)
    ]
    with alertmanager_serving(tmp_path, told.config(faster=200), environment=told.environment) as server:
        for wave in (storm[:400], storm[400:800], storm[800:900], storm[900:]):
            began_s = time.monotonic()
            for first in range(0, len(wave), SENT_AT_ONCE):
                server.fire(*wave[first : first + SENT_AT_ONCE], summary="a queue", description="It is in trouble.")
            time.sleep(max(0, began_s + 0.3 - time.monotonic()))
        wait_until(lambda: told.mail)
        time.sleep(3)  # 10 minutes more
        assert len(server.alerts()) == 1000
        assert told.slack[-1]["title"] == "Warning: 1000 alerts · prod"
        assert told.mail[0]["Subject"] == "main: 0 critical, 1000 warning, 0 resolved"
        assert (len(told.slack), len(told.mail), len(told.pagerduty)) == (2, 1, 0)
        assert told.people + len(told.program) <= 5
        server.resolve(*storm)
        wait_until(lambda: told.slack[-1]["title"].startswith("Resolved: "))
    assert len(told.slack) <= 4  # where it ended while Alertmanager looked, in two


def test_a_storm_under_a_node_that_is_down_is_one_page(told: Desk, tmp_path: Path) -> None:
    at = {"site": "main", "cluster": "prod"}
    with alertmanager_serving(tmp_path, told.config(faster=600), environment=told.environment) as server:
        server.fire({"alertname": "RabbitMQNodeDown", "severity": "critical", "node": "rabbit@b", **at})
        queues = [{"component": "queue", "queue": f"orders.{n:04}", **at} for n in range(1000)]
        server.fire(*({"alertname": "QueueWithoutConsumers", "severity": "warning", **each} for each in queues[:500]))
        server.fire(*({"alertname": "QueueUnavailable", "severity": "critical", **each} for each in queues[500:]))
        wait_until(lambda: told.mail)
        assert len(server.alerts()) == 1001
    assert (len(told.pagerduty), len(told.slack), len(told.mail), len(told.program)) == (1, 0, 1, 1)
    assert told.mail[0]["Subject"] == "main: 1 critical, 0 warning, 0 resolved"


def seconds(duration: str) -> float:
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smh])", duration))


def shipped_alerts() -> list[dict[str, Any]]:
    groups = [group for path in RULES.glob("*.yml") for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def least_hold_s() -> float:
    """How long the alert that is shipped with the shortest `keep_firing_for` goes on after its last cause, seconds."""
    alerts = [rule for rule in shipped_alerts() if rule["alert"] != "Watchdog"]
    return min(seconds(rule.get("keep_firing_for", "0s")) for rule in alerts)


@pytest.mark.drill
def test_an_alert_that_flaps_every_minute_is_told_of_twice_an_hour(told: Desk, tmp_path: Path) -> None:
    """An hour is 10 s: Prometheus evaluates 24 times a second, and a cause is there for half of each minute, 60 times.

    `Held` has the shortest `keep_firing_for` that is shipped and no `for`; `Bare` has neither, to see that it flaps.
    """
    faster = 360
    minute_s = 60 / faster
    for name in ("am", "prometheus"):
        (tmp_path / name).mkdir()
    began_s = (
        time.time() + 8
    )  # Prometheus looks for its Alertmanagers every 5 s, and until then throws away what it has
    ended_s = began_s + 60 * minute_s
    now = "vector(time())"
    cause = f"{now} > {began_s:.3f} and {now} < {ended_s:.3f} and {now} % {minute_s} < {minute_s / 2}"
    hold = {"keep_firing_for": f"{1000 * least_hold_s() / faster:.0f}ms"}
    alerts = [
        {"alert": f"{name}{severity.title()}", "expr": cause, "labels": {"severity": severity}, **more}
        for severity in ("critical", "warning")
        for name, more in (("Held", hold), ("Bare", {}))
    ]
    rules = {"groups": [{"name": "flapping", "rules": alerts}]}
    (tmp_path / "prometheus/rules.yml").write_text(yaml.safe_dump(rules))
    with alertmanager_serving(tmp_path / "am", told.config(faster=faster), environment=told.environment) as server:
        config = prometheus_config(server, f"{15000 / faster:.0f}ms")
        # It looks for its Alertmanagers every 5 s, and until it knows them what it says is lost: it says it each second.
        flags = ("--rules.alert.resend-delay=1s",)
        with serving(prometheus_program(2), tmp_path / "prometheus", *flags, config=config) as prometheus:
            time.sleep(max(0, ended_s + 10 * minute_s - time.time()))
            fired = {
                each["metric"]["alertname"]: float(each["value"][1])
                for each in prometheus.query('count_over_time(ALERTS{alertstate="firing"}[1m])')
            }
    assert 60 < fired["BareWarning"] < 0.6 * fired["HeldWarning"]  # of 120 and 248
    pages = [(each["payload"]["class"], each["event_action"]) for each in told.pagerduty]
    assert [action for name, action in pages if name == "HeldCritical"] == ["trigger", "resolve"]
    shown = [each["title"] for each in told.slack]
    assert [title for title in shown if "Held" in title] == ["Warning: HeldWarning", "Resolved: HeldWarning"]


@pytest.mark.drill
def test_the_switch_hears_until_prometheus_is_dead(told: Desk, tmp_path: Path) -> None:
    """At a fifteenth of the times: every 0.7 s, and four intervals of Prometheus at most after its last."""
    for name in ("am", "prometheus"):
        (tmp_path / name).mkdir()
    watchdog = next(rule for rule in shipped_alerts() if rule["alert"] == "Watchdog")
    rules = {"groups": [{"name": "watchdog", "rules": [watchdog]}]}
    (tmp_path / "prometheus/rules.yml").write_text(yaml.safe_dump(rules))
    with alertmanager_serving(tmp_path / "am", told.config(faster=15), environment=told.environment) as server:
        config = prometheus_config(server, "1s")
        flags = ("--rules.alert.resend-delay=1s",)
        with serving(prometheus_program(2), tmp_path / "prometheus", *flags, config=config):
            wait_until(lambda: len(told.deadman) >= 4)
        ended_s = time.monotonic()
        time.sleep(8)
    gaps = [after - before for before, after in zip(told.deadman, told.deadman[1:], strict=False)]
    assert max(gaps) < 2.5
    assert 1.5 < told.deadman[-1] - ended_s < 5.5
    assert told.people + len(told.program) == 0


def prometheus_config(server: Alertmanager, interval: str) -> str:
    """Of a Prometheus that evaluates rules.yml for this Alertmanager."""
    return yaml.safe_dump(
        {
            "global": {"evaluation_interval": interval, "external_labels": {"site": "main"}},
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{server.port}"]}]}]},
            "rule_files": ["rules.yml"],
        }
    )
