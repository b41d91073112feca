"""`gaugebook prices`: what models cost, which have no price, and what another model would have cost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table

from collectors.llm.pricing import catalogue
from collectors.llm.pricing.book import PriceBook
from collectors.llm.pricing.rates import Tier
from pipelines.cli.common import console, progress
from pipelines.price_list import NAMES, Line, lines
from pipelines.what_if import Answer, Chosen, Compared, Target, compare
from store.connect import connect
from store.errors import NoRows, ParameterInvalid
from store.migrate import migrate
from store.queries import named
from store.settings import Settings, load

app = typer.Typer(no_args_is_help=True, help="What models cost, and what they would have cost.")

UNKNOWN_OF_DAYS = (
    "the sums of their days know neither the size of a request (long-context rates) nor its hour, audio, searches or"
    " one-hour cache writes; each request is taken for one of mean size"
)
WIDE = 160  # characters that a table may need, however narrow the terminal or the pipe

Model = Annotated[str, typer.Argument(help="A model, as gpt-4o.")]
Provider = Annotated[str | None, typer.Option(help="Who serves it, as openai; default: its maker.")]


@app.command()
def show(
    model: Model,
    *,
    provider: Provider = None,
    at: Annotated[str | None, typer.Option(help="Only what holds on this day (UTC), as 2025-06-10.")] = None,
) -> None:
    """All rates of a model with their validity: those of the price file, then those of the catalogue.

    They are in USD for a million tokens, and for a thousand searches or requests. An empty cell of a tier is as in the
    standard rates; there, a part without a rate costs what the whole does, and audio has no price.

    Example: `gaugebook prices show o3`

    Example: `gaugebook prices show gpt-5 --provider azure --at 2026-11-01`
    """
    settings = load()
    book = PriceBook.of(settings.llm_prices)
    served = provider or _maker(book, model)
    day = None if at is None else _day("at", at)
    listed = lines(book, served, model)
    if not listed:
        raise _unknown(model, catalogue.names(served), of=f" of {served}")
    for source in dict.fromkeys(line.source for line in listed):
        held = [line for line in listed if line.source == source and (day is None or line.holds(day))]
        name = next(line.model for line in listed if line.source == source)
        console.print(f"{name} of {served}, {source}", markup=False, highlight=False, soft_wrap=True)
        if held:
            _print(_rates(held))
        else:
            console.print(f"no rate on {day}")
    others = [] if provider else [name for name in catalogue.providers(model) if name != served]
    if others:
        console.print(f"also served by {', '.join(others)}: --provider", highlight=False, soft_wrap=True)


@app.command()
def missing(
    *,
    since: Annotated[str | None, typer.Option(help="First day (UTC), as 2026-10-01; default: all.")] = None,
    until: Annotated[str | None, typer.Option(help="Day after the last one (UTC); default: tomorrow.")] = None,
) -> None:
    """Models whose requests have no price, and what to write into the price file.

    Their cost is unknown, never 0. Rows that are written keep it so; the next ones get the price that the file names.

    Example: `gaugebook prices missing --since 2026-10-01`
    """
    settings = load()
    first = date(2000, 1, 1) if since is None else _day("since", since)
    last = datetime.now(UTC).date() + timedelta(days=1) if until is None else _day("until", until)
    book = PriceBook.of(settings.llm_prices)
    migrate(settings)
    with progress() as bar:
        bar.add_task("prices missing", total=None)
        rows = _missing(settings, first, last)
    if not rows:
        console.print("every request that told its usage has a price")
        return
    table = Table("provider", "model", "requests", "input tokens", "output tokens", "first", "last", "why", box=None)
    for row in rows:
        most = "≤ " if row["mixed"] else ""
        tokens = [f"{most}{row[name]:,}" for name in ("input_tokens", "output_tokens")]
        seen = [f"{row[name]:%Y-%m-%d}" for name in ("first", "last")]
        why = _why(book, row["provider"], row["model"])
        table.add_row(*map(_plain, (row["provider"], row["model"], f"{row['requests']:,}", *tokens, *seen, why)))
    _print(table)
    where = settings.llm_prices or "a file that GAUGEBOOK_LLM_PRICES names"
    console.print(f"\nWrite into {where}, with rates for the question marks:\n", markup=False, soft_wrap=True)
    for row in rows:
        console.print(_entry(row), markup=False, highlight=False, soft_wrap=True)


@app.command("what-if")
def what_if(
    model: Model,
    *,
    provider: Provider = None,
    since: Annotated[str | None, typer.Option(help="First day (UTC); default: the first of last month.")] = None,
    until: Annotated[str | None, typer.Option(help="Day after the last one (UTC); default: the end of it.")] = None,
    team: Annotated[str | None, typer.Option(help="Of this team.")] = None,
    project: Annotated[str | None, typer.Option(help="Of this project.")] = None,
    of: Annotated[str | None, typer.Option(help="Of requests to this model; * and ? may be used.")] = None,
    of_provider: Annotated[str | None, typer.Option(help="Of requests to this provider.")] = None,
    tier: Annotated[str | None, typer.Option(help="Service tier of MODEL, as flex or priority.")] = None,
    batch: Annotated[bool, typer.Option("--batch", help="At the price of a batch.")] = False,
    at: Annotated[str | None, typer.Option(help="At the prices of this day; default: of each request's own.")] = None,
) -> None:
    """What the requests of last month, or of another span, would have cost on MODEL.

    Exact for the tokens that were used; another model may need more or fewer for the same text.

    Example: `gaugebook prices what-if gpt-5-mini`

    Example: `gaugebook prices what-if claude-haiku-4-5 --since 2026-10-01 --until 2026-11-01 --team search --batch`
    """
    settings = load()
    book = PriceBook.of(settings.llm_prices)
    start, end = _span(since, until)
    served = provider or _maker(book, model)
    target = Target(served, model, Tier.of(tier, batch=batch), None if at is None else _day("at", at))
    if not lines(book, served, model):
        raise _unknown(model, catalogue.names(served), of=f" of {served}")
    migrate(settings)
    with progress() as bar:
        task = bar.add_task(f"what if {model}", total=(end - start).days)
        answer = compare(
            settings,
            book,
            target,
            Chosen(start, end, of_provider, of, team, project),
            lambda done, days: bar.update(task, completed=done, total=days),
        )
    if not answer.used:
        raise NoRows(f"LLM usage from {start} to {end} (UTC)")
    console.print(f"{start} to {end} (UTC), on {model} of {served}", markup=False, highlight=False, soft_wrap=True)
    _print(_comparison(answer))
    for note in _notes(answer, model, asked=target.tier != Tier()):
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def _rates(held: list[Line]) -> Table:
    kinds = [kind for kind in NAMES if any(kind in line.rates for line in held)]
    hours = any(line.hours for line in held)
    sizes = any(line.above for line in held)
    optional = (*(["hours (UTC)"] if hours else []), "rate", *(["input over"] if sizes else []))
    table = Table("from", "until", *optional, *(NAMES[kind] for kind in kinds), box=None)
    for line in held:
        cells = [*([line.hours or ""] if hours else []), line.label, *([f"{line.above:,}"] if sizes else [])]
        rates = [f"{line.rates[kind]:f}" if kind in line.rates else "" for kind in kinds]
        table.add_row(*map(_plain, (str(line.since or "-"), str(line.until or "-"), *cells, *rates)))
    return table


def _comparison(answer: Answer) -> Table:
    table = Table("provider", "model", "requests", "input tokens", "output tokens", "did cost", "would cost", box=None)
    dearest_first = sorted(answer.used.items(), key=lambda item: -item[1].would_cost_usd)
    for (provider, model), used in dearest_first:
        table.add_row(*map(_plain, (provider, model, *_cells(used))))
    if len(answer.used) > 1:
        table.add_row("[bold]all[/]", "", *_cells(answer.total))
    return table


def _cells(used: Compared) -> tuple[str, ...]:
    counts = (f"{used.requests:,}", f"{used.input_tokens:,}", f"{used.output_tokens:,}")
    return (*counts, _usd(used.cost_usd) if used.priced else "unknown", _usd(used.would_cost_usd))


def _notes(answer: Answer, model: str, *, asked: bool) -> list[str]:
    total = answer.total
    notes = [
        (total.priced < total.requests, f"did cost: {total.priced:,} of {total.requests:,} requests have a price"),
        (total.unmetered, f"left out: {total.unmetered:,} requests that told no usage"),
        (total.unpriced, f"left out: {total.unpriced:,} requests with tokens or searches that {model} has no rate for"),
        (
            total.inexact,
            f"not exact: {total.inexact:,} requests whose raw rows are gone; {UNKNOWN_OF_DAYS}",
        ),
        (asked and answer.standard, "nobody has a price for this tier at some time of this span: the standard rate"),
    ]
    said = [note for holds, note in notes if holds]
    return [*said, f"prices: {'; '.join(sorted(answer.versions))}"] if answer.versions else said


def _missing(settings: Settings, since: date, until: date) -> list[dict[str, Any]]:
    with connect(settings) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        span = {"since": _midnight(since), "until": _midnight(until)}
        return cursor.execute(named("prices_missing").sql, span).fetchall()


def _why(book: PriceBook, provider: str, model: str) -> str:
    found = book.find(provider, model, datetime.now(UTC), Tier())
    if found is not None and found.rates.hidden:
        return "bills images, video or citations apart"
    if found is not None:
        return f"it is in {found.version} now: newer than the rows, or not for all kinds of their tokens"
    known = catalogue.names(provider)
    if not known:
        return f"{catalogue.version()} has no such provider"
    close = get_close_matches(model, known, n=2)
    return f"{catalogue.version()} has no price" + (f"; close: {', '.join(close)}" if close else "")


def _entry(row: dict[str, Any]) -> str:
    kinds = ["input", *(kind for kind in ("cached", "cache_write") if row[f"{kind}_tokens"]), "output"]
    rates = ", ".join(f"{kind} = ?" for kind in kinds)
    names = [f"{key} = {_quoted(row[key])}" for key in ("provider", "model")]
    return "\n".join(["[[price]]", *names, f"from = {row['first']:%Y-%m-%d}", f"usd_per_million = {{ {rates} }}", ""])


def _quoted(text: str) -> str:
    """A TOML string; what a pattern would take for a wildcard stands for itself."""
    escaped = "".join(f"[{each}]" if each in "*?[" else each for each in text)
    return '"' + escaped.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _maker(book: PriceBook, model: str) -> str:
    """Who serves a model when nobody says: whom the price file names, else its maker."""
    if book.file is not None:
        for entry in book.file.entries:
            if entry.fits(entry.provider, model) and not set(entry.provider) & set("*?["):
                return entry.provider
    serving = catalogue.providers(model)
    if serving:
        return serving[0]
    if book.file is not None and any(entry.fits("other", model) for entry in book.file.entries):
        return "other"
    raise _unknown(model, catalogue.every_name())


def _unknown(model: str, known: list[str], of: str = "") -> ParameterInvalid:
    close = get_close_matches(model, known, n=3)
    hint = f"did you mean {', '.join(close)}?" if close else "name it in the price file that GAUGEBOOK_LLM_PRICES names"
    return ParameterInvalid("MODEL", f"{model!r}{of} has no price; {hint}")


def _span(since: str | None, until: str | None) -> tuple[date, date]:
    this_month = datetime.now(UTC).date().replace(day=1)
    first = (this_month - timedelta(days=1)).replace(day=1) if since is None else _day("since", since)
    if until is not None:
        last = _day("until", until)
    else:
        last = this_month if first < this_month else datetime.now(UTC).date() + timedelta(days=1)
    if last <= first:
        raise ParameterInvalid("until", f"{last} is not after {first}")
    return first, last


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ParameterInvalid(name, f"{text!r} is not a day such as 2026-10-01") from None


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _usd(amount: Decimal) -> str:
    """Money, as exact as a reader wants it.

    >>> _usd(Decimal("1234.5")), _usd(Decimal("0.000125"))
    ('$1,234.50', '$0.000125')
    """
    return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:.6f}"


def _print(table: Table) -> None:
    """Cut nothing off: half a price is a wrong one."""
    Console(width=max(console.width, WIDE)).print(table)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
