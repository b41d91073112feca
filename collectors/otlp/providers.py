"""The provider of a span, by the name that the tap gives it: only then are two reports of one call known as such."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from collectors.llm.clean import identifier
from collectors.llm.providers import OTHER
from collectors.llm.providers import provider as by_address

# Lower-case names of GenAI conventions old and new, OpenLLMetry, OpenInference, LiteLLM and Vercel's AI SDK.
_NAMES = {
    "amazon-bedrock": "aws",
    "amazon_bedrock": "aws",
    "aws": "aws",
    "aws.bedrock": "aws",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "sagemaker": "aws",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure-openai": "azure",
    "azure_ai": "azure",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "gcp": "google",
    "gemini": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "vertex_ai": "google",
    "vertexai": "google",
    "hosted_vllm": "vllm",
    "ibm": "watsonx",
    "ibm.watsonx.ai": "watsonx",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "moonshot_ai": "moonshotai",
    "together_ai": "together",
    "togetherai": "together",
    "x_ai": "x-ai",
    "xai": "x-ai",
}


_FRAMEWORKS = frozenset({"langchain", "langgraph", "llamaindex", "llama_index", "haystack", "crewai"})


@lru_cache(maxsize=2_000)
def provider(name: str | None, address: str | None, model: str | None = None) -> str:
    """Name the provider as the tap does.

    Args:
        name: `gen_ai.provider.name` or what stands for it; clients of a compatible API say `openai` whoever answers.
        address: URL or host that was called; a well-known one wins over `name`.
        model: that answered; tells the provider where `name` is but that of a framework.

    >>> provider("openai", "https://api.deepseek.com/v1/"), provider("openai", None), provider("AWS.Bedrock", "")
    ('deepseek', 'openai', 'aws')
    >>> provider("Langchain", None, "gpt-4o")
    'openai'
    """
    known = _at(address) if address else OTHER
    if known == OTHER:
        known = _called(name)
    return _maker((model or "").lower()) if known in _FRAMEWORKS else known


def _at(address: str) -> str:
    url = address if "://" in address else f"https://{address}"
    try:
        netloc = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return OTHER
    return by_address(url.partition("?")[0], netloc, {}) if netloc else OTHER


def _called(name: str | None) -> str:
    plain = (name or "").strip().lower().replace(" ", "_")
    if identifier(plain) is None:
        return OTHER
    known = _NAMES.get(plain) or _NAMES.get(plain.partition(".")[0])
    return known or plain.partition(".")[0]


def _maker(model: str) -> str:
    from genai_prices.data_snapshot import get_snapshot

    makers = (each.id for each in get_snapshot().providers if each.model_match and each.model_match.is_match(model))
    return next(makers, OTHER)
