"""One LLM request as a row of `metrics.llm_requests`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Literal

TABLE = "metrics.llm_requests"

Status = Literal["ok", "error", "cancelled"]
UsageSource = Literal["reported", "estimated", "missing"]


@dataclass(slots=True, kw_only=True)  # not frozen: that would double the time to make one
class Request:
    """One request; the fields are the columns, in their order. Never holds prompt or completion text.

    `ts` is UTC-aware, durations are seconds, `cost_usd` is None when the price is not known.
    """

    ts: datetime
    request_id: str
    provider: str = "unknown"
    model: str = "unknown"
    response_model: str | None = None
    operation: str = "chat"
    team: str = "unassigned"
    project: str = "unassigned"
    environment: str = "default"
    source: str
    status: Status = "ok"
    error_type: str | None = None
    http_status: int | None = None
    streamed: bool | None = None
    ttfc_s: float | None = None
    ttft_s: float | None = None
    duration_s: float | None = None
    output_tokens_per_s: float | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: UsageSource = "missing"
    cost_usd: Decimal | None = None
    price_version: str | None = None
    attrs: dict[str, object] | None = None

    def values(self) -> tuple[object, ...]:
        """The row, in the order of `COLUMNS`."""
        row: tuple[object, ...] = _values(self)
        return row


COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Request))
_values = attrgetter(*COLUMNS)
