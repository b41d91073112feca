"""`gaugebook db backup`, `backups`, `restore` and `verify`: nothing is lost with a disk, or by mistake."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipelines.cli.common import console, errors, progress
from store.audit import kept, note
from store.backup import backup as take
from store.backups import Backups, clock
from store.connect import connect
from store.embedded import EmbeddedServer
from store.errors import ParameterInvalid
from store.restore import Restored
from store.restore import restore as put_back
from store.settings import Settings, load
from store.verify import verify as check


def backup(
    *, full: Annotated[bool, typer.Option("--full", help="a full one, even where an incremental one would do")] = False
) -> None:
    """Back up the server, verify the backup, and remove those that are no longer kept.

    Example: `gaugebook db backup`
    """
    settings = load()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("base backup", total=None)
        taken = take(settings, full=full, progress=lambda done, total: bar.update(task, completed=done, total=total))
    made = taken.backup
    _note(settings, "backup", made.name, {"kind": made.kind, "bytes": made.bytes, "removed": list(taken.removed)})
    took = (made.ended - made.started).total_seconds()
    console.print(f"backup [bold]{made.name}[/], {made.kind}, {_size(made.bytes)} in {took:.1f} s, verified")
    if taken.prometheus:
        console.print(taken.prometheus, soft_wrap=True, highlight=False)
    for name in taken.removed:
        console.print(f"removed {name}")
    for said in taken.notes:
        errors.print(f"[yellow]note[/]: {escape(said)}", soft_wrap=True, highlight=False)


def backups() -> None:
    """The backups that there are, and from when until when each can be restored.

    Example: `gaugebook db backups`
    """
    place = Backups.of(load())
    table = Table("backup", "kind", "size", "restorable from", "until", box=None)
    for known in place.all():
        table.add_row(known.name, known.kind, _size(known.bytes), clock(known.ended), clock(place.until(known)))
    console.print(table if table.row_count else f"no backup in {place.folder}; `gaugebook db backup` takes one")


def restore(
    to: Annotated[Path, typer.Option(help="fresh folder: the new GAUGEBOOK_HOME")],
    at: Annotated[
        str | None, typer.Option(help="moment to go back to, as 2026-11-23T10:00:00Z; none: the last")
    ] = None,
    name: Annotated[str | None, typer.Option("--backup", help="backup to start from; none: the best")] = None,
    wal: Annotated[
        Path | None, typer.Option(help="folder of WAL that was not archived yet: pg_wal of a server that died")
    ] = None,
) -> None:
    """Restore the server as it was at a moment into a fresh folder, and start it there; the old one is not touched.

    Example: `gaugebook db restore --to /srv/restored --at 2026-11-23T10:00:00Z`
    """
    settings = load()
    with progress() as bar:
        task = bar.add_task("restore", total=None)
        restored = put_back(
            settings, to, at=_moment(at), name=name, wal=wal, step=lambda what: bar.update(task, description=what)
        )
    restored_as = settings.model_copy(update={"dsn": None, "home": restored.home, "database": restored.database})
    _note(restored_as, "restore", restored.backup.name, {"until": restored.until.isoformat()})
    database = f"GAUGEBOOK_DATABASE={restored.database} " if restored.database != settings.database else ""
    console.print(
        f"it runs: GAUGEBOOK_HOME={restored.home} {database}gaugebook db status", soft_wrap=True, highlight=False
    )
    _show(restored)


def verify(
    name: Annotated[str | None, typer.Argument(help="backup to verify; none: the newest")] = None,
    *,
    trial: Annotated[
        bool, typer.Option("--restore", help="restore it into a temporary folder too, and read it")
    ] = False,
) -> None:
    """Read every byte of a backup, of those that it rests on and of the WAL after it; name what is broken.

    Example: `gaugebook db verify`
    """
    settings = load()
    with progress() as bar:
        task = bar.add_task("verify", total=None)
        good = check(settings, name, step=lambda what: bar.update(task, description=what))
        bases = f"{len(good.chain)} base backup{'s' if len(good.chain) > 1 else ''}"
        console.print(
            f"backup [bold]{good.backup.name}[/]: {bases} and {good.segments} segments of WAL "
            f"are whole; restorable from {clock(good.backup.ended)} until {clock(good.until)}",
            soft_wrap=True,
        )
        if trial:
            bar.update(task, description="trial restore")
            _trial(settings, good.backup.name)


def _note(settings: Settings, action: str, resource: str, details: dict[str, object]) -> None:
    with connect(settings) as connection:
        if kept(connection):
            note(connection, action, resource, details=details)


def _trial(settings: Settings, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="trial-", dir=Backups.of(settings).folder) as folder:
        Path(folder).chmod(0o755)  # the server's user has to pass; what is inside is closed
        try:
            _show(put_back(settings, Path(folder), name=name))
        finally:
            EmbeddedServer(Path(folder)).stop()


def _show(restored: Restored) -> None:
    console.print(f"restored [bold]{restored.backup.name}[/] and WAL to its last transaction, {clock(restored.until)}")
    table = Table("table", "rows", "until", box=None)
    for name, rows, until in restored.tables():
        table.add_row(name, f"{rows:,}", clock(until) if until else "-")
    if table.row_count:
        console.print(table)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ParameterInvalid("at", f"{text!r} is not a moment such as 2026-11-23T10:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
