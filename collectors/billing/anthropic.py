"""Anthropic's usage and cost reports: what to ask for, and what the pages say.

https://platform.claude.com/docs/en/api/usage-cost-api
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from collectors.billing.fields import NotAReport, Object, count, in_usd, money, objects, rfc3339, text
from collectors.billing.provider import Ask, Reading
from collectors.billing.rows import DISCOUNTED, UNASSIGNED, Billed, Bucket, Usage, nothing

PROVIDER, USAGE, COSTS = "anthropic", "anthropic-usage", "anthropic-costs"
BASE_URL = "https://api.anthropic.com"
VERSION = "2023-06-01"
DAYS = 31  # buckets that a page may have
CENTS = 100


class Anthropic:
    """Reads Anthropic's reports; see `collectors.billing.provider.Provider`."""

    name = PROVIDER
    base_url = BASE_URL
    key_setting = "anthropic_admin_key"

    def headers(self, key: str) -> dict[str, str]:
        return {"x-api-key": key, "anthropic-version": VERSION}

    def asks(self, since: datetime, until: datetime) -> Iterator[Ask]:
        span = {"starting_at": _written(since), "ending_at": _written(until), "bucket_width": "1d", "limit": str(DAYS)}
        groups = ("model", "workspace_id", "service_tier")
        yield Ask("/v1/organizations/usage_report/messages", span, groups)
        yield Ask("/v1/organizations/cost_report", span, ("workspace_id", "description"))

    def owns(self, page: Object) -> bool:
        data = page.get("data")
        return isinstance(data, list) and all(isinstance(each, dict) and "starting_at" in each for each in data)

    def read(self, page: Object, kind: str | None = None) -> Reading:
        usage: list[Usage] = []
        billed: list[Billed] = []
        for each in objects(page, "data"):
            start, end = rfc3339(each, "starting_at"), rfc3339(each, "ending_at")
            bucket = Bucket(start, int((end - start).total_seconds()))
            results = objects(each, "results")
            for result in results:
                if "amount" in result:
                    billed.append(_billed(bucket, result))
                else:
                    usage.append(_usage(bucket, result))
            if not results and kind == "costs":
                billed.append(nothing(bucket, COSTS, PROVIDER))
        return Reading.of(page, usage, billed)


def _usage(bucket: Bucket, result: Object) -> Usage:
    """`uncached_input_tokens` leaves out what was read from and written to a cache: together they are the input."""
    if "uncached_input_tokens" not in result or "output_tokens" not in result:
        raise NotAReport("a result has neither an 'amount' nor 'uncached_input_tokens'")
    created = result.get("cache_creation")
    created = created if isinstance(created, dict) else {}
    hour = count(created, "ephemeral_1h_input_tokens") or 0
    written = (count(created, "ephemeral_5m_input_tokens") or 0) + hour
    cached = count(result, "cache_read_input_tokens") or 0
    given = (count(result, "uncached_input_tokens") or 0) + cached + written
    out = count(result, "output_tokens") or 0
    tools = result.get("server_tool_use")
    searches = count(tools, "web_search_requests") if isinstance(tools, dict) else None
    extra = {"cache_write_1h_tokens": hour, "web_searches": searches or 0}
    if result.get("service_tier") in DISCOUNTED:
        extra["discounted_tokens"] = given + out
    return Usage(
        bucket=bucket,
        source=USAGE,
        provider=PROVIDER,
        model=text(result, "model") or "unknown",
        project=text(result, "workspace_id") or UNASSIGNED,
        input_tokens=given,
        cached_tokens=cached,
        cache_write_tokens=written,
        output_tokens=out,
        extra={name: found for name, found in extra.items() if found},
    )


def _billed(bucket: Bucket, result: Object) -> Billed:
    """`amount` is in cents: "123.45" is $1.2345."""
    in_usd(result.get("currency"))
    tier = text(result, "service_tier")
    item = text(result, "description") or text(result, "cost_type") or "all"
    if tier and tier != "standard" and tier not in item.lower():
        item = f"{item} ({tier})"
    return Billed(
        bucket=bucket,
        source=COSTS,
        provider=PROVIDER,
        line_item=item,
        model=text(result, "model") or "",
        project=text(result, "workspace_id") or UNASSIGNED,
        cost_usd=money(result.get("amount"), "amount") / Decimal(CENTS),
        tier=tier if tier != "standard" else None,
    )


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
