"""The spend logs of the LiteLLM proxy: rows of its table LiteLLM_SpendLogs.

`completionStartTime` is the first chunk, whatever is in it, and the end where nothing was streamed. Cost and tokens are
LiteLLM's; a cost of 0 for tokens that were paid for is a price that LiteLLM does not know. Of the metadata, names of
team, project and key are read, and counts; the messages, the answer and error texts are not.
"""

from __future__ import annotations

import re
from typing import Any

from collectors.files.columns import prepared
from collectors.files.exports import Values, model_of, nested, pick, preset, provider_of, seconds, tokens
from collectors.files.values import BadValue, money

_OPERATIONS = {"completion": "chat", "text_completion": "text_completion", "embedding": "embeddings"}
_HASH = re.compile(r"[0-9a-f]{64}")
_STATUS = re.compile(r"[1-5]\d\d")


def read(values: Values) -> dict[str, Any]:
    """The fields of a request from a row of the table."""
    metadata = nested(values, "metadata")
    start, end = pick(values, "startTime", "start_time"), pick(values, "endTime", "end_time")
    provider = provider_of(pick(values, "custom_llm_provider"), pick(values, "model"))
    duration_s = seconds(end, start)
    ttfc_s = seconds(pick(values, "completionStartTime", "completion_start_time"), start)
    streamed = ttfc_s is not None and duration_s is not None and ttfc_s < duration_s
    failed = pick(values, "status") == "failure" or metadata.get("status") == "failure"
    cached_answer = str(pick(values, "cache_hit")).lower() == "true"
    given, made = tokens(pick(values, "prompt_tokens")), tokens(pick(values, "completion_tokens"))
    metered = not failed or bool(given) or bool(made)
    call = str(pick(values, "call_type") or "completion").removeprefix("a")
    row: dict[str, Any] = {
        "ts": start,
        "request_id": pick(values, "request_id"),
        "provider": provider,
        "model": model_of(pick(values, "model"), provider),
        "operation": _OPERATIONS.get(call, call if call in ("image_generation", "transcription", "speech") else "chat"),
        "team": pick(metadata, "user_api_key_team_alias") or pick(values, "team_id"),
        "project": pick(metadata, "user_api_key_project_alias", "user_api_key_alias"),
        "status": "error" if failed else "ok",
        "duration_s": duration_s,
        "streamed": streamed,
        "ttfc_s": ttfc_s if streamed else None,
        "input_tokens": given if metered else None,
        "output_tokens": made if metered else None,
        "cached_tokens": _detail(metadata, "cache_read_input_tokens", "prompt_tokens_details.cached_tokens"),
        "cache_write_tokens": _detail(
            metadata, "cache_creation_input_tokens", "prompt_tokens_details.cache_creation_tokens"
        ),
        "reasoning_tokens": _detail(metadata, "completion_tokens_details.reasoning_tokens"),
        **_cost(pick(values, "spend"), cached_answer=cached_answer),
        "attrs": _attrs(values, cached_answer=cached_answer),
    }
    if failed:
        code = str(pick(metadata, "error_information.error_code") or "")
        row["error_type"] = pick(metadata, "error_information.error_class") or "error"
        row["http_status"] = code if _STATUS.fullmatch(code) else None
    return {prepared(name): value for name, value in row.items()}


def _detail(metadata: Values, *names: str) -> int | None:
    for where in ("usage_object", "additional_usage_values"):
        for name in names:
            found = tokens(metadata.get(f"{where}.{name}"))
            if found is not None:
                return found
    return None


def _cost(spend: object, *, cached_answer: bool) -> dict[str, Any]:
    try:
        found = money(spend)
    except BadValue:
        found = None
    return {"cost_usd": found, "price_version": "litellm"} if found or cached_answer else {}


def _attrs(values: Values, *, cached_answer: bool) -> dict[str, Any] | None:
    attrs: dict[str, Any] = {}
    key = str(pick(values, "api_key") or "")
    if _HASH.fullmatch(key):  # the hash of a key of the proxy's own
        attrs["key"] = key[:8]
    group = pick(values, "model_group")
    if isinstance(group, str):
        attrs["model_group"] = group[:200]
    if cached_answer:
        attrs["cache_hit"] = True
    return attrs or None


LITELLM_SPEND = preset("litellm-spend", read, (("request_id",), ("startTime", "start_time"), ("spend",)))
