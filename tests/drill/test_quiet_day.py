"""A quiet day calls nobody: 24 hours after what a quiet stack really shows, under the shipped rules and their own times."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.site import DEPLOY
from tests.drill.days import DAY_S, EVERY_S, day, seen
from tests.drill.live import living
from tests.servers import need

WATCHED_S = 90
CALLS = {"search": 4, "support": 1, "mail": 4}  # a second; one of 200 fails
AT_H, FOR_S = 13, 300
FIRED = (
    'count by (alertname, severity) (count_over_time(ALERTS{alertstate="firing", severity=~"critical|warning"}[1d]))'
)

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def quiet() -> list[dict[str, str]]:
    """A day, as promtool wants its series."""
    with living() as live:
        for team, per_s in CALLS.items():
            live.call(team, per_s, fails=200)
        time.sleep(WATCHED_S)
        found = seen(live.prometheus, "1m")
        assert not live.pagerduty
    names, jobs = {one.name for one in found}, {one.labels["job"] for one in found}
    print(f"{len(found)} series of {len(names)} names")
    assert {"up", "rabbitmq_queue_messages", "llm_requests_total", "gaugebook_store_up"} <= names
    assert len(jobs) == 8
    return day(found, time.time())


def test_a_quiet_day_calls_nobody(quiet: list[dict[str, str]], tmp_path: Path) -> None:
    begun_s = time.monotonic()
    evaluated(tmp_path, quiet, [], recorded=50)
    print(f"evaluated in {time.monotonic() - begun_s:.0f} s")


def test_the_same_day_with_a_fault_calls(quiet: list[dict[str, str]], tmp_path: Path) -> None:
    """A receiver that cannot be scraped for five minutes; of the rules those of the watchers, which are quicker to evaluate."""
    steps, begins, ends = DAY_S // EVERY_S + 1, AT_H * 3600 // EVERY_S, (AT_H * 3600 + FOR_S) // EVERY_S
    values = " ".join("0" if begins <= step < ends else "1" for step in range(steps))
    (up,) = [one for one in quiet if one["series"].startswith("up{") and 'job="gaugebook-otlp"' in one["series"]]
    others = [one for one in quiet if one is not up]
    fired = [{"labels": '{alertname="TargetDown", severity="critical"}', "value": 1}]
    evaluated(
        tmp_path, [*others, {**up, "values": values}], fired, recorded=5, files=("alerts-gaugebook", "collectors")
    )


def evaluated(
    folder: Path,
    series: Sequence[dict[str, str]],
    fired: Sequence[dict[str, Any]],
    *,
    recorded: int,
    files: Sequence[str] = ("*",),
) -> None:
    """Shipped rules over these series: what fires is `fired`, and what always does; more than `recorded` series are."""
    rules = sorted(path for name in files for path in (DEPLOY / "rules").glob(f"{name}.yml"))
    groups = [group["name"] for path in rules for group in yaml.safe_load(path.read_text())["groups"]]
    told = {"expr": FIRED, "eval_time": "24h", "exp_samples": list(fired)}
    alive = [
        {"expr": f"count({what}) > bool {least}", "eval_time": "24h", "exp_samples": [{"labels": "{}", "value": 1}]}
        for what, least in (('ALERTS{alertname="Watchdog"}', 0), ('{__name__=~".+:.+"}', recorded))
    ]
    asked = {
        "rule_files": [str(path) for path in rules],
        "evaluation_interval": f"{EVERY_S}s",
        "group_eval_order": groups,
        "tests": [{"interval": f"{EVERY_S}s", "input_series": list(series), "promql_expr_test": [told, *alive]}],
    }
    (folder / "day.yml").write_text(yaml.dump(asked, Dumper=yaml.CSafeDumper, width=1 << 30))
    promtool = need("promtool", package="prometheus")
    ended = subprocess.run([promtool, "test", "rules", folder / "day.yml"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
