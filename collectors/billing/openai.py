"""OpenAI's organization usage and costs: what to ask for, and what the pages say.

https://platform.openai.com/docs/api-reference/usage
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from collectors.billing.fields import Object, count, epoch, in_usd, money, objects, text
from collectors.billing.provider import Ask, Reading
from collectors.billing.rows import DISCOUNTED, UNASSIGNED, Billed, Bucket, Usage, nothing

PROVIDER, USAGE, COSTS = "openai", "openai-usage", "openai-costs"
BASE_URL = "https://api.openai.com"
DAY = "1d"
USAGE_DAYS, COST_DAYS = 31, 180  # buckets that a page may have

# Usage by the call; the reports on storage, sessions and searches count no calls of a model and have costs alone.
ENDPOINTS = ("completions", "embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions")
_GROUPS = {"completions": ("project_id", "model", "batch", "service_tier")}
_RESULT = re.compile(r"organization\.usage\.(\w+)\.result")
_MODEL = re.compile(r"(gpt|o\d|chatgpt|codex|text-|omni-|whisper|tts|dall-e|davinci|babbage|computer-use|sora|ft:|ft-)")
_EXTRA = ("images", "characters", "seconds")
_TIERS = ("batch", "flex", "priority")


class OpenAI:
    """Reads OpenAI's reports; see `collectors.billing.provider.Provider`."""

    name = PROVIDER
    base_url = BASE_URL
    key_setting = "openai_admin_key"

    def headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"}

    def asks(self, since: datetime, until: datetime) -> Iterator[Ask]:
        span = {"start_time": str(int(since.timestamp())), "end_time": str(int(until.timestamp())), "bucket_width": DAY}
        for endpoint in ENDPOINTS:
            groups = _GROUPS.get(endpoint, ("project_id", "model"))
            yield Ask(f"/v1/organization/usage/{endpoint}", span | {"limit": str(USAGE_DAYS)}, groups)
        yield Ask("/v1/organization/costs", span | {"limit": str(COST_DAYS)}, ("project_id", "line_item"))

    def owns(self, page: Object) -> bool:
        return page.get("object") == "page"

    def read(self, page: Object, kind: str | None = None) -> Reading:
        usage: list[Usage] = []
        billed: list[Billed] = []
        for each in objects(page, "data"):
            start, end = epoch(each, "start_time"), epoch(each, "end_time")
            bucket = Bucket(start, int((end - start).total_seconds()))
            results = objects(each, "results")
            for result in results:
                endpoint = _RESULT.fullmatch(str(result.get("object")))
                if endpoint:
                    usage.append(_usage(bucket, endpoint[1], result))
                else:
                    billed.append(_billed(bucket, result))
            if not results and kind == "costs":
                billed.append(nothing(bucket, COSTS, PROVIDER))
        return Reading.of(page, usage, billed)


def _usage(bucket: Bucket, endpoint: str, result: Object) -> Usage:
    tokens_in, tokens_out = count(result, "input_tokens"), count(result, "output_tokens")
    if tokens_in is not None and endpoint != "completions":
        tokens_out = tokens_out or 0  # embeddings and moderations have none
    extra = {name: found for name in _EXTRA if (found := count(result, name))}
    if result.get("batch") is True or result.get("service_tier") in DISCOUNTED:
        extra["discounted_tokens"] = (tokens_in or 0) + (tokens_out or 0)
    return Usage(
        bucket=bucket,
        source=USAGE if endpoint == "completions" else f"{USAGE}-{endpoint}",
        provider=PROVIDER,
        model=text(result, "model") or "unknown",
        project=text(result, "project_id") or UNASSIGNED,
        requests=count(result, "num_model_requests") or 0,
        input_tokens=tokens_in,
        cached_tokens=count(result, "input_cached_tokens"),
        cache_write_tokens=count(result, "input_cache_write_tokens"),
        output_tokens=tokens_out,
        extra=extra,
    )


def _billed(bucket: Bucket, result: Object) -> Billed:
    amount = result.get("amount")
    amount = amount if isinstance(amount, dict) else {}
    in_usd(amount.get("currency"))
    line_item = text(result, "line_item") or "all"
    quantity = result.get("quantity")
    return Billed(
        bucket=bucket,
        source=COSTS,
        provider=PROVIDER,
        line_item=line_item,
        model=model_of(line_item),
        project=text(result, "project_id") or UNASSIGNED,
        cost_usd=money(amount.get("value"), "amount.value"),
        quantity=None if quantity is None else money(quantity, "quantity"),
        tier=next((tier for tier in _TIERS if tier in line_item.lower()), None),
    )


def model_of(line_item: str) -> str:
    """The model that a line item is for; empty where it is for none.

    >>> model_of("gpt-4o-2024-08-06, cached input"), model_of("GPT-4o mini"), model_of("web search tool calls")
    ('gpt-4o-2024-08-06', 'gpt-4o-mini', '')
    """
    name = line_item.partition(", ")[0].partition(" | ")[0].strip().lower().replace(" ", "-")
    return name if _MODEL.match(name) else ""
