"""`gaugebook import prometheus`, killed again and again: in the end every row is there, once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from store.read import read
from tests.fix_prometheus import prometheus_program, serving
from tests.fix_prometheus_history import KEEP, START, write_blocks

pytestmark = pytest.mark.drill

DAYS, QUEUES, STEP_S = 7, 20, 60
BEGIN = datetime.fromtimestamp(START, UTC)
END = BEGIN + timedelta(days=DAYS)
ROWS = DAYS * 86_400 // STEP_S * QUEUES


def queues():
    names = ("rabbitmq_queue_messages", "rabbitmq_queue_messages_published_total")
    for name in names:
        kind = "counter" if name.endswith("_total") else "gauge"
        yield (
            name,
            kind,
            [
                (
                    f'cluster="c",vhost="/",queue="q{n}",job="j",instance="i"',
                    [(START + STEP_S * k, str(60 * k)) for k in range(DAYS * 86_400 // STEP_S)],
                )
                for n in range(QUEUES)
            ],
        )


def test_kills_at_any_moment(store, tmp_path):
    write_blocks(tmp_path / "data", queues())
    environment = os.environ | {"GAUGEBOOK_DSN": store.dsn.get_secret_value(), "GAUGEBOOK_HOME": str(tmp_path)}
    made = random.Random(3)
    with serving(prometheus_program(2), tmp_path, KEEP) as server:
        words = ("import", "prometheus", "--url", server.url, "--since", BEGIN.isoformat(), "--until", END.isoformat())
        kills = 0
        for _ in range(60):
            process = subprocess.Popen([sys.executable, "-m", "pipelines.cli", *words], env=environment)
            try:
                code = process.wait(made.uniform(1.5, 6))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                continue
            assert code == 0
            break
    assert kills > 1
    found = read(store, "queue_samples", since=BEGIN, until=END)
    assert len(found) == found.select("ts", "queue").n_unique() == ROWS
    assert found["published_per_s"].null_count() == QUEUES
    assert found["published_per_s"].drop_nulls().unique().to_list() == [1.0]
