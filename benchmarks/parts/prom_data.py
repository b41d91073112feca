"""Makes the blocks of a Prometheus: queues whose depth walks at random, one sample a minute."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from tests.servers import need

METRIC = "bench_queue_messages"
START = 1_793_404_800  # 2026-10-31, midnight UTC
STEP_S = 60
BLOCK = "744h"  # one block a month, as compaction leaves them


def make(folder: Path, *, series: int, days: int) -> None:
    """Blocks in `folder`, by promtool."""
    random = np.random.default_rng(7)
    count = days * 86_400 // STEP_S
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
        text.write(f"# TYPE {METRIC} gauge\n")
        for number in range(series):
            depths = np.abs(np.cumsum(random.integers(-20, 21, count))).tolist()
            labels = f'{{cluster="c{number % 4}",vhost="/",queue="queue-{number:03d}"}}'
            text.writelines(f"{METRIC}{labels} {depth} {START + STEP_S * k}\n" for k, depth in enumerate(depths))
        text.write("# EOF\n")
        text.flush()
        program = need("promtool", package="prometheus")
        words = ("tsdb", "create-blocks-from", "openmetrics", f"--max-block-duration={BLOCK}", "--quiet")
        subprocess.run([program, *words, text.name, folder], check=True, stdout=subprocess.DEVNULL)
