"""What a watch looks at over HTTP: Prometheus, Alertmanager and the pages of our own programs, each as it is now."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import wait
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
from httpx2 import codes

from analytics import words
from pipelines.doctor import Finding, State
from pipelines.watch import begin
from pipelines.watched_store import some
from store.errors import SourceError
from store.settings import Settings

PROMETHEUS, ALERTMANAGER = "http://127.0.0.1:9090", "http://127.0.0.1:9093"  # where nothing else is said
WAITS_S = 2.0  # for one answer
STALLED_S = 300.0  # without a success, or with rows that wait: as CollectorStalled and SpoolBacklog have it
OURS = "gaugebook-"
SILENT = "none"  # the severity of Watchdog, which always fires
# Of a page of perhaps 50,000 series no more is asked for, by collectors that can be asked.
TELLING = (
    "gaugebook_collector_rows_buffered",
    "gaugebook_collector_oldest_buffered_seconds",
    "gaugebook_collector_last_success_timestamp_seconds",
    "gaugebook_collector_rows_dropped_total",
    "llm_waiting_rows",
    "llm_oldest_waiting_seconds",
    "llm_dropped_rows_total",
    "gaugebook_store_up",
)
SAMPLE = re.compile(rf"^({'|'.join(TELLING)})(?:\{{.*\}})? (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """A page of one of our programs: the job that scrapes it, and its address."""

    job: str
    url: str

    @property
    def name(self) -> str:
        return f"{self.job.removeprefix(OURS)} {urlsplit(self.url).netloc.rpartition('@')[2]}"


class Servers:
    """Prometheus at the address of the settings, else at its usual port; the others where it says or said they are.

    Each of the three looks may be called by a thread of its own.
    """

    def __init__(self, settings: Settings) -> None:
        self._named = settings.prometheus_url is not None
        self._url = (settings.prometheus_url or PROMETHEUS).rstrip("/")
        address = settings.metrics_address if settings.metrics_address not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104
        host = f"[{address}]" if ":" in address else address
        self._own = Target("this host", f"http://{host}:{settings.metrics_port}/metrics")
        self._targets: dict[Target, bool] = {}  # and whether Prometheus reaches it
        self._reached: set[Target] = set()
        self._alertmanagers = [ALERTMANAGER]
        self._dropped: dict[Target, float] = {}

    def prometheus(self) -> list[Finding]:
        """Whether it answers, what it cannot scrape or evaluate, and what fires."""
        try:
            with _client() as client:
                version = _api(client, self._url, "status/buildinfo")["version"]
                targets = _api(client, self._url, "targets?state=active")["activeTargets"]
                groups = _api(client, self._url, "rules")["groups"]
                alerts = _api(client, self._url, "alerts")["alerts"]
        except SourceError as error:
            advice = "" if self._named else "name it in GAUGEBOOK_PROMETHEUS_URL"
            return [Finding("Prometheus", "broken" if self._named else "absent", str(error), advice)]
        down = sorted(
            f"{one['labels']['job']} {one['labels']['instance']}" for one in targets if one["health"] == "down"
        )
        failing = sorted({rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"})
        rules = sum(len(group["rules"]) for group in groups)
        return [
            Finding("Prometheus", "ok", f"{version} at {_server(self._url)}"),
            _trouble("targets", "down", down, f"{len(targets)} scraped"),
            _trouble("rules", "cannot be evaluated", failing, f"{rules} evaluated"),
            _trouble("alerts", "firing", _firing(alerts), "none firing"),
        ]

    def alertmanager(self) -> list[Finding]:
        """Every Alertmanager that Prometheus knows of."""
        known = self._ask("alertmanagers")
        if known is not None:
            found = [one["url"].partition("/api/")[0] for one in known["activeAlertmanagers"]]
            self._alertmanagers = found or self._alertmanagers
        findings = []
        for url, body in _asked([f"{url}/api/v2/status" for url in self._alertmanagers]).items():
            where = url.removesuffix("/api/v2/status")
            if isinstance(body, SourceError):
                used = self._alertmanagers != [ALERTMANAGER] or (known or {}).get("activeAlertmanagers")
                findings.append(Finding("Alertmanager", "broken" if used else "absent", str(body)))
                continue
            status = body.json()
            peers = len(status["cluster"].get("peers", ())) or 1
            cluster = f", {peers} in its cluster" if peers > 1 else ""
            findings.append(
                Finding("Alertmanager", "ok", f"{status['versionInfo']['version']} at {_server(where)}{cluster}")
            )
        return findings

    def programs(self) -> list[Finding]:
        """Collectors, the tick and programs with the tap: what waits and what is lost, by their own pages."""
        known = self._ask("targets?state=active")
        if known is not None:
            ours = [one for one in known["activeTargets"] if one["labels"]["job"].startswith(OURS)]
            self._targets = {Target(one["labels"]["job"], one["scrapeUrl"]): one["health"] == "up" for one in ours}
        targets = list(self._targets)
        if not any(target.url == self._own.url for target in targets):
            targets.append(self._own)
        pages = _asked([target.url for target in targets], {"name[]": list(TELLING)})
        return [self._page(target, pages[target.url]) for target in targets]

    def _page(self, target: Target, page: httpx2.Response | SourceError) -> Finding:
        what = f"program {target.name}"
        if isinstance(page, SourceError):
            if target == self._own:
                return Finding(what, "absent", "no collector serves /metrics here", "`gaugebook collect rabbitmq`")
            if target not in self._reached and self._targets.get(target):
                return Finding(what, "absent", f"{page}; Prometheus reaches it", "look from a host that does, too")
            return Finding(what, "broken", str(page))
        self._reached.add(target)
        samples: dict[str, list[float]] = {name: [] for name in TELLING}
        for name, value in SAMPLE.findall(page.text):
            samples[name].append(float(value))
        rows = sum(samples["gaugebook_collector_rows_buffered"] + samples["llm_waiting_rows"])
        oldest_s = max(
            [*samples["gaugebook_collector_oldest_buffered_seconds"], *samples["llm_oldest_waiting_seconds"], 0.0]
        )
        dropped = sum(samples["gaugebook_collector_rows_dropped_total"] + samples["llm_dropped_rows_total"])
        lost = dropped - self._dropped.get(target, dropped)
        self._dropped[target] = dropped
        successes = [at for at in samples["gaugebook_collector_last_success_timestamp_seconds"] if at]
        silent_s = time.time() - max(successes) if successes else 0.0
        said = [f"{rows:,.0f} rows wait" + (f", the oldest for {words.seconds(oldest_s)}" if rows and oldest_s else "")]
        if successes:
            said.append(f"its last success was {words.seconds(max(0.0, round(silent_s)))} ago")
        if dropped:
            said.append(f"{dropped:,.0f} rows were dropped since it began")
        away = 0.0 in samples["gaugebook_store_up"]
        bad = [
            word
            for word, true in (
                ("stalled", silent_s > STALLED_S),
                ("rows wait", oldest_s > STALLED_S),
                (f"{lost:,.0f} rows were lost just now", lost > 0),
                ("it cannot reach the database", away),
            )
            if true
        ]
        state: State = "broken" if bad else "ok"
        return Finding(what, state, "; ".join([*bad, *said]) if any(samples.values()) else "answers", "", tuple(bad))

    def _ask(self, path: str) -> Any:
        """What Prometheus says; None where it does not."""
        try:
            with _client() as client:
                return _api(client, self._url, path)
        except SourceError:
            return None


def _trouble(what: str, how: str, names: list[str], well: str) -> Finding:
    if not names:
        return Finding(what, "ok", well)
    return Finding(what, "broken", some(how, names), "", tuple(names))


def _firing(alerts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the alerts that fire, with what each is about and those that page first."""
    fire = [one["labels"] for one in alerts if one["state"] == "firing" and one["labels"].get("severity") != SILENT]
    ranked = sorted(fire, key=lambda labels: (labels.get("severity") != "critical", labels["alertname"]))
    about = ("queue", "node", "cluster", "budget", "model", "schedule_job", "instance")
    return list(
        dict.fromkeys(" ".join([one["alertname"], *[one[key] for key in about if key in one][:1]]) for one in ranked)
    )


def _client() -> httpx2.Client:
    return httpx2.Client(timeout=WAITS_S, trust_env=False)


def _api(client: httpx2.Client, url: str, path: str) -> Any:
    """The data of an answer of Prometheus' API."""
    body = _got(client, f"{url}/api/v1/{path}")
    try:
        return body.json()["data"]
    except (ValueError, KeyError, TypeError):
        raise SourceError(url, "answers, and not as a Prometheus does") from None


def _got(client: httpx2.Client, url: str, asked: Mapping[str, Any] | None = None) -> httpx2.Response:
    server = _server(url)
    try:
        answer = client.get(url, params=asked)
    except httpx2.TimeoutException:
        raise SourceError(server, f"does not answer within {WAITS_S:g} s", "slow") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise SourceError(server, f"nobody answers: {error}", "down") from None
    if answer.status_code != codes.OK:
        raise SourceError(server, f"answers {urlsplit(url).path} with {answer.status_code}", "denied")
    return answer


def _server(url: str) -> str:
    """An address without a user's name and password."""
    there = urlsplit(url)
    return f"{there.scheme}://{there.netloc.rpartition('@')[2]}"


def _asked(urls: Iterable[str], asked: Mapping[str, Any] | None = None) -> dict[str, httpx2.Response | SourceError]:
    """What each says, all at the same time: one that hangs costs no other its turn."""

    def ask(url: str) -> httpx2.Response:
        with _client() as client:
            return _got(client, url, asked)

    futures = {url: begin(lambda url=url: ask(url)) for url in dict.fromkeys(urls)}  # type: ignore[misc]
    wait(futures.values(), WAITS_S * 1.5)
    found: dict[str, httpx2.Response | SourceError] = {}
    for url, future in futures.items():
        if not future.done():
            found[url] = SourceError(_server(url), f"does not answer within {WAITS_S * 1.5:g} s", "slow")
            continue
        error = future.exception()
        if error is not None and not isinstance(error, SourceError):
            raise error
        found[url] = error or future.result()
    return found
