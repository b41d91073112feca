"""`gaugebook import billing` and `gaugebook reconcile`: what providers bill, beside what was metered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from collectors.billing.causes import Line
from collectors.billing.load import SETTLED_H, Imported, import_reports, import_saved
from collectors.billing.reconcile import Reconciled
from collectors.billing.reconcile import reconcile as compare
from pipelines.cli.common import console, progress
from pipelines.cli.keyfile import secret_in
from store.errors import ParameterInvalid
from store.migrate import migrate
from store.settings import load

WEEK = timedelta(days=7)

Provider = Annotated[str, typer.Argument(help="openai or anthropic.")]
Since = Annotated[str | None, typer.Option(help="First day (UTC), as 2026-11-01; default: seven days before --until.")]
Until = Annotated[str | None, typer.Option(help="Day after the last one (UTC); default: today.")]
SavedFile = Annotated[Path | None, typer.Option("--file", help="Saved JSON pages of a report instead of the API.")]
KeyFile = Annotated[Path | None, typer.Option("--key-file", help="File that holds the admin key.")]


def billing(
    provider: Provider,
    *,
    since: Since = None,
    until: Until = None,
    file: SavedFile = None,
    as_of: Annotated[str | None, typer.Option(help="When --file was fetched; default: when it was changed.")] = None,
    key_file: KeyFile = None,
    base_url: Annotated[str | None, typer.Option(help="Another address than the provider's own.")] = None,
    account: Annotated[str, typer.Option(help="Tells several organisations with one provider apart.")] = "default",
    settled_h: Annotated[float, typer.Option(help="Hours after its end that usage of a day is taken.")] = SETTLED_H,
) -> None:
    """Import a provider's usage and cost reports; the same days again count once.

    The admin key comes from GAUGEBOOK_OPENAI_ADMIN_KEY or GAUGEBOOK_ANTHROPIC_ADMIN_KEY, or from --key-file.

    Example: `gaugebook import billing openai --since 2026-11-01 --until 2026-11-08`

    Example: `gaugebook import billing anthropic --file cost_report.json`
    """
    settings = load()
    if file is not None:
        fetched = None if as_of is None else _moment("as-of", as_of)
        migrate(settings)
        _conclude(import_saved(settings, provider, file, as_of=fetched, account=account, settled_h=settled_h))
        return
    first, last = _span(since, until)
    key = None if key_file is None else secret_in(key_file, "the admin key")
    with progress() as bar:
        task = bar.add_task(f"asking {provider}", total=None)

        def show(path: str, number: int) -> None:
            bar.update(task, description=f"{path.rpartition('/')[2]}, page {number}", advance=1)

        migrate(settings)
        imported = import_reports(
            settings,
            provider,
            first,
            last,
            key=key,
            base_url=base_url,
            account=account,
            settled_h=settled_h,
            progress=show,
        )
    _conclude(imported)


def reconcile(
    *,
    provider: Annotated[str, typer.Option(help="openai or anthropic.")],
    since: Since = None,
    until: Until = None,
    all_: Annotated[bool, typer.Option("--all", help="Also show the lines that agree.")] = False,
) -> None:
    """Compare what was metered with what a provider bills, per day and model, with the gap and its likely cause.

    Import the reports first. Days are UTC, as providers bill them; a positive gap: more is billed than was metered.

    Example: `gaugebook reconcile --provider openai --since 2026-11-01 --until 2026-11-08`
    """
    first, last = _span(since, until)
    result = compare(load(), provider, first, last)
    console.print(_table(result, all_=all_))
    agree = sum(each.cause.name == "AGREES" for each in result.lines)
    console.print(
        f"metered {_usd(result.metered_usd)}, billed {_usd(result.billed_usd)}, gap {_usd(result.gap_usd, sign=True)}; "
        f"{agree} of {len(result.lines)} lines agree; "
        f"{result.days_without_report} of {result.days} days have no cost report",
        highlight=False,
        soft_wrap=True,
    )


def _table(result: Reconciled, *, all_: bool) -> Table:
    table = Table(box=None, header_style="bold")
    for name in ("day", "model"):
        table.add_column(name, overflow="fold")
    for name in ("calls", "metered tokens", "billed tokens", "metered USD", "billed USD", "gap USD"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("likely cause", overflow="fold")
    for each in result.lines:
        if all_ or each.cause.name != "AGREES":
            table.add_row(*_cells(each.line), each.cause.value)
    return table


def _cells(line: Line) -> tuple[str, ...]:
    metered, usage, billed = line.metered, line.usage, line.billed
    return (
        f"{line.day}",
        line.model,
        "" if metered is None else f"{metered.requests:,}",
        "" if metered is None else f"{metered.tokens:,}",
        "" if usage is None else f"{usage.tokens:,}",
        "" if metered is None else _usd(metered.cost_usd),
        "" if billed is None else _usd(billed.cost_usd),
        _usd(line.gap_usd, sign=True),
    )


def _usd(amount: Decimal | None, *, sign: bool = False) -> str:
    return "" if amount is None else f"{amount:+,.4f}" if sign else f"{amount:,.4f}"


def _conclude(imported: Imported) -> None:
    line = f"{imported.usage} rows of usage imported, {imported.duplicate} were there; {imported.billed} items of cost"
    if imported.unsettled:
        line += f"; {imported.unsettled} days of usage are not over or not settled: import them again later"
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _span(since: str | None, until: str | None) -> tuple[datetime, datetime]:
    last = _midnight(datetime.now(UTC)) if until is None else _day("until", until)
    first = last - WEEK if since is None else _day("since", since)
    if first >= last:
        raise ParameterInvalid("since", f"{first:%Y-%m-%d} is not before --until {last:%Y-%m-%d}")
    return first, last


def _day(option: str, given: str) -> datetime:
    found = _moment(option, given)
    if found != _midnight(found):
        raise ParameterInvalid(option, f"{given!r} is not a whole day, such as 2026-11-01")
    return found


def _moment(option: str, given: str) -> datetime:
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        raise ParameterInvalid(option, f"{given!r} is not a day such as 2026-11-01") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
