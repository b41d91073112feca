"""What the exports of other tools have in common: fields under several names, JSON inside CSV, names of providers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from collectors.files.columns import REQUESTS, Preset, Row, prepared
from collectors.files.values import BadValue, amount, time

Values = Mapping[str, Any]

# Names that other tools have for the providers of this one.
_PROVIDERS = {
    **dict.fromkeys(("bedrock", "bedrock_converse", "aws.bedrock", "aws_bedrock", "amazon", "amazon-bedrock"), "aws"),
    **dict.fromkeys(("vertex_ai", "vertex_ai_beta", "vertex", "gemini", "gcp.gemini", "gcp.vertex_ai"), "google"),
    **dict.fromkeys(("azure_ai", "azure_text", "azure.ai.openai", "az.ai.openai", "azure_openai"), "azure"),
    **dict.fromkeys(("text-completion-openai", "openai_chat"), "openai"),
    **dict.fromkeys(("cohere_chat",), "cohere"),
    **dict.fromkeys(("mistral_ai", "mistralai"), "mistral"),
    **dict.fromkeys(("ollama_chat",), "ollama"),
    **dict.fromkeys(("hosted_vllm",), "vllm"),
}
_MAKERS = {
    "openai": ("gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-", "dall-e", "whisper"),
    "anthropic": ("claude-",),
    "google": ("gemini-",),
    "mistral": ("mistral-", "ministral-", "codestral-"),
    "cohere": ("command-",),
    "deepseek": ("deepseek-",),
}
NOTHING = ("", "null", "None", "N/A")


def preset(name: str, read: Any, needs: tuple[tuple[str, ...], ...]) -> Preset:
    """The preset of an export: `read` turns a record into fields of a request, or None where it is none."""
    columns = {field: prepared(field) for field in (*REQUESTS.fields, "attrs") if field != "source"}
    return Preset(
        name,
        REQUESTS,
        columns,
        _as_it_is,
        {"source": name.partition("-")[0]},
        optional=frozenset(columns.values()),
        extra={"attrs": _attrs},
        prepare=read,
        needs=needs,
    )


def pick(values: Values, *names: str) -> Any:
    """The first of these columns that says something."""
    for name in names:
        found = values.get(name)
        if found is not None and not (isinstance(found, str) and found.strip() in NOTHING):
            return found
    return None


def nested(values: Values, *names: str) -> dict[str, Any]:
    """The object in the first of these columns, with dotted keys; in a CSV it is JSON text."""
    for name in names:
        found = values.get(name)
        if isinstance(found, str) and found.lstrip().startswith("{"):
            try:
                found = json.loads(found)
            except (ValueError, RecursionError):
                continue
        if isinstance(found, dict) and found:
            return _flat(found)
        inside = {key[len(name) + 1 :]: value for key, value in values.items() if key.startswith(f"{name}.")}
        if inside:
            return inside
    return {}


def seconds(later: object, earlier: object) -> float | None:
    """Seconds from one time to another; None where one is missing or the order is wrong."""
    end, start = _time(later), _time(earlier)
    found = None if end is None or start is None else (end - start).total_seconds()
    return found if found is not None and found >= 0 else None


def tokens(value: object) -> int | None:
    """A count of tokens; None for none, for a negative one (not known) and for a fraction.

    >>> tokens("12"), tokens(3.0), tokens(-1), tokens(None)
    (12, 3, None, None)
    """
    try:
        found = amount(value)
    except BadValue:
        return None
    return int(found) if found is not None and found.is_integer() else None


def provider_of(name: object, model: object = None) -> str:
    """Our name of a provider, from another tool's name for it, else from the model's.

    >>> provider_of("bedrock_converse"), provider_of(None, "openai/gpt-4o"), provider_of("", "claude-sonnet-4-5")
    ('aws', 'openai', 'anthropic')
    """
    given = str(name or "").strip().lower()
    model = str(model or "").strip().lower()
    if not given and "/" in model:
        given = model.partition("/")[0]
    if given:
        return _PROVIDERS.get(given, given)
    return next((maker for maker, starts in _MAKERS.items() if model.startswith(starts)), "unknown")


def model_of(name: object, provider: object) -> str | None:
    """The model's name without the provider before it: `openai/gpt-4o` of openai is `gpt-4o`."""
    model = str(name or "").strip()
    head, slash, tail = model.partition("/")
    known = {str(provider or "").lower(), *_PROVIDERS, *_PROVIDERS.values(), *_MAKERS}
    return (tail if slash and head.lower() in known else model) or None


def _flat(found: Mapping[str, Any], prefix: str = "", depth: int = 1) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in found.items():
        if isinstance(value, dict) and depth < 5:
            flat.update(_flat(value, f"{prefix}{name}.", depth + 1))
        else:
            flat[prefix + name] = value
    return flat


def _time(value: object) -> datetime | None:
    try:
        return time(value)
    except BadValue:
        return None


def _attrs(value: object) -> object:
    """What `read` has chosen for the column attrs, and never what happens to stand in a file."""
    return value if isinstance(value, dict) else None


def _as_it_is(row: Row) -> None:
    """The row is whole already."""
