"""Imports usage and cost reports: usage into `metrics.llm_usage`, costs into `metrics.llm_billed`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from collectors.billing.anthropic import Anthropic
from collectors.billing.client import Reports
from collectors.billing.openai import OpenAI
from collectors.billing.provider import Provider, Reading
from collectors.billing.rows import DEFAULT_ACCOUNT, Billed, Usage, billed_batch, usage_batch
from collectors.billing.saved import saved_pages
from collectors.sink import Batch
from store.connect import connect
from store.errors import FileUnusable, ParameterInvalid, SettingsError, StoreError, UnknownName
from store.rollup import refresh
from store.settings import Settings
from store.write import Written, write

PROVIDERS: dict[str, Provider] = {provider.name: provider for provider in (OpenAI(), Anthropic())}
SETTLED_H = 6.0  # hours after its end that a bucket of usage is taken: late calls are in it by then
ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")

Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of reports: rows of usage that are new or were there, buckets left for later, items of cost."""

    usage: int
    duplicate: int
    unsettled: int
    billed: int


def provider_named(name: str) -> Provider:
    """The provider `name`.

    Raises:
        UnknownName: its reports are not known here.
    """
    provider = PROVIDERS.get(name)
    if provider is None:
        raise UnknownName("provider with reports", name, PROVIDERS)
    return provider


def import_reports(
    settings: Settings,
    name: str,
    since: datetime,
    until: datetime,
    *,
    key: str | None = None,
    base_url: str | None = None,
    account: str = DEFAULT_ACCOUNT,
    settled_h: float = SETTLED_H,
    progress: Progress | None = None,
) -> Imported:
    """Fetch the reports of provider `name` on the days from `since` to `until` (UTC, half-open) and import them.

    Asked again for the same days, usage adds nothing and costs are those of the newest report.

    Args:
        settings: names the database, and holds the admin keys.
        name: `openai` or `anthropic`.
        since: the first day.
        until: the day after the last one.
        key: an admin key, where it is not in the settings.
        base_url: another address than the provider's own.
        account: tells several organisations with one provider apart.
        settled_h: hours after its end that a bucket of usage counts as complete; the first import of a bucket stays.
        progress: called with the path of a report and the number of its page.

    Raises:
        SettingsError: there is no admin key.
        SourceError: the provider does not answer as it should; nothing is imported.
        StoreError: the database refused rows.
    """
    provider = provider_named(name)
    _check(account)
    found = key or _key(settings, provider)
    usage: list[Usage] = []
    billed: list[Billed] = []
    as_of = datetime.now(UTC)
    with Reports(provider, found, base_url=base_url) as reports:
        for ask in provider.asks(_day(since), _day(until)):
            for number, reading in enumerate(reports.read(ask), 1):
                usage += reading.usage
                billed += reading.billed
                if progress:
                    progress(ask.path, number)
    return _store(settings, usage, billed, account, as_of, settled_h)


def import_saved(
    settings: Settings,
    name: str,
    path: Path,
    *,
    as_of: datetime | None = None,
    account: str = DEFAULT_ACCOUNT,
    settled_h: float = SETTLED_H,
) -> Imported:
    """Import pages of reports from a JSON file: one page, an array of pages, or a page a line.

    Args:
        settings: names the database.
        name: `openai` or `anthropic`.
        path: the file.
        as_of: when the pages were fetched; else, when the file was last changed. The newest report of a cost counts.
        account: tells several organisations with one provider apart.
        settled_h: hours after its end that a bucket of usage counts as complete; the first import of a bucket stays.

    Raises:
        FileUnusable: it cannot be read, or holds no report of this provider.
        StoreError: the database refused rows.
    """
    provider = provider_named(name)
    _check(account)
    readings: list[Reading] = saved_pages(provider, path)
    usage = [row for reading in readings for row in reading.usage]
    billed = [row for reading in readings for row in reading.billed]
    if not usage and not billed:
        raise FileUnusable(path, f"has no usage and no costs of {name}")
    fetched = as_of or datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return _store(settings, usage, billed, account, fetched, settled_h)


def _store(
    settings: Settings, usage: list[Usage], billed: list[Billed], account: str, as_of: datetime, settled_h: float
) -> Imported:
    complete = (as_of - timedelta(hours=settled_h)).timestamp()
    settled = [row for row in usage if row.bucket.end <= complete]
    unsettled = len({(row.bucket, row.source) for row in usage if row.bucket.end > complete})
    of_usage, of_costs = usage_batch(settled, account), billed_batch(billed, account, as_of)
    with connect(settings) as connection:
        used, cost = _write(connection, of_usage), _write(connection, of_costs)
    if used.written:
        refresh(settings)
    return Imported(used.written, used.duplicate, unsettled, cost.written + cost.duplicate)


def _write(connection: psycopg.Connection, batch: Batch) -> Written:
    try:
        written = write(connection, batch.table, batch.columns, batch.rows)
    except psycopg.Error as error:
        raise StoreError(f"{batch.table} refused rows: {str(error).partition(chr(10))[0]}") from error
    if written.rejected:
        raise StoreError(f"{batch.table} refused {len(written.rejected)} rows: {written.rejected[0].reason}")
    return written


def _key(settings: Settings, provider: Provider) -> str:
    found = getattr(settings, provider.key_setting)
    if found is None:
        variable = f"GAUGEBOOK_{provider.key_setting.upper()}"
        raise SettingsError(provider.key_setting, "unset", f"set {variable} to an admin key, or name a --key-file")
    return str(found.get_secret_value()).strip()


def _check(account: str) -> None:
    if not ACCOUNT.fullmatch(account):
        raise ParameterInvalid("account", "must be a name of up to 50 letters, digits, dots, dashes or underscores")


def _day(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
