"""What is up, what is missing, and what to do about it. Looking changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Literal, TypeAlias

import psycopg
from pydantic import SecretStr

from collectors.rabbitmq.access import from_settings
from collectors.rabbitmq.ask import Ask
from collectors.rabbitmq.health import checks
from collectors.rabbitmq.offer import Offer, offer
from pipelines.chromium import PROGRAMS, program
from store.connect import connect
from store.embedded import EmbeddedServer
from store.errors import GaugebookError, PrintError
from store.migrate import back_end, migrations, pending
from store.queries import named
from store.settings import Settings, config_file

STALE_S = 900  # a source that has been silent for longer is named
PARTS = {
    "analyses": ("polars", "gaugebook[analytics]"),
    "reports": ("papermill", "gaugebook[reports]"),
    "JupyterLab": ("jupyterlab", "gaugebook[lab]"),
}


State: TypeAlias = Literal["ok", "absent", "broken"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is well, what was found, and what to do.

    `parts` names what the state is due to, where that are several: other parts are news, though the state is the same.
    """

    what: str
    state: State
    found: str
    advice: str = ""
    parts: tuple[str, ...] = ()


def examine(settings: Settings) -> list[Finding]:
    """Look at the configuration, the installed parts, the browser, the database, each source and the broker."""
    return [*installed(), *database(settings, _sources), *broker(settings)]


def installed() -> list[Finding]:
    """The configuration, the parts of Gaugebook and the browser."""
    return [_configuration(), *_parts(), _browser()]


def _configuration() -> Finding:
    path = config_file()
    if path.is_file():
        return Finding("configuration", "ok", str(path))
    return Finding("configuration", "ok", "defaults and GAUGEBOOK_* variables", f"a file {path} would be read")


def _parts() -> list[Finding]:
    return [
        Finding(what, "ok", "installed")
        if find_spec(module)
        else Finding(what, "absent", "not installed", f"pip install '{extra}'")
        for what, (module, extra) in PARTS.items()
    ]


def _browser() -> Finding:
    """Whether there is what makes a PDF of a page and a picture of a chart."""
    what = "PDF and pictures"
    try:
        return Finding(what, "ok", f"by {program()}")
    except PrintError:
        advice = "`apt-get install chromium`; reports are made without it, but have no PDF, and e-mail no pictures"
        return Finding(what, "absent", f"none of {', '.join(PROGRAMS)} is on PATH", advice)


def database(settings: Settings, more: Callable[[psycopg.Connection], list[Finding]]) -> list[Finding]:
    """The database, and what `more` finds in it; it is neither started nor changed."""
    server = EmbeddedServer(settings.home)
    if settings.dsn is None and not server.answers():
        return [
            Finding(
                "database",
                "absent",
                f"the embedded server in {server.folder} does not run",
                "it starts on first use: `gaugebook db start`",
            )
        ]
    try:
        with connect(_there(settings, server)) as connection:
            connection.read_only = True
            version = connection.execute("SHOW server_version").fetchone()
            ledger = connection.execute("SELECT to_regclass('audit.schema_migrations')").fetchone()
            if ledger == (None,):
                return [Finding("database", "absent", "answers, but has no schema", "`gaugebook db migrate`")]
            kind = back_end(connection)
            due = pending(connection, migrations(kind))
            found = f"PostgreSQL {version[0] if version else '?'}, back end {kind}"
            if due:
                return [
                    Finding("database", "broken", f"{found}; {len(due)} migrations are due", "`gaugebook db migrate`")
                ]
            return [Finding("database", "ok", found), *more(connection)]
    except GaugebookError as error:
        return [Finding("database", "broken", str(error))]
    except psycopg.Error as error:
        return [Finding("database", "broken", str(error).splitlines()[0])]


def _there(settings: Settings, server: EmbeddedServer) -> Settings:
    """The settings with the embedded server named: should it end in this moment, it is not started again."""
    if settings.dsn is not None:
        return settings
    return settings.model_copy(update={"dsn": SecretStr(server.conninfo(settings.database))})


def _sources(connection: psycopg.Connection) -> list[Finding]:
    findings = []
    for name, rows, _, until in connection.execute(named("table_sizes").sql).fetchall():
        what = f"metrics.{name}"
        if not rows:
            findings.append(Finding(what, "absent", "no rows", ADVICE[name]))
            continue
        age_s = (datetime.now(UTC) - until).total_seconds()
        found = f"{rows:,} rows, the last of {until:%Y-%m-%d %H:%M} UTC"
        findings.append(Finding(what, "ok", found, f"silent since; {ADVICE[name]}" if age_s > STALE_S else ""))
    return findings


ADVICE = {
    "llm_requests": "`collectors.llm.install()` in a program, or `gaugebook import llm FILE`",
    "llm_usage": "`gaugebook import usage FILE`",
    "rabbitmq_queues": "`gaugebook collect rabbitmq`",
    "rabbitmq_nodes": "`gaugebook collect rabbitmq`",
    "rabbitmq_overview": "`gaugebook collect rabbitmq`",
}


def broker(settings: Settings) -> list[Finding]:
    """What the broker offers, what it lacks, and whether it is well."""
    try:
        found = offer(settings, timeout_s=3.0)
    except GaugebookError as error:
        return [Finding("RabbitMQ", "broken", str(error))]
    refused = found.ways["management"]
    if found.choice is None:
        advice = "name it in GAUGEBOOK_RABBITMQ_URL" if refused is None or refused.kind == "down" else ""
        state: State = "absent" if refused is None or refused.kind == "down" else "broken"
        return [Finding("RabbitMQ", state, str(refused or "nothing answers"), advice)]
    return [
        Finding("RabbitMQ", "ok", _offered(found)),
        *(Finding("RabbitMQ lacks", "absent", lack.what, lack.advice) for lack in found.lacks),
        *(_health(settings) if refused is None else []),
    ]


WAYS = {"native": "the Prometheus plugin", "management": "the management API alone", "kbudde": "its exporter"}


def _offered(found: Offer) -> str:
    """Such as `3.10.8 on Erlang 25.2; cluster a, 3 nodes, user with monitoring; asked by way of its exporter`."""
    nodes = f"{len(found.nodes)} node{'s' if len(found.nodes) != 1 else ''}"
    parts = [
        f"{found.version or 'version unknown'} on Erlang {found.erlang or '?'}",
        f"cluster {found.cluster or '?'}, {nodes}, user with {', '.join(found.tags) or 'no tag'}",
        f"asked by way of {WAYS[found.choice]}" if found.choice else "",
    ]
    return "; ".join(parts)


def _health(settings: Settings) -> list[Finding]:
    try:
        with Ask(from_settings(settings, timeout_s=3.0)) as ask:
            found = checks(ask)
    except GaugebookError as error:
        return [Finding("RabbitMQ health", "broken", str(error))]
    failed = [check for check in found if not check.passed]
    if not failed:
        return [Finding("RabbitMQ health", "ok", f"{len(found)} checks passed")]
    return [Finding("RabbitMQ health", "broken", f"{check.name}: {check.reason}") for check in failed]
