"""What may be sent: one model for each table, and the rows that become of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    WithJsonSchema,
)

from collectors.files import values
from collectors.files.cost import cost_of

ATTRS_CHARACTERS = 65_536
INT4, INT8 = 2**31 - 1, 2**63 - 1


def _text(found: str) -> str:
    if not found.strip():
        raise ValueError("is empty")
    return values.key(found) or ""


def _written(found: object) -> object:
    if not isinstance(found, str | datetime):
        raise ValueError("is no text such as 2026-10-01T12:00:00Z")  # noqa: TRY004 - pydantic takes no TypeError
    return found


def _sane(found: datetime) -> datetime:
    return values.sane_time(found.astimezone(UTC), datetime.now(UTC))


def _small(found: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(found, ensure_ascii=False, allow_nan=False)
    if len(text) > ATTRS_CHARACTERS:
        raise ValueError(f"is longer than {ATTRS_CHARACTERS:,} characters")
    if "\\u0000" in text:
        raise ValueError("has a NUL")
    return found


def _affordable(found: Decimal) -> Decimal:
    return values.money(found) or Decimal(0)


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_written),
    AfterValidator(_sane),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": "^2[01]"}),
]
Key = Annotated[
    str,
    AfterValidator(_text),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": values.KEY_BYTES, "pattern": "\\S"}),
]
Count = Annotated[int, Field(strict=True, ge=0, le=INT8)]
Small = Annotated[int, Field(strict=True, ge=0, le=INT4)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Dollars = Annotated[Decimal, Field(ge=0, allow_inf_nan=False), AfterValidator(_affordable)]
Attributes = Annotated[dict[str, JsonValue], AfterValidator(_small)]


class Sent(BaseModel):
    """A row as it is sent. A field that is not known is refused, for it may be a name that was misspelt."""

    model_config = ConfigDict(extra="forbid")


class LLMRequest(Sent):
    """One call of a model. Never send prompts or answers."""

    ts: Moment = Field(description="when the call began, with a time zone")
    request_id: Key = Field(description="with `ts` the key: sent twice, it is one row")
    provider: Key = "unknown"
    model: Key = "unknown"
    response_model: Key | None = None
    operation: Key = "chat"
    team: Key | None = Field(None, description="none: the team of the key it is sent with, else `unassigned`")
    project: Key = "unassigned"
    environment: Key = "default"
    source: Key = Field("api", description="which program measured it")
    status: Literal["ok", "error", "cancelled"] = "ok"
    error_type: Key | None = None
    http_status: Annotated[int, Field(strict=True, ge=100, le=599)] | None = None
    streamed: bool | None = None
    ttfc_s: Amount | None = Field(None, description="seconds to the first chunk")
    ttft_s: Amount | None = Field(None, description="seconds to the first chunk with something in it")
    duration_s: Amount | None = None
    output_tokens_per_s: Amount | None = None
    input_tokens: Count | None = Field(None, description="with those read from and written to a cache")
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    output_tokens: Count | None = Field(None, description="with those of reasoning")
    reasoning_tokens: Count | None = None
    usage_source: Literal["reported", "estimated", "missing"] | None = Field(
        None, description="none: `reported` where there are input and output tokens, else `missing`"
    )
    cost_usd: Dollars | None = Field(None, description="none: worked out from the catalogue of prices")
    price_version: Key | None = None
    attrs: Attributes | None = None


class LLMUsage(Sent):
    """Usage that a provider or a gateway reports for a span of time, where there are no single calls to be had."""

    ts: Moment = Field(description="when the span begins, with a time zone")
    width_s: Annotated[int, Field(strict=True, gt=0, le=366 * 86_400, description="its length in seconds")]
    provider: Key = "unknown"
    model: Key = "unknown"
    team: Key | None = Field(None, description="none: the team of the key it is sent with, else `unassigned`")
    project: Key = "unassigned"
    source: Key = "api"
    requests: Count
    input_tokens: Count | None = None
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    output_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    usage_source: Literal["reported", "estimated", "missing"] | None = None
    cost_usd: Dollars | None = None
    price_version: Key | None = None
    attrs: Attributes | None = None


class QueueSample(Sent):
    """A queue at one moment. Rates are those since the sample before."""

    ts: Moment
    cluster: Key
    vhost: Key
    queue: Key
    type: Key | None = None
    state: Key | None = None
    policy: Key | None = None
    messages: Count | None = Field(None, description="ready and unacknowledged")
    messages_ready: Count | None = None
    messages_unacked: Count | None = None
    message_bytes: Count | None = None
    memory_bytes: Count | None = None
    consumers: Small | None = None
    consumer_utilisation: Annotated[float, Field(ge=0, le=1)] | None = None
    head_age_s: Amount | None = None
    published_total: Count | None = None
    delivered_total: Count | None = None
    acked_total: Count | None = None
    redelivered_total: Count | None = None
    published_per_s: Amount | None = None
    delivered_per_s: Amount | None = None
    acked_per_s: Amount | None = None
    redelivered_per_s: Amount | None = None
    attrs: Attributes | None = None


class NodeSample(Sent):
    """A node of a broker at one moment."""

    ts: Moment
    cluster: Key
    node: Key
    running: bool
    memory_bytes: Count | None = None
    memory_limit_bytes: Count | None = None
    memory_alarm: bool | None = None
    disk_free_bytes: Count | None = None
    disk_free_limit_bytes: Count | None = None
    disk_alarm: bool | None = None
    fd_used: Small | None = None
    fd_total: Small | None = None
    sockets_used: Small | None = None
    sockets_total: Small | None = None
    processes_used: Small | None = None
    processes_total: Small | None = None
    run_queue: Small | None = None
    uptime_s: Amount | None = None
    attrs: Attributes | None = None


def _finish_llm(row: dict[str, Any]) -> None:
    row["team"] = row["team"] or "unassigned"
    if row["usage_source"] is None:
        metered = row["input_tokens"] is not None and row["output_tokens"] is not None
        row["usage_source"] = "reported" if metered else "missing"
    cost_of(row)


def _nothing(row: dict[str, Any]) -> None:
    del row


@dataclass(frozen=True)
class Kind:
    """What a route takes: its model, the table of its rows and their key, and the scope that a sender needs."""

    path: str
    model: type[Sent]
    table: str
    key: tuple[str, ...]
    scope: str
    finish: Callable[[dict[str, Any]], None]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.model.model_fields)

    @property
    def has_team(self) -> bool:
        return "team" in self.model.model_fields


KINDS = (
    Kind("/v1/llm/requests", LLMRequest, "metrics.llm_requests", ("ts", "request_id"), "ingest:llm", _finish_llm),
    Kind(
        "/v1/llm/usage",
        LLMUsage,
        "metrics.llm_usage",
        ("ts", "width_s", "source", "provider", "model", "team", "project"),
        "ingest:llm",
        _finish_llm,
    ),
    Kind(
        "/v1/rabbitmq/queues",
        QueueSample,
        "metrics.rabbitmq_queues",
        ("ts", "cluster", "vhost", "queue"),
        "ingest:rabbitmq",
        _nothing,
    ),
    Kind(
        "/v1/rabbitmq/nodes",
        NodeSample,
        "metrics.rabbitmq_nodes",
        ("ts", "cluster", "node"),
        "ingest:rabbitmq",
        _nothing,
    ),
)
