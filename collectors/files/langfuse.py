"""Observations of Langfuse, as its UI, API and blob storage export them. Generations and embeddings are requests.

Langfuse means the keys of `usageDetails` to exclude each other: `input` is what was not cached. Some senders put all
input there (langfuse#12306: 128,960 of which 128,955 cached), which counts the cached tokens twice; the total tells,
or the sender's own `gen_ai.usage.input_tokens`, which includes them. `completionStartTime` is the first chunk.
Inputs, outputs, names and status messages are not read.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from collectors.files.columns import prepared
from collectors.files.exports import Values, model_of, nested, pick, preset, provider_of, seconds, tokens
from collectors.files.values import BadValue, amount, money

_REQUESTS = ("GENERATION", "EMBEDDING")
_OTEL = "attributes.gen_ai."


def read(values: Values) -> dict[str, Any] | None:
    """The fields of a request from an observation; None where it is a span, an event, or else calls no model."""
    kind = str(pick(values, "type") or "GENERATION").upper()
    if kind not in _REQUESTS:
        return None
    metadata = nested(values, "metadata")
    start, end = pick(values, "startTime", "start_time"), pick(values, "endTime", "end_time")
    named = pick(values, "model", "providedModelName", "provided_model_name", "modelId", "model_id")
    provider = provider_of(pick(metadata, f"{_OTEL}provider.name", f"{_OTEL}system", "ls_provider"), named)
    duration_s = _or(seconds(end, start), pick(values, "latency"))
    first = pick(values, "completionStartTime", "completion_start_time")
    ttfc_s = _or(seconds(first, start), pick(values, "timeToFirstToken", "time_to_first_token"))
    failed = str(pick(values, "level") or "").upper() == "ERROR"
    row: dict[str, Any] = {
        "ts": start,
        "request_id": pick(metadata, f"{_OTEL}response.id") or pick(values, "id"),
        "provider": provider,
        "model": model_of(named, provider),
        "response_model": pick(metadata, f"{_OTEL}response.model"),
        "operation": "embeddings" if kind == "EMBEDDING" else "chat",
        "project": pick(values, "projectName", "project_name"),
        "environment": pick(values, "environment"),
        "status": "error" if failed else "ok",
        "error_type": (pick(metadata, "attributes.error.type") or "error") if failed else None,
        "duration_s": duration_s,
        "streamed": True if ttfc_s is not None else None,
        "ttfc_s": ttfc_s,
        **usage(nested(values, "usageDetails", "usage_details", "usage"), pick(metadata, f"{_OTEL}usage.input_tokens")),
        **_cost(values),
    }
    return {prepared(name): value for name, value in row.items()}


def usage(details: Values, all_input: object = None) -> dict[str, int | None]:
    """Our counts from Langfuse's details; `all_input` is the sender's count of all input, where it is kept.

    >>> usage({"input": 5, "cache_read_input_tokens": 128955, "output": 1253})["input_tokens"]
    128960
    >>> usage({"input": 128960, "cache_read_input_tokens": 128955, "output": 1253, "total": 130213})["input_tokens"]
    128960
    """
    counts = {name: count for name, value in details.items() if (count := tokens(value)) is not None}
    total = _total(counts)
    given, made = _named(counts, ("input", "prompt", "cache")), _named(counts, ("output", "completion", "reasoning"))
    if not given and not made:
        return dict.fromkeys(("input_tokens", "output_tokens"))
    base, parts = _split(given, ("input", "input_tokens", "prompt_tokens", "promptTokens", "prompt"))
    out, out_parts = _split(made, ("output", "output_tokens", "completion_tokens", "completionTokens", "completion"))
    # Langfuse's own meaning first, then those in which a base includes its parts; the first that makes up the total.
    readings = [
        (base + (0 if whole else parts), out + (0 if out_whole else out_parts))
        for whole, out_whole in product((False, True), repeat=2)
        if (not whole or base >= parts) and (not out_whole or out >= out_parts)
    ]
    chosen = next((reading for reading in readings if sum(reading) == total), readings[0])
    if parts and base >= parts and tokens(all_input) == base:
        chosen = base, chosen[1]
    return {
        "input_tokens": chosen[0],
        "output_tokens": chosen[1],
        "cached_tokens": _of(given, "cache", without="creat writ"),
        "cache_write_tokens": _of(given, "creat writ"),
        "reasoning_tokens": _of(made, "reasoning"),
    }


def _total(counts: dict[str, int]) -> int | None:
    names = [name for name in counts if name.lower().startswith("total")]
    found = [counts.pop(name) for name in names]
    return found[0] if found else None


def _named(counts: dict[str, int], words: tuple[str, ...]) -> dict[str, int]:
    other = ("output", "completion", "reasoning") if "input" in words else ()
    return {
        name: count
        for name, count in counts.items()
        if any(word in name.lower() for word in words) and not any(word in name.lower() for word in other)
    }


def _split(counts: dict[str, int], bases: tuple[str, ...]) -> tuple[int, int]:
    base = next((name for name in bases if name in counts), None)
    return (counts[base] if base else 0), sum(count for name, count in counts.items() if name != base)


def _of(counts: dict[str, int], words: str, *, without: str = "") -> int | None:
    found = [
        count
        for name, count in counts.items()
        if any(word in name.lower() for word in words.split())
        and not any(word in name.lower() for word in without.split())
    ]
    return sum(found) if found else None


def _cost(values: Values) -> dict[str, Any]:
    details = nested(values, "costDetails", "cost_details")
    given = pick(details, "total")
    if given is None:
        given = pick(values, "totalCost", "total_cost", "calculatedTotalCost", "calculated_total_cost")
    try:
        found = money(given)
    except BadValue:
        found = None
    return {"cost_usd": found, "price_version": "langfuse"} if found else {}


def _or(known: float | None, written: object) -> float | None:
    if known is not None:
        return known
    try:
        return amount(written)
    except BadValue:
        return None


LANGFUSE = preset("langfuse", read, (("id",), ("startTime", "start_time"), ("type", "model", "providedModelName")))
