"""Takes values out of JSON that came over the network; nothing here raises, whatever has arrived."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import from_json

from collectors.llm.clean import identifier

_LARGEST: Final = 2**63 - 1


def document(text: bytes) -> dict[str, Any]:
    """The JSON object in `text`; empty where there is none. A list with one object in it counts as that object."""
    try:
        value = from_json(text)
    except ValueError:
        try:
            value = json.loads(text)  # which takes half of a surrogate pair, as servers write it that cut a text
        except (ValueError, RecursionError):
            return {}
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # how Gemini wraps its errors
    return value if isinstance(value, dict) else {}


def part(source: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """The object under the first of the keys that has one; empty where none has.

    >>> part({"a": None, "b": {"c": 1}}, "a", "b")
    {'c': 1}
    """
    for key in keys:
        value = source.get(key)
        if isinstance(value, dict):
            return value
    return {}


def parts(source: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of the list under `key`."""
    value = source.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def count(source: Mapping[str, Any], *keys: str) -> int | None:
    """The first of the keys that holds a count of something: a whole number that a bigint can keep.

    >>> count({"a": "7", "b": 28.0}, "a", "b"), count({"a": True}, "a"), count({"a": -1}, "a")
    (28, None, None)
    """
    for key in keys:
        value = source.get(key)
        if value is None:
            continue
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is int and 0 <= value <= _LARGEST:  # True is an int, too
            return value
    return None


def total(*counts: int | None) -> int | None:
    """The sum of those that are known; None where none is.

    >>> total(5, None, 3), total(None)
    (8, None)
    """
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def error_type(body: Mapping[str, Any]) -> str | None:
    """The code of the error that a body tells; `unnamed` where it has none, None where it tells no error."""
    if not (body.get("error") or body.get("object") == "error" or body.get("type") == "error" or body.get("detail")):
        return None
    told = part(body, "error") or body
    for key in ("type", "code", "status"):
        code = identifier(told.get(key))
        if code and code != "error":
            return code
    status = count(told, "code")
    return f"http_{status}" if status and 400 <= status <= 599 else "unnamed"
