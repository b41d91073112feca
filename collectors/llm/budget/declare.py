"""Which budgets there are: set, remove, and how they stand. Each change is in the audit log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row, dict_row

from store.audit import note
from store.connect import connect
from store.errors import ParameterInvalid, StoreError, UnknownName
from store.queries import named
from store.settings import Settings

Per = Literal["day", "month"]
PERIODS = ("day", "month")
_KEY = re.compile(r"[0-9a-f]{8}")
_CURRENT = "SELECT * FROM analytics.budgets WHERE name = %s AND removed_at IS NULL FOR UPDATE"
_NAMES = "SELECT name FROM analytics.budgets WHERE removed_at IS NULL ORDER BY name"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What calls may cost in a calendar day or month (UTC). What it counts: None stands for all.

    `soft_limits`: fractions of the limit. `webhook_url`: where it is posted to that one of them has been reached.
    """

    name: str
    period: Per
    limit_usd: Decimal
    team: str | None = None
    project: str | None = None
    model: str | None = None
    key: str | None = None
    soft_limits: tuple[Decimal, ...] = ()
    webhook_url: str | None = None
    enabled: bool = True

    @property
    def scope(self) -> tuple[str | None, ...]:
        """What never changes."""
        return (self.period, self.team, self.project, self.model, self.key)


@dataclass(frozen=True)
class Standing:
    """A budget in its current period; amounts in USD, times in UTC."""

    name: str
    team: str | None
    project: str | None
    model: str | None
    key: str | None
    period: Per
    limit_usd: Decimal
    soft_limits: list[Decimal]
    enabled: bool
    spent_usd: Decimal
    reserved_usd: Decimal
    left_usd: Decimal
    expired_usd: Decimal
    overrun_usd: Decimal
    calls: int
    refused_at: datetime | None
    starts_at: datetime
    resets_at: datetime


@dataclass(frozen=True)
class Past:
    """What a budget has spent in one period; amounts in USD, times in UTC."""

    name: str
    removed: bool
    period: Per
    starts_at: datetime
    limit_usd: Decimal
    spent_usd: Decimal
    expired_usd: Decimal
    overrun_usd: Decimal
    calls: int
    refused_at: datetime | None


def put(settings: Settings, name: str, **given: Any) -> tuple[Budget, bool]:
    """Make a budget, or change one: what is not given stays as it is. Returns it, and whether it is new.

    Args:
        settings: where the store is.
        name: what to call it.
        given: fields of `Budget`. A new one needs a limit; its period is a month where nothing else is said.

    Raises:
        ParameterInvalid: a value does not fit, or what an existing budget counts would change.
        StoreError: this role may not change budgets.
    """
    check(name, given)
    with connect(settings, autocommit=True) as connection:
        try:
            with connection.transaction():
                return _put(connection, name, given)
        except psycopg.errors.UniqueViolation:  # somebody else has just made it
            with connection.transaction():
                return _put(connection, name, given)
        except psycopg.errors.InsufficientPrivilege as error:
            raise _denied(connection, "budget.set", name, error) from error


def remove(settings: Settings, name: str) -> None:
    """Take a budget away: it counts no more, and stays in the history.

    Raises:
        UnknownName: there is none of that name.
        StoreError: this role may not change budgets.
    """
    with connect(settings, autocommit=True) as connection:
        try:
            with connection.transaction():
                if connection.execute(named("budget_remove").sql, {"name": name}).rowcount == 0:
                    raise UnknownName("budget", name, [each for (each,) in connection.execute(_NAMES)])
                note(connection, "budget.remove", name)
        except psycopg.errors.InsufficientPrivilege as error:
            raise _denied(connection, "budget.remove", name, error) from error


def standings(settings: Settings) -> list[Standing]:
    """Every budget that this role may see, by name, as it stands now."""
    with connect(settings, autocommit=True) as connection:
        _expire(connection)
        with connection.cursor(row_factory=class_row(Standing)) as cursor:
            return cursor.execute(named("budgets").sql).fetchall()


def history(settings: Settings, *, since: datetime, name: str | None = None) -> list[Past]:
    """What budgets have spent in the periods that began at `since` or later, newest first; removed ones too."""
    with connect(settings, autocommit=True) as connection:
        _expire(connection)
        with connection.cursor(row_factory=class_row(Past)) as cursor:
            return cursor.execute(
                named("budget_history").sql, {"name": name, "since": since.astimezone(UTC)}
            ).fetchall()


def check(name: str, given: Mapping[str, Any]) -> None:
    """Raises `ParameterInvalid` where a value cannot be one of a budget."""
    if not name.strip() or len(name) > 100:
        raise ParameterInvalid("name", "a budget is called something, in at most 100 characters")
    limit = given.get("limit_usd")
    if limit is not None and not (limit.is_finite() and 0 <= limit <= 10**9):
        raise ParameterInvalid("limit", f"{limit} is no amount in USD from 0 to 1,000,000,000")
    if given.get("period", "month") not in PERIODS:
        raise ParameterInvalid("per", f"{given['period']!r} is neither day nor month")
    for field in ("team", "project", "model"):
        if (value := given.get(field)) is not None and (not value.strip() or value == "*"):
            raise ParameterInvalid(field, "leave it out to count the calls of all")
    if (key := given.get("key")) is not None and not _KEY.fullmatch(key):
        # What was given may be the API key itself: it is not shown.
        how = 'printf %s "$API_KEY" | sha256sum | cut -c1-8'
        raise ParameterInvalid("key", f"it takes the first eight hex digits of the key's SHA-256: {how}")
    for fraction in given.get("soft_limits") or ():
        if not (fraction.is_finite() and 0 < fraction <= 1):
            raise ParameterInvalid("soft", f"{fraction} is no fraction of the limit such as 0.8")
    if (url := given.get("webhook_url")) and not re.match(r"https?://[^/]", url):
        raise ParameterInvalid("webhook", "it takes an address that begins with https:// or http://")


def _put(connection: psycopg.Connection, name: str, given: Mapping[str, Any]) -> tuple[Budget, bool]:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_CURRENT, [name]).fetchone()
    if row is None:
        if given.get("limit_usd") is None:
            raise ParameterInvalid("limit", f"there is no budget {name!r} yet, and a new one needs a limit")
        budget = Budget(name=name, **{"period": "month", **given})
        connection.execute(named("budget_add").sql, _values(budget))
        note(connection, "budget.set", name, details=_noted(budget))
        return budget, True
    held = {field: row[field] for field in Budget.__dataclass_fields__}
    before = Budget(**{**held, "soft_limits": tuple(row["soft_limits"])})
    budget = replace(before, **given)
    if budget.scope != before.scope:
        raise ParameterInvalid(
            "name", f"budget {name!r} counts something else already, and its ledger with it; choose another name, or "
            f"remove it first: `gaugebook budget remove {name}`"
        )  # fmt: skip
    values = _values(budget)
    connection.execute(
        named("budget_change").sql, {field: values[field] for field in named("budget_change").parameters}
    )
    if (budget.limit_usd, budget.soft_limits) != (before.limit_usd, before.soft_limits):
        connection.execute(named("budget_announce_again").sql, {"name": name})
    note(connection, "budget.set", name, details={**_noted(budget), "limit_usd_before": f"{before.limit_usd:f}"})
    return budget, False


def _values(budget: Budget) -> dict[str, object]:
    return {**vars(budget), "soft_limits": list(budget.soft_limits)}


def _noted(budget: Budget) -> dict[str, object]:
    # Whether there is a webhook, and not which: its address may hold a secret.
    scope = {field: getattr(budget, field) for field in ("period", "team", "project", "model", "key")}
    return {
        **{field: value for field, value in scope.items() if value is not None},
        "limit_usd": f"{budget.limit_usd:f}",
        "soft_limits": [f"{fraction:f}" for fraction in budget.soft_limits],
        "webhook": budget.webhook_url is not None,
        "enabled": budget.enabled,
    }


def _expire(connection: psycopg.Connection) -> None:
    may = "SELECT has_function_privilege('analytics.expire_leases()', 'EXECUTE') AND NOT pg_is_in_recovery()"
    if connection.execute(may).fetchone() == (True,):
        connection.execute("SELECT analytics.expire_leases()")


def _denied(connection: psycopg.Connection, action: str, name: str, error: psycopg.Error) -> StoreError:
    note(connection, action, name, "denied")
    return StoreError(
        f"this role may not change budgets: {str(error).splitlines()[0]}. "
        "Log in as a member of gaugebook_admin or as the owner of the database"
    )
