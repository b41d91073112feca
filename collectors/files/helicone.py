"""Requests of Helicone, as its export tool and its API write them.

`prompt_tokens` leaves cached tokens out for Anthropic and includes them for the others. `time_to_first_token` is the
first chunk. Of the bodies, which an export may hold, the id of the answer alone is read.
"""

from __future__ import annotations

from typing import Any

from collectors.files.columns import prepared
from collectors.files.exports import Values, model_of, nested, pick, preset, provider_of, seconds, tokens
from collectors.files.values import BadValue, money, number

_CANCELLED = -3
_ERROR = 400
_NO_CACHE = "00000000-0000-0000-0000-000000000000"


def read(values: Values) -> dict[str, Any]:
    """The fields of a request from a record of the export."""
    start = pick(values, "request_created_at", "createdAt", "created_at")
    named = pick(values, "request_model", "model", "model_override", "response_model")
    provider = provider_of(pick(values, "provider"), named)
    properties = {name.lower(): value for name, value in nested(values, "request_properties", "properties").items()}
    status, http_status, error = _status(pick(values, "response_status", "status"))
    duration_s = _seconds(pick(values, "delay_ms", "latency"))
    if duration_s is None:
        duration_s = seconds(pick(values, "response_created_at"), start)
    ttfc_s = _seconds(pick(values, "time_to_first_token"))
    cached_answer = pick(values, "cache_reference_id") not in (None, _NO_CACHE)
    row: dict[str, Any] = {
        "ts": start,
        "request_id": pick(nested(values, "response_body"), "id") or pick(values, "request_id", "id"),
        "provider": provider,
        "model": model_of(named, provider),
        "response_model": model_of(pick(values, "response_model"), provider),
        "operation": "embeddings" if "embedding" in str(pick(values, "request_path")) else "chat",
        **{name: pick(properties, name) for name in ("team", "project", "environment")},
        "status": status,
        "http_status": http_status,
        "error_type": error,
        "duration_s": duration_s,
        "ttfc_s": ttfc_s or None,
        "streamed": True if ttfc_s else None,
        **_tokens(values, provider, failed=status == "error"),
        **_cost(pick(values, "cost", "costUSD", "cost_usd"), cached_answer=cached_answer),
        "attrs": {"cache_hit": True} if cached_answer else None,
    }
    return {prepared(name): value for name, value in row.items()}


def _status(given: object) -> tuple[str, int | None, str | None]:
    """Helicone writes -3 for a call that was cancelled, and other negative numbers for calls without an answer."""
    try:
        code = int(number(given) or 0)
    except BadValue:
        code = 0
    if code == _CANCELLED:
        return "cancelled", None, None
    if code < 0:
        return "error", None, "no_answer"
    return ("error", code, f"http_{code}") if code >= _ERROR else ("ok", code or None, None)


def _tokens(values: Values, provider: str, *, failed: bool) -> dict[str, int | None]:
    given, made = tokens(pick(values, "prompt_tokens")), tokens(pick(values, "completion_tokens"))
    cached, written = (tokens(pick(values, f"prompt_cache_{each}_tokens")) for each in ("read", "write"))
    if failed and not given and not made:
        return {}
    parts = (cached or 0) + (written or 0)
    if given is not None and (provider == "anthropic" or given < parts):
        given += parts
    return {
        "input_tokens": given,
        "output_tokens": made,
        "cached_tokens": cached,
        "cache_write_tokens": written,
        "reasoning_tokens": tokens(pick(values, "reasoning_tokens")),
    }


def _cost(given: object, *, cached_answer: bool) -> dict[str, Any]:
    try:
        found = money(given)
    except BadValue:
        found = None
    if cached_answer:
        return {"cost_usd": 0, "price_version": "helicone"}
    return {"cost_usd": found, "price_version": "helicone"} if found else {}


def _seconds(milliseconds: object) -> float | None:
    try:
        found = number(milliseconds)
    except BadValue:
        return None
    return None if found is None or found < 0 else found / 1000


HELICONE = preset(
    "helicone", read, (("request_id", "id"), ("request_created_at", "createdAt", "created_at"), ("provider", "model"))
)
