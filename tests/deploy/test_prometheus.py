"""The Prometheus files that an operator copies, by Prometheus' own tool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.servers import need

FOLDER = Path(__file__).parents[2] / "deploy/prometheus"


@pytest.mark.parametrize(
    "check",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "rules/gaugebook.yml"),
        ("test", "rules", "tests/gaugebook.yml"),
    ],
)
def test_promtool_finds_nothing_wrong(check: tuple[str, ...]) -> None:
    ended = subprocess.run(
        [need("promtool", package="prometheus"), *check], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
