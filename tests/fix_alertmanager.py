"""Real Alertmanagers of Debian, with deploy/alertmanager as it is shipped: other addresses, and time that goes faster."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from tests.fix_prometheus import wait_until
from tests.servers import free_port, need

SHIPPED = Path(__file__).parents[1] / "deploy/alertmanager"
SECONDS = {"s": 1, "m": 60, "h": 3600}
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
NOON, NIGHT = 12, 3


class Alertmanager:
    """A running server, spoken to as Prometheus does; `options` are those of the HTTP client."""

    def __init__(self, port: int, scheme: str = "http", **options: Any) -> None:
        self.port = port
        options = {"timeout": 30, "trust_env": False, **options}  # 1,000 alerts at once, on a machine with other work
        self.client = httpx2.Client(base_url=f"{scheme}://127.0.0.1:{port}", **options)

    def fire(self, *alerts: dict[str, str], **annotations: str) -> None:
        """Alerts of these labels begin, or go on."""
        self._post({"labels": labels, "annotations": annotations} for labels in alerts)

    def resolve(self, *alerts: dict[str, str], **annotations: str) -> None:
        """They end now."""
        now = datetime.now(UTC).isoformat()
        self._post({"labels": labels, "annotations": annotations, "endsAt": now} for labels in alerts)

    def alerts(self) -> list[dict[str, Any]]:
        """What it knows: labels, receivers, and whether it is inhibited or silenced."""
        found: list[dict[str, Any]] = self.client.get("/api/v2/alerts").raise_for_status().json()
        return found

    def silence(self, **labels: str) -> None:
        """For an hour from now."""
        now = datetime.now(UTC)
        matchers = [{"name": name, "value": value, "isRegex": False} for name, value in labels.items()]
        times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat()}
        self.client.post(
            "/api/v2/silences", json={"matchers": matchers, "createdBy": "tests", "comment": "a test", **times}
        ).raise_for_status()

    def peers(self) -> int:
        """How many it takes its cluster for, itself counted."""
        return len(self.client.get("/api/v2/status").raise_for_status().json()["cluster"]["peers"])

    def ready(self) -> bool:
        try:
            return self.client.get("/-/ready").status_code == httpx2.codes.OK
        except httpx2.HTTPError:
            return False

    def _post(self, alerts: Iterable[dict[str, Any]]) -> None:
        self.client.post("/api/v2/alerts", json=list(alerts)).raise_for_status()


@contextmanager
def alertmanager_serving(
    folder: Path,
    config: str,
    *flags: str,
    port: int = 0,
    environment: dict[str, str] | None = None,
    scheme: str = "http",
    **options: Any,
) -> Iterator[Alertmanager]:
    """An Alertmanager in `folder`, alone unless `flags` make it one of a cluster.

    Args:
        config: `alertmanager.yml`.
        port: 0 takes any free one.
        environment: all of it, as who may sign certificates (`SSL_CERT_FILE`).
        options: of the HTTP client.
    """
    program = need("prometheus-alertmanager", package="prometheus-alertmanager")
    server = Alertmanager(port or free_port(), scheme, **options)
    (folder / "alertmanager.yml").write_text(config)
    own = ("--config.file=alertmanager.yml", "--storage.path=data", f"--web.listen-address=127.0.0.1:{server.port}")
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [program, *own, *(flags or ("--cluster.listen-address=",))],
            cwd=folder,
            env=environment or {},
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: process.poll() is not None or server.ready())
        assert process.poll() is None, (folder / "log").read_text()
        yield server
    finally:
        server.client.close()
        process.terminate()
        process.wait(30)


def shipped(addresses: dict[str, str], *, faster: float = 1, hour: int = NOON, weekend: bool = False) -> str:
    """alertmanager.yml as it is shipped, where it is `hour` o'clock of a working day or of a weekend.

    Args:
        addresses: what stands in its place, by what is in the file; each must be there.
        faster: by how much all intervals are shorter.
        hour: of the day, by moving the time zone of its time intervals.
        weekend: by another name for the day that today is.
    """
    text = (SHIPPED / "alertmanager.yml").read_text()
    zone, today = _zone(hour)
    days = [DAYS[today]] if weekend else [DAYS[today - 3]]
    changes = {"[saturday, sunday]": f"[{', '.join(days)}]", "location: UTC": f"location: {zone}", **addresses}
    for old, new in {**changes, "/etc/prometheus/alertmanager_templates": str(SHIPPED / "templates")}.items():
        assert old in text, old
        text = text.replace(old, new)
    interval = r"(group_wait|group_interval|repeat_interval): (\d+)([smh])\b"
    return re.sub(interval, lambda found: f"{found[1]}: {_faster(int(found[2]), found[3], faster)}", text)


def _faster(number: int, unit: str, faster: float) -> str:
    return f"{max(round(1000 * number * SECONDS[unit] / faster), min(number, 1))}ms"


def _zone(hour: int) -> tuple[str, int]:
    """A time zone where it is `hour` o'clock now, and which day of the week it is there."""
    now = datetime.now(UTC)
    ahead = (hour - now.hour + 11) % 24 - 11
    return f"Etc/GMT{-ahead:+d}", (now + timedelta(hours=ahead)).weekday()
