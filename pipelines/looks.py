"""All that `gaugebook doctor --watch` looks at, of one installation."""

from __future__ import annotations

import time

from analytics import words
from pipelines import doctor
from pipelines.doctor import Finding
from pipelines.watch import LIMIT_S, Look
from pipelines.watched_servers import STALLED_S, Servers
from pipelines.watched_store import Store
from store.settings import Settings
from store.spool_folder import left

MB = 1 << 20


def looks(settings: Settings) -> list[Look]:
    """What is installed, the database, the spools of this host, the broker, our programs, Prometheus, Alertmanager."""
    servers, store = Servers(settings), Store(settings, limit_s=LIMIT_S - 1)
    return [
        Look("configuration", doctor.installed),
        Look("database", store.look),
        Look("spools", lambda: [spools(settings)]),
        Look("RabbitMQ", lambda: doctor.broker(settings)),
        Look("programs", servers.programs),
        Look("Prometheus", servers.prometheus),
        Look("Alertmanager", servers.alertmanager),
    ]


def spools(settings: Settings) -> Finding:
    """What waits in the spools of this host, whether or not their programs run."""
    root = settings.spool or settings.home / "spool"
    if not root.is_dir():
        return Finding("spools", "absent", f"there is no {root}", "a collector makes it")
    found = list(left(root))
    size = sum(one.size for one in found)
    if not size:
        return Finding("spools", "ok", f"nothing waits in {root}")
    waiting = tuple(one.name for one in found if one.size)
    oldest_s = max(time.time() - one.oldest_at_s for one in found if one.oldest_at_s is not None)
    age = words.seconds(max(0.0, oldest_s))
    said = f"{size / MB:,.1f} MB wait in {root}: {', '.join(waiting)}; the oldest row for {age}"
    if oldest_s > STALLED_S:
        return Finding("spools", "broken", said, "does the database take rows, and does their program run?", waiting)
    return Finding("spools", "ok", said)
