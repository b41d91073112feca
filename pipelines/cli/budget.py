"""`gaugebook budget`: what LLM calls may cost, and what they have cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from collectors.llm.budget import declare
from collectors.llm.budget.call import dollars
from pipelines.cli.common import console, progress
from store.errors import ParameterInvalid, UnknownName
from store.migrate import migrate
from store.settings import Settings, load

app = typer.Typer(no_args_is_help=True, help="What LLM calls may cost, and what they have cost.")

RED_PERCENT, YELLOW_PERCENT = 95, 80


class Per(StrEnum):
    """How long a budget lasts."""

    DAY = "day"
    MONTH = "month"


@app.command("set")
def set_budget(
    name: Annotated[str, typer.Argument(help="what the budget is called; one that is there is changed")],
    *,
    limit: Annotated[str | None, typer.Option(metavar="USD", help="what calls may cost in a period")] = None,
    per: Annotated[
        Per | None, typer.Option(help="the period: a calendar day or month in UTC; month if not given")
    ] = None,
    team: Annotated[str | None, typer.Option(help="counts calls of this team; not given: of all")] = None,
    project: Annotated[str | None, typer.Option(help="counts calls of this project; not given: of all")] = None,
    model: Annotated[
        str | None, typer.Option(help="counts calls of this model; a star stands for any text: 'gpt-5*'")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="HEX", help="counts calls with this API key: eight hex digits of its SHA-256")
    ] = None,
    soft: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FRACTION", help="warn at this part of the limit, as 0.8; may be repeated; 'none': no more"
        ),
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="post that warning there, as JSON; 'none': nowhere any more")
    ] = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="whether it holds calls back")] = None,
) -> None:
    """Make a budget, or change the limit or the warnings of one. It holds within five seconds, in every process.

    Example: `gaugebook budget set search --team search --limit 500 --per month --soft 0.5 --soft 0.8`

    Example: `gaugebook budget set nightly --project reports --model 'gpt-5*' --limit 20 --per day`
    """
    settings = _settings()
    given: dict[str, Any] = {
        "period": None if per is None else per.value,
        "limit_usd": None if limit is None else _number("limit", limit.removeprefix("$")),
        "team": team,
        "project": project,
        "model": model,
        "key": key,
        "enabled": enabled,
    }
    given = {field: value for field, value in given.items() if value is not None}
    if soft is not None:
        given["soft_limits"] = () if soft == ["none"] else tuple(sorted({_number("soft", each) for each in soft}))
    if webhook is not None:
        given["webhook_url"] = None if webhook == "none" else webhook
    _, new = declare.put(settings, name, **given)
    _show([one for one in declare.standings(settings) if one.name == name])
    if new and settings.llm_budgets == "off":
        told = "it holds calls back where llm_budgets is fail_open or fail_closed; here it is off"
        console.print(told, style="yellow", markup=False, highlight=False, soft_wrap=True)


@app.command("list")
def list_budgets() -> None:
    """Every budget: what is spent, reserved for calls under way and left, and when it resets.

    Example: `gaugebook budget list`
    """
    found = declare.standings(_settings())
    if found:
        _show(found)
    else:
        console.print("there are no budgets; `gaugebook budget set NAME --limit USD` makes one", highlight=False)


@app.command()
def remove(name: Annotated[str, typer.Argument(help="the budget, as `gaugebook budget list` names it")]) -> None:
    """Take a budget away. What it has spent stays in the history.

    Example: `gaugebook budget remove search`
    """
    declare.remove(_settings(), name)
    console.print(f"removed {name}", markup=False, highlight=False)


@app.command()
def history(
    name: Annotated[str | None, typer.Argument(help="one budget; not given: all, those that were removed too")] = None,
    *,
    days: Annotated[int, typer.Option(min=1, max=100_000, help="how far back")] = 92,
) -> None:
    """What budgets have spent, period by period, newest first.

    Unknown is booked at its worst case: calls whose process died, or that took longer than their lease.

    Example: `gaugebook budget history search --days 365`
    """
    since = datetime.now(UTC) - timedelta(days=min(days, (datetime.now(UTC) - datetime(2000, 1, 1, tzinfo=UTC)).days))
    rows = declare.history(_settings(), since=since, name=name)
    if not rows:
        console.print("nothing has been booked", highlight=False)
        return
    table = Table("budget", "from", "per", box=None)
    for title in ("spent", "limit", "used", "unknown", "overrun", "calls"):
        table.add_column(title, justify="right")
    table.add_column("refused since")
    for row in rows:
        table.add_row(
            Text(f"{row.name} (removed)" if row.removed else row.name),
            f"{row.starts_at:%Y-%m-%d}",
            row.period,
            dollars(row.spent_usd),
            dollars(row.limit_usd),
            _used(row.spent_usd, row.limit_usd),
            dollars(row.expired_usd) if row.expired_usd else "-",
            dollars(row.overrun_usd) if row.overrun_usd else "-",
            f"{row.calls:,}",
            f"{row.refused_at:%Y-%m-%d %H:%M}" if row.refused_at else "-",
        )
    console.print(table, highlight=False)


@app.command()
def outlook(
    name: Annotated[str | None, typer.Argument(help="one budget; not given: all")] = None,
) -> None:
    """How budgets will probably stand when their period ends, and when they are used up.

    Spend to come is forecast from the requests on record, hour by hour. The interval holds it with 80 %.

    Example: `gaugebook budget outlook search`
    """
    settings = _settings()
    found = declare.standings(settings)
    if name is not None:
        names = [one.name for one in found]
        if name not in names:
            raise UnknownName("budget", name, names)
        found = [one for one in found if one.name == name]
    if not found:
        console.print("there are no budgets; `gaugebook budget set NAME --limit USD` makes one", highlight=False)
        return
    from analytics import words
    from pipelines.outlooks import outlooks

    table = Table("budget", box=None)
    for title in ("limit", "spent", "expected", "80 % from", "to", "exceeded", "at this pace"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("used up (UTC)", no_wrap=True)
    table.add_column("moved by")
    with progress() as bar:
        task = bar.add_task("simulating", total=len(found))
        for one, ahead, _span in outlooks(settings, found):
            if ahead is None:
                why = "counts by key: no outlook" if one.key else "nothing on record lately"
                table.add_row(Text(one.name), dollars(one.limit_usd), *["-"] * 6, why)
            else:
                row = ahead.table.row(0, named=True)
                amounts = (row[k] for k in ("limit", "spent", "total", "total-lo-80", "total-hi-80"))
                odds, used_up = row["p_exceed"], row["exhausted"]
                table.add_row(
                    Text(one.name),
                    *(words.amount(amount, "USD") for amount in amounts),
                    words.share(odds),
                    words.amount(row["run_rate"], "USD"),
                    f"{used_up:%Y-%m-%d %H:%M}" if used_up else "-",
                    Text(row["driver"] or "-"),
                )
            bar.advance(task)
    console.print(table, highlight=False)


def _show(found: list[declare.Standing]) -> None:
    table = Table("budget", "counts", "per", box=None)
    for title in ("spent", "reserved", "left", "limit", "used"):
        table.add_column(title, justify="right")
    table.add_column("resets (UTC)")
    for one in found:
        table.add_row(
            Text(one.name),
            Text(_counts(one)),
            one.period if one.enabled else f"{one.period}, off",
            dollars(one.spent_usd),
            dollars(one.reserved_usd),
            dollars(one.left_usd),
            dollars(one.limit_usd),
            _used(one.spent_usd + one.reserved_usd, one.limit_usd),
            f"{one.resets_at:%Y-%m-%d %H:%M}",
        )
    console.print(table, highlight=False)


def _counts(one: declare.Standing) -> str:
    scope = [f"{field} {value}" for field in ("team", "project", "model", "key") if (value := getattr(one, field))]
    return ", ".join(scope) or "everything"


def _used(spent_usd: Decimal, limit_usd: Decimal) -> Text:
    if not limit_usd:
        return Text("-")
    percent = spent_usd / limit_usd * 100
    style = "red" if percent >= RED_PERCENT else "yellow" if percent >= YELLOW_PERCENT else ""
    return Text(f"{percent:.1f} %", style=style)


def _number(name: str, text: str) -> Decimal:
    try:
        return Decimal(text.replace(",", ""))
    except InvalidOperation:
        raise ParameterInvalid(name, f"{text!r} is no number") from None


def _settings() -> Settings:
    settings = load()
    migrate(settings)
    return settings
