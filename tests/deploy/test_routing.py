"""Which receiver an alert goes to, by amtool and by Alertmanager: those of a table, and every alert that is shipped."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fix_alertmanager import SHIPPED, alertmanager_serving, shipped
from tests.fix_prometheus import wait_until
from tests.servers import need

RULES = SHIPPED.parent / "prometheus/rules"
DOCS = SHIPPED.parents[1] / "docs/operations/alertmanager.md"
ALERTS: list[dict[str, Any]] = [
    rule
    for path in sorted(RULES.glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
BOTH = ["program", "digest"]
BY_SEVERITY = {"critical": [*BOTH, "pagerduty"], "warning": [*BOTH, "slack"]}
# Labels, and who is told, in the order of the file.
TABLE = [
    ("alertname=RabbitMQDown severity=critical team=platform instance=a:9466", [*BOTH, "pagerduty"]),
    ("alertname=QueueGrowing severity=warning component=queue cluster=prod queue=orders", [*BOTH, "slack"]),
    ("alertname=QueueFull severity=critical component=queue cluster=prod queue=orders", [*BOTH, "pagerduty"]),
    ("alertname=HighLLMCosts severity=warning team=search project=answers", [*BOTH, "slack"]),
    ("alertname=Watchdog severity=none", ["deadman"]),
    ("alertname=Watchdog severity=critical", ["deadman"]),
    ("alertname=SomebodyForgotTheLabel", ["slack"]),
    ("alertname=AnotherWord severity=page", ["slack"]),
]


def amtool(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = need("amtool", package="prometheus-alertmanager")
    return subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("alertmanager")
    (made / "alertmanager.yml").write_text(shipped({}))
    return made


def test_amtool_finds_nothing_wrong(folder: Path) -> None:
    ended = amtool("check-config", "alertmanager.yml", cwd=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "5 receivers" in ended.stdout


@pytest.mark.parametrize(("labels", "told"), TABLE)
def test_who_is_told(folder: Path, labels: str, told: list[str]) -> None:
    test = ("config", "routes", "test", "--config.file=alertmanager.yml", f"--verify.receivers={','.join(told)}")
    ended = amtool(*test, *labels.split(), cwd=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def receivers(folder: Path) -> Iterator[dict[str, list[str]]]:
    """By the name of each alert that is shipped, who a running Alertmanager says is told. Nothing leaves it in time."""
    with alertmanager_serving(folder, shipped({}, faster=0.01)) as server:
        server.fire(*({"alertname": rule["alert"], "n": str(n), **rule["labels"]} for n, rule in enumerate(ALERTS)))
        wait_until(lambda: len(server.alerts()) == len(ALERTS))
        yield {each["labels"]["n"]: [who["name"] for who in each["receivers"]] for each in server.alerts()}


@pytest.mark.parametrize("n", range(len(ALERTS)), ids=lambda n: ALERTS[n]["alert"])
def test_every_alert_arrives_where_its_severity_says(receivers: dict[str, list[str]], n: int) -> None:
    rule = ALERTS[n]
    told = ["deadman"] if rule["alert"] == "Watchdog" else BY_SEVERITY[rule["labels"]["severity"]]
    assert sorted(receivers[str(n)]) == sorted(told)


def test_what_inhibits_is_an_alert_that_is_shipped() -> None:
    config = yaml.safe_load((SHIPPED / "alertmanager.yml").read_text())
    matchers = [each for rule in config["inhibit_rules"] for each in rule["source_matchers"] + rule["target_matchers"]]
    named = {
        name for each in matchers for names in re.findall(r'alertname=~?"([\w|]+)"', each) for name in names.split("|")
    }
    assert len(named) > 5
    assert named <= {rule["alert"] for rule in ALERTS}


def test_secrets_are_in_files_alone() -> None:
    text = (SHIPPED / "alertmanager.yml").read_text()
    held = re.findall(
        r"\b(?:\w*_key|\w*password|\w*secret|credentials|bearer_token|(?<!pagerduty_)\w*api_url): *\S+", text
    )
    assert held == []
    files = re.findall(r"/etc/prometheus/alertmanager_secrets/(\w+)", text)
    assert len(set(files)) == 5
    assert [name for name in files if f"`{name}`" not in DOCS.read_text()] == []


def test_the_command_line_listens_on_this_machine_alone(tmp_path: Path) -> None:
    (line,) = re.findall(r'^ARGS="(.*)"$', (SHIPPED / "alertmanager.default").read_text(), re.MULTILINE)
    ours = ("--config.file", "--storage.path", "--web.listen-address=127.0.0.1:9093")
    flags = [flag for flag in shlex.split(line) if not flag.startswith(ours)]
    assert len(shlex.split(line)) == len(flags) + len(ours)
    with alertmanager_serving(tmp_path, shipped({}), *flags) as server:
        assert server.client.get("/api/v2/status").json()["cluster"]["status"] == "disabled"


def test_every_template_is_used_and_every_one_that_is_used_is_there() -> None:
    texts = [path.read_text() for path in [SHIPPED / "alertmanager.yml", *(SHIPPED / "templates").glob("*.tmpl")]]
    there = set(re.findall(r'define "([\w.]+)"', "".join(texts)))
    assert set(re.findall(r'template "([\w.]+)"', "".join(texts))) == there
