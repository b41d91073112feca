"""`gaugebook db`: the database itself."""

from __future__ import annotations

from typing import Any

import typer
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from rich.table import Table

from pipelines.cli import backup, replay, roles
from pipelines.cli.common import console
from store import policies
from store.connect import connect, conninfo, where
from store.embedded import EmbeddedServer
from store.migrate import back_end, migrate
from store.queries import named
from store.rollup import refresh as refresh_rollups
from store.settings import load

app = typer.Typer(no_args_is_help=True, help="Start, stop, migrate, back up and look at the database.")
app.command()(backup.backup)
app.command()(backup.backups)
app.command()(backup.restore)
app.command()(backup.verify)
app.command()(replay.replay)
app.command()(roles.roles)
app.command()(roles.grant)


@app.command()
def start() -> None:
    """Start the embedded server and bring its schema up to date.

    It starts by itself on first use; this is for those who want it to run already.

    Example: `gaugebook db start`
    """
    settings = load()
    migrate(settings)
    console.print(f"runs: [bold]{where(conninfo(settings))}[/]")


@app.command()
def stop() -> None:
    """Stop the embedded server; nothing is lost.

    Example: `gaugebook db stop`
    """
    console.print("stopped" if EmbeddedServer(load().home).stop() else "did not run")


@app.command("migrate")
def migrate_schema() -> None:
    """Bring the schema up to date and set what is kept for how long to what the settings say.

    Run again, it does nothing. `gaugebook db status` shows the policies.

    Example: `GAUGEBOOK_DSN=postgresql://me@db/metrics GAUGEBOOK_KEEP_RAW_DAYS=90 gaugebook db migrate`
    """
    settings = load()
    applied = migrate(settings)
    policies.apply(settings)
    for file in applied:
        console.print(f"applied {file}")
    console.print(f"{len(applied)} files applied" if applied else "up to date")


@app.command()
def refresh() -> None:
    """Bring the hourly and daily rollups up to date.

    Example: `gaugebook db refresh`
    """
    settings = load()
    migrate(settings)
    refresh_rollups(settings)
    console.print("rollups are up to date")


@app.command()
def status() -> None:
    """Where the database is, what it runs on, and how much it holds.

    Example: `gaugebook db status`
    """
    settings = load()
    migrate(settings)
    with connect(settings) as connection:
        version = connection.execute("SHOW server_version").fetchone()
        kind = back_end(connection)
        rows = connection.execute(named("table_sizes").sql).fetchall()
        kept = connection.execute(named("policies").sql).fetchall()
    console.print(
        f"{where(conninfo(settings))}, PostgreSQL {version[0] if version else '?'}, back end {kind}", soft_wrap=True
    )
    table = Table("table", "rows", "from", "until", box=None)
    for name, count, since, until in rows:
        table.add_row(
            name, f"{count:,}", f"{since:%Y-%m-%d %H:%M}" if since else "-", f"{until:%Y-%m-%d %H:%M}" if until else "-"
        )
    console.print(table)
    table = Table("of", "policy", "setting", "last run", "next run", "outcome", box=None)
    for name, policy, setting, last, following, outcome in kept:
        moments = [f"{moment:%Y-%m-%d %H:%M}" if moment else "-" for moment in (last, following)]
        table.add_row(name, policy, setting, *moments, outcome)
    console.print(table)


@app.command()
def dsn() -> None:
    """Print a connection string for other programs; the password of a DSN of yours is left out.

    Example: `psql "$(gaugebook db dsn)"`
    """
    known: dict[str, Any] = conninfo_to_dict(conninfo(load()))
    known.pop("password", None)
    console.print(make_conninfo(**known), soft_wrap=True, highlight=False)
