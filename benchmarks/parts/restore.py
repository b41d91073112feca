"""Recovery: a restore to a moment beside a copy of the same files, and what a lost server costs in rows and in time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from benchmarks.parts.figures import Figure, folder, medians
from store.archive import ARCHIVE_TIMEOUT_S, force_out
from store.backup import backup
from store.backups import Backups
from store.connect import connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.restore import restore
from store.settings import Settings, load

FILL = """
    INSERT INTO metrics.llm_requests (ts, request_id, provider, model, team, project, source, status, streamed, ttft_s,
        duration_s, output_tokens_per_s, input_tokens, cached_tokens, output_tokens, usage_source, cost_usd)
    SELECT timestamptz '2026-01-01Z' + interval '1 second' * (nr * 2592000.0 / %(rows)s), md5(nr::text), 'openai',
        'model-' || nr %% 8, 'team-' || nr %% 5, 'project-' || nr %% 20, 'bench', 'ok', true, 0.2 + nr %% 100 / 100.0,
        1 + nr %% 300 / 100.0, 50, 500 + nr %% 1000, nr %% 200, 100 + nr %% 400, 'reported', (nr %% 1000)::numeric / 1e5
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS nr
"""
ONE = "INSERT INTO metrics.llm_requests (ts, request_id, source) VALUES (clock_timestamp(), %s, 'drill')"


@dataclass(frozen=True)
class Lost:
    """What the loss of a server cost: seconds of rows, those rows, seconds until the next one was written."""

    rpo_s: float
    rto_s: float
    rows: int
    written: int
    gap: bool


def measure(*, rows: int, large: int, repeats: int) -> list[Figure]:
    """Restore `large` rows to a moment after the backup; then lose the server and recover from the archive alone."""
    del rows
    with folder() as root:
        settings = load(home=root / "home")
        server, restored = EmbeddedServer(settings.home), EmbeddedServer(root / "new")
        try:
            moment = _prepared(settings, large)
            data = Backups.of(settings).path(Backups.of(settings).all()[-1])

            def clear() -> None:
                restored.stop()
                for old in (root / "new", root / "copy"):
                    shutil.rmtree(old, ignore_errors=True)
                os.sync()

            def copy() -> None:
                subprocess.run(["cp", "-r", data, root / "copy"], check=True)
                subprocess.run(["sync", "-f", root / "copy"], check=True)

            ways = {"restore": lambda: restore(settings, root / "new", at=moment), "cp -r and sync": copy}
            seconds = medians(ways, repeats, clear)
            clear()
            lost = lose_and_recover(settings, root / "new")
        finally:
            server.stop()
            restored.stop()
    limit = seconds["cp -r and sync"]
    ratio = seconds["restore"] / limit
    note = f"{large:,} rows"
    return [
        Figure(f"restore to a moment, {note}", "s", seconds["restore"], {}, limit, ratio, 3.0, at_most=True),
        Figure("rows lost with a disk (RPO)", "s", lost.rpo_s, {}, None, lost.rpo_s, 60.0, at_most=True),
        Figure(
            f"until rows are written again (RTO), {note}", "s", lost.rto_s, {}, None, lost.rto_s, 300.0, at_most=True
        ),
    ]


def lose_and_recover(settings: Settings, to: Path) -> Lost:
    """Kill the server while it writes, just before a segment is archived; remove its data, restore into `to`."""
    server, place = EmbeddedServer(settings.home), Backups.of(settings)
    acknowledged: list[float] = []
    stop = threading.Event()

    def write() -> None:
        with connect(settings, autocommit=True) as connection:
            while not stop.is_set():
                try:
                    connection.execute(ONE, [f"drill-{len(acknowledged) + 1}"])
                except psycopg.OperationalError:
                    return
                acknowledged.append(time.time())
                time.sleep(0.005)

    with connect(settings, autocommit=True) as connection:
        connection.execute(
            "CALL metrics.ensure_partitions('metrics.llm_requests'::regclass, %s)", [[datetime.now(UTC)]]
        )
        writing = threading.Thread(target=write)
        writing.start()
        assert (reason := force_out(connection, place.wal)) is None, reason
    archive = place.archive(place.all()[-1])
    known = max(archive.segments())
    while max(archive.segments()) == known:  # the first that archive_timeout brings by itself
        time.sleep(0.05)
    time.sleep(ARCHIVE_TIMEOUT_S - 1)
    os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    killed = time.time()
    stop.set()
    writing.join()
    while server.answers():
        time.sleep(0.01)
    shutil.rmtree(server.data)
    restore(settings, to)
    with connect(load(home=to), autocommit=True) as connection:
        count, last = connection.execute(
            "SELECT count(*), max(split_part(request_id, '-', 2)::int) FROM metrics.llm_requests WHERE source = 'drill'"
        ).fetchone() or (0, 0)
        connection.execute(ONE, ["drill-after"])
    rto_s = time.time() - killed
    rpo_s = acknowledged[-1] - acknowledged[last - 1]
    return Lost(rpo_s, rto_s, len(acknowledged) - last, len(acknowledged), gap=count != last)


def _prepared(settings: Settings, large: int) -> datetime:
    """A backup of `large` rows, 2 % more after it, and the moment before the second half of those was written."""
    migrate(settings)
    days = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2)]
    with connect(settings, autocommit=True) as connection:
        connection.execute("CALL metrics.ensure_partitions('metrics.llm_requests'::regclass, %s)", [days])
        connection.execute(FILL, {"rows": large, "first": 1, "last": large})
    with connect(settings, autocommit=True) as connection:
        # Settled, as after some days: otherwise autovacuum writes more than the drill, and closes segments early.
        connection.execute("VACUUM (ANALYZE) metrics.llm_requests")
    backup(settings)
    with connect(settings, autocommit=True) as connection:
        connection.execute(FILL, {"rows": large, "first": large + 1, "last": large + large // 100})
        row = connection.execute("SELECT clock_timestamp()").fetchone()
        connection.execute(FILL, {"rows": large, "first": large + large // 100 + 1, "last": large + large // 50})
        assert force_out(connection, Backups.of(settings).wal) is None
    assert row is not None
    moment: datetime = row[0]
    return moment
