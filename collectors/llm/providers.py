"""Which provider serves an address: a bounded set of names, so that they can be labels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from collectors.llm.prices import provider_of

OTHER = "other"
HOSTS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "google",
    "aiplatform.googleapis.com": "google",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter",
    "api.mistral.ai": "mistral",
    "ollama.com": "ollama",
    "api.writer.com": "writer",
}
SUFFIXES = {
    ".api.openai.com": "openai",  # its regions
    ".openai.azure.com": "azure",
    "-aiplatform.googleapis.com": "google",
    ".ml.cloud.ibm.com": "watsonx",
}


def provider(url: str, netloc: str, overrides: Mapping[str, str]) -> str:
    """Name the provider behind a call.

    Args:
        url: the address without its query, e.g. `https://api.openai.com/v1/chat/completions`.
        netloc: its host, and its port where it has one.
        overrides: provider by `host:port` or `host`; these win.

    Returns:
        The override, else the name of a well-known host, else whom genai-prices knows by this address, else `other`.
    """
    host = netloc.rpartition("]")[0] + "]" if netloc.startswith("[") else netloc.partition(":")[0]
    named = overrides.get(netloc) or overrides.get(host) or HOSTS.get(host)
    if named is None:
        named = next((name for suffix, name in SUFFIXES.items() if host.endswith(suffix)), None)
    return named or _catalogued(url)


@lru_cache(maxsize=1_000)
def _catalogued(url: str) -> str:
    return provider_of(url) or OTHER
