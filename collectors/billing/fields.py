"""Fields of a report's JSON, each checked where it is read: a report that is not what it should be is a SourceError."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

Object = Mapping[str, Any]

KEY_BYTES = 200  # the key of a table has to fit into an index page
DEAREST = Decimal(10) ** 12


class NotAReport(ValueError):
    """A field is missing or makes no sense; the message names it."""


def objects(parent: Object, name: str) -> list[Object]:
    """The list of objects `name`."""
    found = parent.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise NotAReport(f"{name!r} is not a list of objects")
    return found


def count(parent: Object, name: str) -> int | None:
    """A whole number of at least 0; None where there is none."""
    found = parent.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | Decimal) or found != int(found) or found < 0:
        raise NotAReport(f"{name!r} is not a count")
    return int(found)


def text(parent: Object, name: str) -> str | None:
    """Text that can be part of a key: without NUL, at most 200 bytes; None for none and for nothing."""
    found = parent.get(name)
    if found is None:
        return None
    if not isinstance(found, str) or "\0" in found:
        raise NotAReport(f"{name!r} is not text")
    return found.encode("utf-8", "replace")[:KEY_BYTES].decode(errors="ignore").strip() or None


def money(value: object, name: str) -> Decimal:
    """An amount, exactly as written; a credit is negative."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise NotAReport(f"{name!r} is not an amount")
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise NotAReport(f"{name!r} is not an amount") from None
    if not found.is_finite() or abs(found) >= DEAREST:
        raise NotAReport(f"{name!r} is not a sane amount")
    return found


def in_usd(currency: object) -> None:
    """Nothing, where `currency` is the US dollar: no rate is made up here."""
    if not isinstance(currency, str) or currency.lower() != "usd":
        shown = currency if isinstance(currency, str) and len(currency) <= 8 else type(currency).__name__
        raise NotAReport(f"the currency is {shown}, not USD")


def epoch(parent: Object, name: str) -> datetime:
    """A time in seconds since 1970."""
    try:
        return datetime.fromtimestamp(int(parent[name]), UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise NotAReport(f"{name!r} is not a time") from None


def rfc3339(parent: Object, name: str) -> datetime:
    """A time such as 2026-11-01T00:00:00Z."""
    try:
        found = datetime.fromisoformat(parent[name])
    except (KeyError, TypeError, ValueError):
        raise NotAReport(f"{name!r} is not a time") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
