"""Two Alertmanagers tell once: by gossip alone, and under a Prometheus that asks for TLS and has a password."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from tests.deploy.receivers import Desk, desk
from tests.deploy.test_prometheus import HASH, PASSWORD, promtool
from tests.fix_alertmanager import SHIPPED, Alertmanager, alertmanager_serving
from tests.fix_prometheus import prometheus_program, serving, wait_until
from tests.servers import free_port

PROMETHEUS = SHIPPED.parent / "prometheus"
DOWN = {"alertname": "RabbitMQDown", "severity": "critical", "site": "main"}


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "desk").mkdir()
    with desk(tmp_path / "desk") as receivers:
        yield receivers
    assert receivers.refused == []


@contextmanager
def pair(told: Desk, folder: Path, *flags: str, **options: Any) -> Iterator[list[tuple[Alertmanager, ExitStack]]]:
    """Two that know each other, each with what stops it."""
    gossip = [free_port() for _ in "ab"]
    with ExitStack() as running:
        both = []
        for name, own, other in zip("ab", gossip, reversed(gossip), strict=True):
            (folder / name).mkdir()
            together = (
                f"--cluster.listen-address=127.0.0.1:{own}",
                f"--cluster.peer=127.0.0.1:{other}",
                "--cluster.peer-timeout=1s",  # 15 s: so much later the second looks whether the first has told
                "--cluster.reconnect-interval=1s",
                "--cluster.settle-timeout=5s",
            )
            stack = running.enter_context(ExitStack())
            config = told.config(faster=100)
            one = alertmanager_serving(
                folder / name, config, *together, *flags, environment=told.environment, **options
            )
            both.append((stack.enter_context(one), stack))
        wait_until(lambda: all(server.peers() == 2 for server, _ in both))
        yield both


def test_two_tell_once_and_one_is_enough(told: Desk, tmp_path: Path) -> None:
    with pair(told, tmp_path) as both:
        for server, _ in both:
            server.fire({**DOWN, "instance": "first"})
        wait_until(lambda: told.pagerduty)
        time.sleep(2.5)
        assert len(told.pagerduty) == len(told.program) == 1
        (_, first), (left, _) = both
        first.close()
        left.fire({**DOWN, "instance": "second", "cluster": "prod"})
        wait_until(lambda: len(told.pagerduty) == 2)


@pytest.mark.drill
def test_what_prometheus_yml_says_of_two_with_tls_and_a_password(told: Desk, tmp_path: Path) -> None:
    """As it is shipped, with the lines that are comments in its section `alerting`."""
    authority = Authority(tmp_path)
    certificate, key = authority.sign("prometheus")
    web = (PROMETHEUS / "web.yml").read_text().replace("prometheus.crt", certificate.name)
    (tmp_path / "web.yml").write_text(re.sub(r"\$2b\$\S+", HASH, web))
    (tmp_path / "alertmanager_password").write_text(PASSWORD)
    assert (key.parent, key.name) == (tmp_path, "prometheus.key")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/down.yml").write_text(
        "groups: [{name: down, interval: 1s, rules: "
        "[{alert: RabbitMQDown, expr: vector(1), labels: {severity: critical}}]}]"
    )
    options = {
        "scheme": "https",
        "verify": ssl.create_default_context(cafile=str(authority.ca)),
        "auth": ("gaugebook", PASSWORD),
    }
    with pair(told, tmp_path, f"--web.config.file={tmp_path}/web.yml", **options) as both:
        targets = ", ".join(f"127.0.0.1:{server.port}" for server, _ in both)
        before, after = (PROMETHEUS / "prometheus.yml").read_text().split("scrape_configs:")
        head, alerting = before.split("alerting:")
        commented = re.sub(
            r"^( +)# (scheme|tls_config|basic_auth|alert_relabel_configs)", r"\1\2", alerting, flags=re.MULTILINE
        )
        assert commented.count("#") == alerting.count("#") - 4
        config = f"{head}alerting:{commented}".replace("127.0.0.1:9093", targets).replace("ca.crt", authority.ca.name)
        config = config.replace("site: main", "site: main\n    replica: a")
        (tmp_path / "prometheus.yml").write_text(f"{config}scrape_configs:{after}")
        checked = promtool("check", "config", str(tmp_path / "prometheus.yml"))
        assert checked.returncode == 0, checked.stdout + checked.stderr
        # It throws away what it has to say until it has looked for its Alertmanagers, and says it again a minute later.
        flags = ("--rules.alert.resend-delay=1s",)
        with serving(prometheus_program(2), tmp_path, *flags, config=config) as prometheus:
            wait_until(lambda: told.pagerduty)
            assert len(prometheus.client.get("/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"]) == 2
            wait_until(lambda: all(server.alerts() for server, _ in both))
            time.sleep(2)
        assert all(server.alerts()[0]["labels"] == DOWN for server, _ in both)
    assert len(told.pagerduty) == len(told.program) == 1
