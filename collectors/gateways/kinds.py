"""What vLLM, the LiteLLM proxy and Bifrost call what they count."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

Names = tuple[str, ...]  # of one thing in different releases; the first that a page has is taken

STARTED = "process_start_time_seconds"
UNASSIGNED = "unassigned"


@dataclass(frozen=True)
class Kind:
    """One kind of gateway; each mapping is from our name to the gateway's.

    Attributes:
        name: of the gateway; also `source` in metrics.llm_usage.
        prefix: how its metrics begin.
        counters: by column of metrics.llm_usage. Of `cached_tokens` and the like, each is a part of input or output.
        histograms: by the name under which they are shown; all in seconds.
        gauges: by the name under which they are shown, and how those of several engines become one: `sum` or `max`.
        model, provider, team, project: labels that say so, the best first.
        constant_provider: where no label says it.
    """

    name: str
    prefix: str
    counters: Mapping[str, Names]
    histograms: Mapping[str, Names]
    gauges: Mapping[str, tuple[str, Names]]
    model: Names
    provider: Names = ()
    team: Names = ()
    project: Names = ()
    constant_provider: str = "unknown"

    @cached_property
    def wanted(self) -> frozenset[str]:
        """The names of all samples of interest."""
        names = [STARTED, *(name for names in self.counters.values() for name in names)]
        names += [name for _, names in self.gauges.values() for name in names]
        for histogram in (name for names in self.histograms.values() for name in names):
            names += [histogram + ending for ending in ("_bucket", "_sum", "_count")]
        return frozenset(names)


VLLM = Kind(
    "vllm",
    "vllm:",
    counters={
        "requests": ("vllm:request_success_total",),
        "input_tokens": ("vllm:prompt_tokens_total",),
        "cached_tokens": ("vllm:prompt_tokens_cached_total", "vllm:prefix_cache_hits_total"),
        "output_tokens": ("vllm:generation_tokens_total",),
    },
    histograms={
        "llm_time_to_first_token_seconds": ("vllm:time_to_first_token_seconds",),
        "llm_request_duration_seconds": ("vllm:e2e_request_latency_seconds",),
        "llm_time_per_output_token_seconds": (
            "vllm:request_time_per_output_token_seconds",
            "vllm:inter_token_latency_seconds",
            "vllm:time_per_output_token_seconds",
        ),
        "llm_request_queue_seconds": ("vllm:request_queue_time_seconds",),
        "llm_request_prefill_seconds": ("vllm:request_prefill_time_seconds",),
        "llm_request_decode_seconds": ("vllm:request_decode_time_seconds",),
    },
    gauges={
        "llm_requests_running": ("sum", ("vllm:num_requests_running",)),
        "llm_requests_waiting": ("sum", ("vllm:num_requests_waiting",)),
        "llm_kv_cache_usage_ratio": ("max", ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")),
    },
    model=("model_name",),
    constant_provider="vllm",
)

# LiteLLM and Bifrost time the first chunk, whatever is in it: that is not the first token.
LITELLM = Kind(
    "litellm",
    "litellm_",
    counters={
        "requests": (
            "litellm_requests_metric_total",
            "litellm_request_total_latency_metric_count",
            "litellm_proxy_total_requests_metric_total",
        ),
        "input_tokens": ("litellm_input_tokens_metric_total",),
        "cached_tokens": ("litellm_input_cached_tokens_metric_total",),
        "cache_write_tokens": ("litellm_input_cache_creation_tokens_metric_total",),
        "output_tokens": ("litellm_output_tokens_metric_total",),
        "reasoning_tokens": ("litellm_output_reasoning_tokens_metric_total",),
        "cost_usd": ("litellm_spend_metric_total",),
    },
    histograms={
        "llm_time_to_first_chunk_seconds": ("litellm_llm_api_time_to_first_token_metric",),
        "llm_request_duration_seconds": ("litellm_request_total_latency_metric",),
    },
    gauges={"llm_requests_running": ("sum", ("litellm_in_flight_requests",))},
    model=("model", "requested_model"),
    provider=("api_provider",),
    team=("team_alias", "team"),
    project=("api_key_alias",),
)

BIFROST = Kind(
    "bifrost",
    "bifrost_",
    counters={
        "requests": ("bifrost_success_requests_total", "bifrost_upstream_requests_total"),
        "input_tokens": ("bifrost_input_tokens_total",),
        "cached_tokens": ("bifrost_cache_read_input_tokens_total",),
        "cache_write_tokens": ("bifrost_cache_write_input_tokens_total",),
        "output_tokens": ("bifrost_output_tokens_total",),
        "cost_usd": ("bifrost_cost_total",),
    },
    histograms={
        "llm_time_to_first_chunk_seconds": ("bifrost_stream_first_token_latency_seconds",),
        "llm_request_duration_seconds": ("bifrost_upstream_latency_seconds",),
        "llm_time_per_output_token_seconds": ("bifrost_stream_inter_token_latency_seconds",),
    },
    gauges={"llm_requests_running": ("sum", ("bifrost_active_requests",))},
    model=("model",),
    provider=("provider",),
    team=("team_name", "team_id"),
    project=("project_name", "virtual_key_name"),
)

KINDS = {kind.name: kind for kind in (VLLM, LITELLM, BIFROST)}


def detect(text: str) -> Kind | None:
    """The kind whose metrics, or their TYPE lines, are on the page; LiteLLM and Bifrost before the vLLM behind them."""
    for kind in (LITELLM, BIFROST, VLLM):
        if re.search(rf"^(# TYPE )?{re.escape(kind.prefix)}", text, re.MULTILINE):
            return kind
    return None
