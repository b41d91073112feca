"""Which provider serves an address: a bounded set of names, so that they can be labels."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.llm.prices import provider_of
from collectors.llm.target import host

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
    name = host(netloc)
    named = overrides.get(netloc) or overrides.get(name) or HOSTS.get(name)
    if named is None:
        named = next((named for suffix, named in SUFFIXES.items() if name.endswith(suffix)), None)
    return named or provider_of(url) or OTHER
