"""Every alert has what whoever is woken by it needs, stands on what is really exported, and is tested both ways."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.exported import ELSEWHERE, every_rule, known, scraped, taken
from tests.deploy.site import DEPLOY

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs/runbooks"
TABLE = (ROOT / "docs/operations/alerts.md").read_text()
FILES = sorted((DEPLOY / "rules").glob("alerts-*.yml"))
RULES = [(path, rule) for path in sorted((DEPLOY / "rules").glob("*.yml")) for rule in every_rule(path)]
ALERTS: list[tuple[Path, dict[str, Any]]] = [(path, rule) for path, rule in RULES if "alert" in rule]
# Labels of what is recorded, and of every scrape: an expression need not name them.
KEPT = [
    "cluster",
    "vhost",
    "queue",
    "node",
    "job",
    "instance",
    "provider",
    "model",
    "team",
    "budget",
    "source",
    "gateway",
    "collector",
    "rule_group",
]
DASHBOARDS = {
    f"gaugebook-{name}"
    for name in ("rabbitmq-overview", "rabbitmq-queue", "llm-overview", "llm-cost", "vllm", "slo", "self")
}
TEAMS_OF_SERIES = ("sum by (team", "(team, provider, model)", "team:", "team_model:")
ALWAYS = "Watchdog"
TESTS = [
    test
    for path in sorted((DEPLOY / "tests").glob("*.yml"))
    for test in yaml.safe_load(path.read_text())["tests"]
    if "alert_rule_test" in test
]


def name_of(rule: dict[str, Any]) -> str:
    """Which alert it is: there may be several tiers of one name."""
    labels = rule["labels"]
    return " ".join([rule["alert"], labels["severity"], *([labels["burn"]] if "burn" in labels else [])])


alerts = pytest.mark.parametrize("rule", [rule for _, rule in ALERTS], ids=name_of)


def test_alerts_are_in_files_of_their_own_and_no_two_are_the_same() -> None:
    assert {path for path, _ in ALERTS} == set(FILES)
    names = [name_of(rule) for _, rule in ALERTS]
    assert len(names) == len(set(names)) > 80


@alerts
def test_it_has_a_tier_a_team_and_a_time(rule: dict[str, Any]) -> None:
    if rule["alert"] == ALWAYS:
        assert rule["labels"]["severity"] == "none"
        return
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["labels"]["component"] in ("rabbitmq", "queue", "llm", "cost", "gaugebook")
    assert "team" in rule["labels"] or any(part in rule["expr"] for part in TEAMS_OF_SERIES)
    for field in ("for", "keep_firing_for"):
        assert re.fullmatch(r"[1-9]\d*[smh]", rule[field])


@alerts
def test_it_says_what_it_is_where_to_look_and_what_to_do(rule: dict[str, Any]) -> None:
    said = rule["annotations"]
    assert said.keys() == {"summary", "description", "dashboard", "runbook_url"}
    assert len(said["summary"]) > 10
    assert not said["summary"].endswith(".")
    assert said["description"].endswith(".")
    # Of one database and one schedule there is nothing to name.
    assert name_of(rule) in ("Watchdog none", "StoreDown critical", "JobLate critical") or "{{" in str(said)
    uid = re.match(r"/d/([a-z-]+)(\?|$)", said["dashboard"])
    assert uid
    assert uid.group(1) in DASHBOARDS
    assert said["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"
    # What is put into a text has to be a label that the rule keeps or sets.
    for label in re.findall(r"\$labels\.(\w+)", " ".join(said.values())):
        assert label in rule["expr"] or label in rule["labels"] or label in KEPT, label


@pytest.mark.parametrize("name", sorted({rule["alert"] for _, rule in ALERTS}))
def test_its_runbook_says_how_to_look_and_what_to_do(name: str) -> None:
    page = (RUNBOOKS / f"{name}.md").read_text()
    assert page.startswith(f"# {name}\n")
    tiers = list(dict.fromkeys(rule["labels"]["severity"] for _, rule in ALERTS if rule["alert"] == name))
    (path,) = {path for path, rule in ALERTS if rule["alert"] == name}
    assert f"`{'`, `'.join(tiers)}` · `deploy/prometheus/rules/{path.name}`" in page
    parts = re.split(r"^## (\w+)\n", page, flags=re.MULTILINE)
    assert parts[1::2] == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert all(len(part.strip()) > 20 for part in parts[2::2])
    for expression in re.findall(r"^promtool query instant \S+ '(.+)'$", page, re.MULTILINE):
        assert taken(expression) <= known()


def test_every_runbook_is_of_an_alert_and_in_the_index_and_the_table() -> None:
    names = {rule["alert"] for _, rule in ALERTS}
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {*names, "README"}
    index = (RUNBOOKS / "README.md").read_text()
    for name in names:
        assert f"[{name}]({name}.md)" in index
        tiers = [rule["labels"]["severity"] for _, rule in ALERTS if rule["alert"] == name]
        (row,) = re.findall(rf"^\| \[{name}\]\(\.\./runbooks/{name}\.md\) \| ([a-z, ]+) \|", TABLE, re.MULTILINE)
        assert set(row.split(", ")) == set(tiers)


@pytest.mark.parametrize(("path", "rule"), RULES, ids=[f"{p.stem} {r.get('alert', r.get('record'))}" for p, r in RULES])
def test_every_metric_that_it_takes_is_exported(path: Path, rule: dict[str, Any]) -> None:
    assert taken(rule["expr"]) - known() == set(), path.name


def test_what_is_not_in_what_was_scraped_is_not_there() -> None:
    assert ELSEWHERE.keys() & scraped() == set()


@alerts
def test_it_is_tested_where_it_fires_and_where_it_does_not(rule: dict[str, Any]) -> None:
    labels = rule["labels"].items()
    mine = [test for test in TESTS if any(one["alertname"] == rule["alert"] for one in test["alert_rule_test"])]
    fires = [
        fired
        for test in mine
        for one in test["alert_rule_test"]
        for fired in one.get("exp_alerts") or []
        if labels <= fired["exp_labels"].items()
    ]
    assert fires
    assert all(fired["exp_labels"]["team"] for fired in fires)
    if rule["alert"] != ALWAYS:
        assert any(not one.get("exp_alerts") for test in mine for one in test["alert_rule_test"])


@pytest.mark.parametrize("path", sorted((DEPLOY / "tests").glob("alerts-*.yml")), ids=lambda path: path.stem)
def test_groups_are_evaluated_in_one_order(path: Path) -> None:
    """Without it promtool takes any, and what stands on a recorded name is a step later every now and then."""
    asked = yaml.safe_load(path.read_text())
    files = [(path.parent / rules).read_text() for rules in asked["rule_files"]]
    groups = [group["name"] for file in files for group in yaml.safe_load(file)["groups"]]
    assert len(groups) == 1 or asked["group_eval_order"] == groups
