"""A model call as an instrumentation tells of it, as a row of `metrics.llm_requests`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from collectors.llm.attribution import Owner
from collectors.llm.clean import identifier, name
from collectors.llm.prices import UNKNOWN, Price, price
from collectors.llm.record import Request, Status
from collectors.llm.usage import Usage
from collectors.otlp.calls import EMBEDDINGS
from collectors.otlp.conventions import CHUNK_IS_TOKEN
from collectors.otlp.item import Attributes, Item
from collectors.otlp.providers import provider
from collectors.otlp.tokens import number_of, reported
from collectors.web.refusal import Unusable
from store.values import END, FIRST, TIMES

SPANS, EVENTS = "otlp", "otlp_log"  # the column `source`: an event has no duration, and gives way to its span
LONGEST_S = 30 * 86_400.0

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_NS, _END_NS = (int((moment - _EPOCH).total_seconds()) * 10**9 for moment in (FIRST, END))
_CANCELLED = frozenset({"CancelledError", "GeneratorExit", "AbortError", "KeyboardInterrupt", "cancelled"})
_REFUSED = {"content_filter": "content_filter", "safety": "content_filter", "refusal": "refusal"}
_WORD = re.compile(r"[A-Za-z_\-]+")
_ID_OF_RESPONSE = re.compile(r'\s*\{\s*"id"\s*:\s*"([\w.:\-]{1,200})"')


@dataclass(frozen=True, slots=True)
class Call:
    """A row, and what tells it from other reports of the same call."""

    item: Item
    request: Request
    response_id: str | None


def call(item: Item, operation: str, owner: Owner) -> Call:
    """The row of a model call.

    Args:
        item: its span or event.
        operation: what `calls.operation` says of it.
        owner: to whom a call is booked that does not say it.

    Raises:
        Unusable: a number in it cannot be, such as a negative count; names the attribute and never quotes text.
    """
    attributes, resource = item.attributes, item.resource
    if not _FIRST_NS <= item.start_ns < _END_NS:
        raise Unusable(f"the time is not in the years {TIMES}")
    if {len(item.span_id), len(item.parent_id)} - {0, 16} or len(item.trace_id) not in (0, 32):
        raise Unusable("its ids have not 8 and 16 bytes")
    ts = _EPOCH + timedelta(microseconds=item.start_ns // 1_000)
    usage = reported(attributes)
    has_usage = usage.input_tokens is not None or usage.output_tokens is not None
    response_model = _text(attributes, "response_model")
    model = _text(attributes, "model") or response_model
    whom = provider(_text(attributes, "provider"), _text(attributes, "address"), response_model or model)
    tier = identifier(attributes.get("service_tier"))
    cost = _price(whom, (response_model, model), ts, usage, tier, operation)
    response_id = _response_id(attributes)
    if not (response_id or item.span_id):
        raise Unusable("it has neither a response id nor a span id")
    finish = _finish(attributes)
    status, error_type, http_status = _status(item, finish)
    ttft_s, ttfc_s = _first_token(item)
    request = Request(
        ts=ts,
        request_id=response_id or item.span_id,
        provider=whom,
        model=model or "unknown",
        response_model=response_model,
        operation=operation,
        team=_owner("team", attributes, resource) or owner.team or "unassigned",
        project=_owner("project", attributes, resource) or owner.project or "unassigned",
        environment=_owner("environment", attributes, resource) or owner.environment or "default",
        source=EVENTS if item.event else SPANS,
        status=status,
        error_type=error_type,
        http_status=http_status,
        streamed=_streamed(attributes, seen_chunk=ttfc_s is not None),
        ttfc_s=ttfc_s,
        ttft_s=ttft_s,
        duration_s=_duration(item),
        output_tokens_per_s=None,  # nothing says when the last token came
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        usage_source="reported" if has_usage else "missing",
        cost_usd=cost.cost_usd,
        price_version=cost.version,
        attrs=_attrs(item, finish, tier),
    )
    return Call(item, request, response_id)


def _price(
    whom: str, models: tuple[str | None, ...], ts: datetime, usage: Usage, tier: str | None, operation: str
) -> Price:
    if operation == EMBEDDINGS and usage.output_tokens is None:
        usage = replace(usage, output_tokens=0)
    for model in dict.fromkeys(filter(None, models)):
        found = price(provider=whom, model=model, ts=ts, usage=usage, service_tier=tier)
        if found.cost_usd is not None:
            return found
    return UNKNOWN


def _status(item: Item, finish: str | None) -> tuple[Status, str | None, int | None]:
    attributes = item.attributes
    told = attributes.get("error_type")
    http_status = _http_status(attributes.get("http_status")) or _http_status(told)
    error_type = identifier(told)
    if error_type is not None and error_type.rpartition(".")[2] in _CANCELLED:
        return "cancelled", None, http_status
    refused = _REFUSED.get((finish or "").lower())
    if item.failed or told is not None or (http_status or 0) >= 400:
        if error_type is None or error_type.isdecimal():
            error_type = f"http_{http_status}" if (http_status or 0) >= 400 else refused or "unnamed"
        return "error", error_type, http_status
    return ("error", refused, http_status) if refused else ("ok", None, http_status)


def _first_token(item: Item) -> tuple[float | None, float | None]:
    """Seconds to the first token and to the first chunk."""
    attributes = item.attributes
    token = _seconds(attributes, "first_token_s")
    chunk = _seconds(attributes, "first_chunk_s")
    if chunk is None and (milliseconds := _seconds(attributes, "first_chunk_ms")) is not None:
        chunk = milliseconds / 1_000
    if chunk is None and item.first_event_ns >= item.start_ns > 0:
        chunk = (item.first_event_ns - item.start_ns) / 1e9
    sdk = item.resource.get("sdk")
    if token is not None and (sdk in CHUNK_IS_TOKEN or item.scope.startswith(CHUNK_IS_TOKEN)):
        return None, chunk if chunk is not None else token
    return token, chunk


def _duration(item: Item) -> float | None:
    if item.end_ns < item.start_ns:
        return None  # an event, or a clock that was set back meanwhile
    duration_s = (item.end_ns - item.start_ns) / 1e9
    if duration_s > LONGEST_S:
        raise Unusable("it ends more than 30 days after it began")
    return duration_s


def _response_id(attributes: Attributes) -> str | None:
    told = _text(attributes, "response_id")
    if told is None and isinstance(value := attributes.get("response"), str):
        found = _ID_OF_RESPONSE.match(value)
        told = found[1] if found else None
    return told or _text(attributes, "request_id")


def _finish(attributes: Attributes) -> str | None:
    told = attributes.get("finish_reason")
    if isinstance(told, list):
        told = told[0] if told else None
    if not isinstance(told, str):
        return None
    found = _WORD.search(told[:100])  # LiteLLM writes the list as text
    return identifier(found[0]) if found else None


def _attrs(item: Item, finish: str | None, tier: str | None) -> dict[str, object]:
    told = (
        ("service", _text(item.resource, "service")),
        ("instrumentation", name(item.scope)),
        ("trace_id", item.trace_id or None),
        ("finish_reason", finish),
        ("service_tier", tier),
    )
    return {key: value for key, value in told if value}


def _owner(field: str, attributes: Attributes, resource: Attributes) -> str | None:
    return _text(attributes, field) or _text(resource, field)


def _text(attributes: Attributes, field: str) -> str | None:
    return name(attributes.get(field))


def _streamed(attributes: Attributes, *, seen_chunk: bool) -> bool | None:
    told = attributes.get("streamed")
    if told is None:
        return True if seen_chunk else _vercel_stream(attributes)
    return told if isinstance(told, bool) else str(told).lower() == "true"


def _vercel_stream(attributes: Attributes) -> bool | None:
    step = attributes.get("vercel_operation")
    return step.endswith(".doStream") if isinstance(step, str) else None


def _http_status(told: object) -> int | None:
    if isinstance(told, str) and told.isascii() and told.isdecimal() and len(told) == 3:
        told = int(told)
    return told if isinstance(told, int) and not isinstance(told, bool) and 100 <= told <= 599 else None


def _seconds(attributes: Attributes, field: str) -> float | None:
    number = number_of(attributes, field)
    if number is not None and not 0 <= number <= LONGEST_S * 1_000:
        raise Unusable(f"{field} is no length of time")
    return None if number is None else float(number)
