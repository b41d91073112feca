"""A report run as somebody types it, and how much of that time its cells took."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import jupytext

from benchmarks.parts.figures import folder
from benchmarks.parts.requests import fill
from pipelines import simulate
from pipelines.notebooks import find
from store.connect import connect
from store.rollup import refresh
from store.settings import Settings
from store.write import write

QUEUE_DAYS = 30


def prepared(settings: Settings, requests: int) -> None:
    """Fill the store with requests and thirty days of four queues, and roll both up."""
    with connect(settings, autocommit=True) as connection:
        fill(connection, requests)
        end = connection.execute("SELECT max(ts) FROM metrics.llm_requests").fetchone()
        assert end is not None
        for samples in simulate.queue_samples(end[0], QUEUE_DAYS):
            write(connection, "metrics.rabbitmq_queues", simulate.QUEUE_COLUMNS, samples)
        refresh(settings)
        connection.execute("VACUUM ANALYZE")


@dataclass(frozen=True)
class Run:
    """Seconds of a command, of the cells that it ran, and of CPU that it and its kernel used (not the database)."""

    whole: float
    cells: float
    cpu: float

    @property
    def added(self) -> float:
        """What is not the cells."""
        return self.whole - self.cells


def command(settings: Settings, report: str) -> Run:
    """`gaugebook report run`."""
    with folder() as output:
        words = [sys.executable, "-m", "pipelines.cli", "report", "run", report, "--output", str(output)]
        seconds, cpu = _timed(settings, words, output)
        (notebook,) = (output / "history").glob("*.ipynb")
        return Run(seconds, cells(notebook), cpu)


def as_it_comes(settings: Settings, report: str) -> Run:
    """Papermill's own command on the same notebook."""
    with folder() as output:
        notebook = jupytext.read(find(report), fmt="py:percent")
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        jupytext.write(notebook, output / "in.ipynb")
        paths = [str(output / name) for name in ("in.ipynb", "out.ipynb")]
        words = [sys.executable, "-m", "papermill", "--no-progress-bar", *paths]
        seconds, cpu = _timed(settings, words, output)
        return Run(seconds, cells(output / "out.ipynb"), cpu)


def cells(notebook: Path) -> float:
    """Seconds that papermill noted for the cells of an executed notebook."""
    told = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return sum(cell["metadata"].get("papermill", {}).get("duration") or 0.0 for cell in told)


def _timed(settings: Settings, words: list[str], output: Path) -> tuple[float, float]:
    assert settings.dsn is not None
    own = {"GAUGEBOOK_DSN": settings.dsn.get_secret_value(), "GAUGEBOOK_HOME": str(settings.home)}
    root = str(Path(__file__).parents[2])
    variables = {**os.environ, **own, "PYTHONPATH": root, "PLOTLY_RENDERER": "plotly_mimetype"}
    begun, used = time.perf_counter(), _cpu()
    subprocess.run(words, env=variables, cwd=output, check=True, capture_output=True)
    return time.perf_counter() - begun, _cpu() - used


def _cpu() -> float:
    """CPU seconds of all children that have ended, theirs included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
