"""A tick as a process of its own: `python -m tests.pipelines.ticker DSN FOLDER NOW JOBS`, where JOBS are JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter

from pipelines.delivery.wanted import Delivery
from pipelines.schedule import Job
from pipelines.tick import Ended, Ticker
from store.settings import Settings, load
from tests.pipelines.reports import NOTEBOOKS

ROOT = Path(__file__).parents[2]
PLACE: TypeAdapter[Delivery] = TypeAdapter(Delivery)


def job(
    name: str = "paced", cron: str = "0 6 * * *", parameters: dict[str, object] | None = None, **more: object
) -> Job:
    """A job that runs the report `paced`, told its slot."""
    return Job(name, "paced", cron, {"at": "{slot}", **(parameters or {})}, **more)


def tick(settings: Settings, now: datetime, *jobs: Job, **more: object) -> list[Ended]:
    """One tick at a time of the caller's."""
    return Ticker(settings, jobs, now=now, notebooks=NOTEBOOKS, **more).once()


def start(settings: Settings, now: datetime, *jobs: Job) -> subprocess.Popen[str]:
    """The same in another process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GAUGEBOOK_")}
    given = [
        settings.dsn.get_secret_value(),
        str(settings.reports),
        now.isoformat(),
        json.dumps([vars(one) for one in jobs], default=lambda place: place.model_dump(mode="json")),
    ]
    command = [sys.executable, "-m", "tests.pipelines.ticker", *given]
    return subprocess.Popen(command, cwd=ROOT, env=kept, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


if __name__ == "__main__":
    dsn, folder, moment, told = sys.argv[1:]
    settings = load(dsn=dsn, reports=Path(folder))
    jobs = [Job(**one | {"deliver": tuple(map(PLACE.validate_python, one["deliver"]))}) for one in json.loads(told)]
    for ended in tick(settings, datetime.fromisoformat(moment), *jobs):
        print(ended.job, ended.slot.isoformat(), ended.outcome)
