"""Whether a value fits into a column, and what to say of one that does not."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from store.table import Column

TEXT_LIMIT = 10_000  # characters of a text
JSON_LIMIT = 65_536  # characters of a jsonb
NUMERIC_LIMIT = 1_000  # digits before or after the point
BOUNDS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
# What is measured lies in this time. The tables refuse the rest, and no partition must be made for it.
FIRST, END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
TIMES = f"{FIRST.year} to {END.year - 1}"

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Unfit(ValueError):
    """Why a value does not fit, in a few words."""


def fitted(column: Column, value: object) -> object:
    """`value` as it is written to `column`.

    Raises:
        Unfit: it does not fit.
    """
    if value is None:
        if column.name == "ts":
            raise Unfit("when it was is missing")
        return None
    try:
        return _FIT.get(column.type, _as_it_is)(column, value)
    except UnicodeError:
        raise Unfit("holds half of a surrogate pair, which is no text") from None
    except (TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise Unfit(f"cannot be made {column.type}: {error}") from None


def all_fitted(column: Column, values: Sequence[object]) -> Sequence[object] | None:
    """`values` as they are written to `column`; None where that takes a closer look at each. No loop in Python."""
    kinds = set(map(type, values)) - {type(None)}
    if column.name == "ts" and None in values:
        return None
    if not kinds:
        return values
    look = _ALL_FIT.get(column.type)
    try:
        return look(column, values, kinds) if look else values
    except (TypeError, ValueError, ArithmeticError, RecursionError):
        return None


def shown(value: object) -> str:
    """A value, shortened, for people."""
    text = repr(value[:80]) if isinstance(value, str | bytes) else repr(value)
    return text if len(text) <= 80 else f"{text[:60]}…"


def _integer(column: Column, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise Unfit("is no integer")
    number = operator.index(value)
    if not -BOUNDS[column.type] <= number < BOUNDS[column.type]:
        raise Unfit(f"is out of the range of {column.type}")
    return number


def _float(column: Column, value: Any) -> float:
    del column
    if isinstance(value, bool | str | bytes) or not hasattr(value, "__float__"):
        raise Unfit("is no number")
    return float(value)


def _numeric(column: Column, value: Any) -> Decimal:
    del column
    if isinstance(value, float):
        number = Decimal(repr(float(value)))  # the shortest that is this float, as PostgreSQL takes it too
    elif isinstance(value, Decimal):
        number = value
    elif isinstance(value, bool) or not hasattr(value, "__index__"):
        raise Unfit("is no number")
    else:
        number = Decimal(operator.index(value))
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and max(abs(number.adjusted()), -exponent) > NUMERIC_LIMIT:
        raise Unfit(f"has more than {NUMERIC_LIMIT:,} digits")
    return number


def _text(column: Column, value: Any) -> str:
    del column
    if not isinstance(value, str):
        raise Unfit("is no text")
    text = str.__str__(value)
    if len(text) > TEXT_LIMIT:
        raise Unfit(f"is {len(text):,} characters long, and {TEXT_LIMIT:,} is the most")
    if "\0" in text:
        raise Unfit("holds a NUL, which is no text")
    text.encode()
    return text


def _boolean(column: Column, value: Any) -> bool:
    del column
    if not isinstance(value, bool):
        raise Unfit("is neither true nor false")
    return value


def _moment(column: Column, value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise Unfit("is no datetime")
    if value.utcoffset() is None:
        raise Unfit("is a time without a zone")
    if column.name == "ts" and not FIRST <= value < END:
        raise Unfit(f"is not in the years {TIMES}")
    return value


def _json(column: Column, value: Any) -> str:
    del column
    try:
        text = value if isinstance(value, str) else _to_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unfit(f"cannot be made JSON: {error}") from None
    if len(text) > JSON_LIMIT:
        raise Unfit(f"is {len(text):,} characters of JSON, and {JSON_LIMIT:,} is the most")
    text.encode()
    return text


def _uuid(column: Column, value: Any) -> UUID:
    del column
    return value if isinstance(value, UUID) else UUID(value)


def _as_it_is(column: Column, value: object) -> object:
    del column
    return value


_FIT: dict[str, Callable[[Column, Any], object]] = {
    "smallint": _integer,
    "integer": _integer,
    "bigint": _integer,
    "double precision": _float,
    "real": _float,
    "numeric": _numeric,
    "text": _text,
    "boolean": _boolean,
    "timestamp with time zone": _moment,
    "jsonb": _json,
    "uuid": _uuid,
}

_Values = Sequence[Any]
_Kinds = set[type]


def _integers(column: Column, values: _Values, kinds: _Kinds) -> _Values | None:
    limit = BOUNDS[column.type]
    fit = kinds == {int} and max(_there(values), default=0) < limit and min(_there(values), default=0) >= -limit
    return values if fit else None


def _floats(column: Column, values: _Values, kinds: _Kinds) -> _Values | None:
    del column
    return values if kinds == {float} else None


def _numerics(column: Column, values: _Values, kinds: _Kinds) -> _Values | None:
    del column
    fit = kinds == {Decimal} and set(map(Decimal.adjusted, _there(values))) <= _USUAL
    return values if fit else None


def _texts(column: Column, values: _Values, kinds: _Kinds) -> _Values | None:
    del column
    return values if kinds == {str} and _is_text(values, TEXT_LIMIT) and "\0" not in "".join(_there(values)) else None


def _booleans(column: Column, values: _Values, kinds: _Kinds) -> _Values | None:
    del column
    return values if kinds == {bool} else None


def _moments(column: Column, values: _Values, kinds: _Kinds) -> _Values | None:
    first, last = min(_there(values)), max(_there(values))
    fit = kinds == {datetime} and first >= FIRST and last < END  # a comparison with a time without a zone raises
    return values if fit or (column.name != "ts" and kinds == {datetime}) else None


def _jsons(column: Column, values: _Values, kinds: _Kinds) -> _Values | None:
    del column
    if not kinds <= {dict, list}:
        return None
    texts = [None if value is None else _to_json(value) for value in values]
    return texts if _is_text(texts, JSON_LIMIT) else None


def _uuids(column: Column, values: _Values, kinds: _Kinds) -> _Values | None:
    del column
    return values if kinds == {UUID} else None


def _is_text(values: _Values, limit: int) -> bool:
    together = "".join(_there(values))
    if not together.isascii():
        together.encode()  # raises where a surrogate stands alone
    return len(together) <= limit or max(map(len, _there(values))) <= limit


def _there(values: _Values) -> Iterable[Any]:
    return filter(None, values)


_USUAL = set(range(-40, 40))
_ALL_FIT: dict[str, Callable[[Column, _Values, _Kinds], _Values | None]] = {
    "smallint": _integers,
    "integer": _integers,
    "bigint": _integers,
    "double precision": _floats,
    "real": _floats,
    "numeric": _numerics,
    "text": _texts,
    "boolean": _booleans,
    "timestamp with time zone": _moments,
    "jsonb": _jsons,
    "uuid": _uuids,
}
